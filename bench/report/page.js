/* global document, getComputedStyle */
// Fills the report from the result that is embedded in it. Runs in a browser, from disk.
const { result, targets, summary, derived, extras } = JSON.parse(
  document.getElementById('data').textContent,
);
const { Chart } = globalThis;
const { cases, machine } = result;

const style = getComputedStyle(document.documentElement);
const color = (name) => style.getPropertyValue(name).trim();
Chart.defaults.color = color('--quiet');
Chart.defaults.borderColor = color('--line');
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;

const CELLS = { lstm: '#2f6fed', gru: '#e07b39', elman: '#2a9d6f' };
const LINES = {
  ostinato: '#2f6fed',
  onednn: '#e07b39',
  pytorch: '#d1435b',
  'pytorch-padded': '#f2a1ad',
  onnxruntime: '#8a63d2',
  'onnxruntime-node': '#bda4ea',
  jax: '#2a9d6f',
  tfjs: '#8d99ae',
  'tfjs-wasm': '#5c677d',
};
const PHASES = ['training', 'inference', 'ragged', 'step', 'predict', 'fit'];

const peerNames = [...new Set(cases.flatMap(({ peers }) => Object.keys(peers)))];
const digits = (ms) => {
  if (ms === undefined) return '–';
  return ms >= 1000 ? ms.toFixed(0) : Number(ms.toPrecision(3)).toString();
};
function times(ratio) {
  if (ratio === null || ratio === undefined) return '–';
  return `${ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)}×`;
}
const percent = (share) => (share === null ? '–' : `${share.toFixed(0)} %`);

function element(tag, text, attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Rows of cells; a cell is a text or { text, className, title }. */
function fillTable(id, header, rows) {
  const table = document.getElementById(id);
  const line = (tag, row) => {
    const made = element('tr');
    for (const cell of row) {
      const { text, ...attributes } = typeof cell === 'object' ? cell : { text: cell };
      made.append(element(tag, text, attributes));
    }
    return made;
  };
  table.replaceChildren(
    ...(header ? [line('th', header)] : []),
    ...rows.map((it) => line('td', it)),
  );
}

function ratioCell(ratio) {
  const className = ratio === null || ratio === undefined ? '' : ratio >= 1 ? 'lead' : 'behind';
  return { text: times(ratio), className };
}

function addChart(place, title, height, config) {
  const figure = element('figure');
  const frame = element('div');
  frame.style.height = `${height}px`;
  const canvas = element('canvas');
  frame.append(canvas);
  figure.append(element('figcaption', title), frame);
  document.getElementById(place).append(figure);
  return new Chart(canvas, config);
}

// ---- facts ------------------------------------------------------------------------------------------

const commit = result.commit
  ? `commit ${result.commit.slice(0, 10)}${result.dirty ? ' + changes' : ''}`
  : '';
document.getElementById('subject').textContent = [
  result.date.slice(0, 16).replace('T', ' '),
  `version ${result.version}`,
  commit,
  `${cases.length} cases (${result.plan}) in ${result.minutes.toFixed(0)} minutes`,
]
  .filter(Boolean)
  .join(' · ');
fillTable('machine', undefined, [
  ['processor', machine.cpu],
  ['processors', `${machine.cpus}, ${machine.memoryGB} GB`],
  ['instruction set', result.isa],
  ['system', machine.system],
  ['Node', machine.node],
]);
fillTable(
  'limits',
  ['limit', ...machine.peaks.map(({ threads }) => `${threads} thread${threads > 1 ? 's' : ''}`)],
  [
    ['FMA, GFLOP/s', ...machine.peaks.map((peak) => peak.fmaGflops.toFixed(0))],
    ...Object.keys(machine.peaks[0].bandwidthGBs).map((level) => [
      `${level}, GB/s`,
      ...machine.peaks.map((peak) => peak.bandwidthGBs[level].toFixed(0)),
    ]),
  ],
);
fillTable(
  'versions',
  ['driver', 'version'],
  Object.entries(result.versions).map(([name, { version, settings }]) => [
    { text: name, title: settings },
    { text: version, title: settings },
  ]),
);
const missing = Object.keys(result.missing);
document.getElementById('missing').textContent =
  missing.length > 0 ? `Not installed for this run: ${missing.join(', ')}.` : '';

// ---- targets -----------------------------------------------------------------------------------------

document.getElementById('counts').textContent = `${targets.counts}.`;
const STATUS_CLASSES = {
  met: 'lead',
  missed: 'behind',
  incomplete: 'open',
  'not measured': 'open',
};
fillTable(
  'targets',
  ['target', 'asked', 'result', '', ''],
  targets.checks.flatMap(({ row, needs, status, cells, failing }, i) => {
    const [what, asked, shown, word, detail] = cells;
    const isFirst = i === 0 || targets.checks[i - 1].row !== row;
    const title = failing.length > 0 ? failing.join('\n') : needs;
    const line = [
      { text: what, className: 'part' },
      asked,
      { text: shown, className: STATUS_CLASSES[status], title },
      { text: word, className: `text ${STATUS_CLASSES[status]}`, title },
      { text: detail, className: 'text', title },
    ];
    return isFirst ? [[{ text: row, className: 'row', colSpan: 5 }], line] : [line];
  }),
);

// ---- summary -----------------------------------------------------------------------------------------

fillTable(
  'summary',
  ['cell, phase, threads', 'cases', 'best peer', 'least', ...peerNames],
  summary.map((it) => [
    it.key,
    it.cases,
    ratioCell(it.mean),
    ratioCell(it.least),
    ...peerNames.map((name) => ratioCell(it.byPeer[name])),
  ]),
);

const WHAT = ['two threads', 'ragged', 'API', 'memory'];
fillTable(
  'derived',
  ['case', ...WHAT],
  [...new Set(derived.map(({ id }) => id))].map((id) => [
    id,
    ...WHAT.map((what) => derived.find((it) => it.id === id && it.what === what)?.text ?? '–'),
  ]),
);

// ---- bars --------------------------------------------------------------------------------------------

const inGroups = ({ groups }) => groups.some((group) => !group.startsWith('ladder'));
const label = ({ id }) =>
  id.replace(/^\w+\/\w+\//, '').replace(/\/t\d+/, (text) => text.replace('/', ' '));

/** One bar for each shape and cell of a phase. `line`: a value to mark. */
function addBars(place, phase, valueOf, line, scale) {
  const members = cases.filter((it) => it.phase === phase && inGroups(it) && valueOf(it) !== null);
  if (members.length === 0) return;
  const labels = [...new Set(members.map(label))];
  const datasets = Object.entries(CELLS).map(([cell, backgroundColor]) => ({
    label: cell,
    backgroundColor,
    data: labels.map((text) => {
      const found = members.find((it) => it.cell === cell && label(it) === text);
      return found ? valueOf(found) : null;
    }),
  }));
  const mark = {
    id: 'mark',
    afterDatasetsDraw({ ctx, chartArea, scales }) {
      const x = scales.x.getPixelForValue(line);
      if (x < chartArea.left || x > chartArea.right) return;
      ctx.save();
      ctx.strokeStyle = color('--text');
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.restore();
    },
  };
  addChart(place, phase, 90 + labels.length * 34, {
    type: 'bar',
    data: { labels, datasets: datasets.filter(({ data }) => data.some((value) => value !== null)) },
    options: {
      indexAxis: 'y',
      scales: { x: scale, y: { ticks: { autoSkip: false }, grid: { display: false } } },
    },
    plugins: [mark],
  });
}

for (const phase of PHASES) {
  addBars('ratios', phase, (it) => it.ratio_best, 1, {
    type: 'logarithmic',
    title: { display: true, text: 'best peer ÷ ours' },
    suggestedMin: 0.5,
    suggestedMax: 4,
    ticks: {
      callback: (value) =>
        [1, 2, 5].includes(Number(String(value).replace(/[0.]/g, ''))) ? `${value}×` : '',
    },
  });
  addBars('shares', phase, (it) => it.pct_limit, 100, {
    title: { display: true, text: '% of limit' },
    min: 0,
    suggestedMax: 100,
  });
}

// ---- ladders -----------------------------------------------------------------------------------------

function addLadder(letter, phase, cell) {
  const members = cases
    .filter(
      (it) => it.groups.includes(`ladder-${letter}`) && it.phase === phase && it.cell === cell,
    )
    .sort((a, b) => a[letter] - b[letter]);
  if (members.length < 2) return;
  const line = (name, medianOf) => ({
    label: name,
    borderColor: LINES[name],
    backgroundColor: LINES[name],
    borderWidth: name === 'ostinato' ? 3 : 1.5,
    spanGaps: true,
    data: members.map((it) => ({ x: it[letter], y: medianOf(it) ?? null })),
  });
  const datasets = [
    line('ostinato', (it) => it.ours.median_ms),
    ...peerNames.map((name) => line(name, (it) => it.peers[name]?.median_ms)),
    {
      ...line('limit', (it) => it.bound_ms),
      borderColor: color('--quiet'),
      backgroundColor: color('--quiet'),
      borderDash: [4, 4],
      pointRadius: 0,
    },
  ];
  const { T, B, I, H } = members[0];
  const fixed = {
    T: `B=${B}, I=${I}, H=${H}`,
    B: `T=${T}, I=${I}, H=${H}`,
    H: `T=${T}, B=${B}, I=H`,
  };
  const axis = (text) => ({ type: 'logarithmic', title: { display: true, text } });
  const afterBuildTicks = (scale) => {
    scale.ticks = members.map((it) => ({ value: it[letter] }));
  };
  addChart('ladders', `${cell} ${phase} against ${letter} (${fixed[letter]})`, 340, {
    type: 'line',
    data: { datasets: datasets.filter(({ data }) => data.some(({ y }) => y !== null)) },
    options: { scales: { x: { ...axis(letter), afterBuildTicks }, y: axis('ms') } },
  });
}

for (const letter of ['T', 'B', 'H']) {
  for (const phase of ['training', 'inference']) {
    for (const cell of Object.keys(CELLS)) addLadder(letter, phase, cell);
  }
}

// ---- extra measurements --------------------------------------------------------------------------------

for (const [i, { title, rows }] of extras.entries()) {
  const frame = element('div', undefined, { className: 'scroll' });
  frame.append(element('table', undefined, { id: `extra-${i}` }));
  document.getElementById('extras').append(element('h3', title), frame);
  const [header, ...others] = rows;
  fillTable(`extra-${i}`, rows.length > 1 ? header : undefined, rows.length > 1 ? others : rows);
}

// ---- all ---------------------------------------------------------------------------------------------

function showCases(text) {
  const rows = cases
    .filter(({ id }) => id.includes(text))
    .map((it) => [
      it.id,
      { text: digits(it.ours.median_ms), title: `minimum ${digits(it.ours.min_ms)}` },
      percent(it.pct_limit),
      it.best_peer ?? '–',
      ratioCell(it.ratio_best),
      ...peerNames.map((name) => {
        const peer = it.peers[name];
        const reason = it.failed[name] ?? it.checks[name] ?? it.unsupported[name] ?? '';
        if (!peer) return { text: '–', title: reason };
        return { text: digits(peer.median_ms), title: `minimum ${digits(peer.min_ms)}` };
      }),
    ]);
  fillTable('cases', ['case', 'ours', '% limit', 'best peer', 'ratio', ...peerNames], rows);
}
showCases('');
document
  .getElementById('filter')
  .addEventListener('input', ({ target }) => showCases(target.value));
