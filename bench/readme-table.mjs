// Writes the performance table between the comment markers of a Markdown file, from a result.
//
//   node bench/readme-table.mjs bench/results/<file>.json [--file README.md] [--check]
//
// --check changes nothing and fails when the file's table is not the result's.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import prettier from 'prettier';
import { SHAPES } from './cases.mjs';
import { geometricMean } from './lib/statistics.mjs';

const BEGIN = '<!-- performance: begin (bench/readme-table.mjs) -->';
const END = '<!-- performance: end -->';
const CELL_NAMES = { lstm: 'LSTM', gru: 'GRU', elman: 'Elman' };
const PHASES = ['training', 'inference'];
const THREADS = 2;

const digits = (ms) => (ms >= 1000 ? ms.toFixed(0) : String(Number(ms.toPrecision(3))));

function shapeRow(cases, { T, B, I, H }, cell) {
  const cellsOf = PHASES.flatMap((phase) => {
    const found = cases.find((it) => it.id === `${cell}/${phase}/${T},${B},${I},${H}/t${THREADS}`);
    if (!found) return ['–', '–', '–'];
    const { ours, peers, best_peer: best, ratio_best: ratio } = found;
    if (best === null) return [digits(ours.median_ms), '–', '–'];
    return [
      digits(ours.median_ms),
      `${digits(peers[best].median_ms)} ${best}`,
      `**${ratio.toFixed(2)}×**`,
    ];
  });
  return `| ${CELL_NAMES[cell]} ${T}, ${B}, ${I}, ${H} | ${cellsOf.join(' | ')} |`;
}

function meanRow(cases, cell) {
  const cellsOf = PHASES.flatMap((phase) => {
    const ratios = cases
      .filter((it) => it.cell === cell && it.phase === phase && it.threads === THREADS)
      .filter((it) => it.groups.includes('shapes') && it.ratio_best !== null)
      .map((it) => it.ratio_best);
    return ['', '', ratios.length > 0 ? `**${geometricMean(ratios).toFixed(2)}×**` : '–'];
  });
  return `| ${CELL_NAMES[cell]}, geometric mean | ${cellsOf.join(' | ')} |`;
}

/** The table in Markdown. */
function makeTable(result, file) {
  const present = Object.keys(CELL_NAMES).filter((cell) =>
    result.cases.some((it) => it.cell === cell && it.groups.includes('shapes')),
  );
  const shapes = SHAPES.filter(({ T, B, I, H }) =>
    result.cases.some((it) => it.T === T && it.B === B && it.I === I && it.H === H),
  );
  const peak = result.machine.peaks.find(({ threads }) => threads === THREADS);
  const peers = Object.entries(result.versions)
    .filter(([name]) => result.cases.some((it) => it.peers[name] && !it.peers[name].differs))
    .map(([name, { version }]) => `${name} ${version}`);
  return [
    '| layer T, B, I, H | training ms | best peer | | inference ms | best peer | |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...present.flatMap((cell) => [
      ...shapes.map((shape) => shapeRow(result.cases, shape, cell)),
      meanRow(result.cases, cell),
    ]),
    '',
    `Median milliseconds of one layer, ${THREADS} threads, fp32; T steps, B batch rows, I inputs, H ` +
      'units. Training is forward and backward with weights repacked and gradients of input, weights ' +
      'and biases. Libraries took turns on the same work, checked to agree within 1e-4; the best peer ' +
      `is the fastest of ${peers.join(', ')}. ${result.machine.cpu}, ${result.isa}, ` +
      `${peak.fmaGflops.toFixed(0)} GFLOP/s measured in the same run, ${result.date.slice(0, 10)}; ` +
      `made from [${path.basename(file)}](${file}) by \`npm run bench:readme\`.`,
  ].join('\n');
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { file: { type: 'string', default: 'README.md' }, check: { type: 'boolean' } },
});
const root = path.resolve(import.meta.dirname, '..');
if (positionals.length !== 1) {
  console.error('Expected one result file: node bench/readme-table.mjs bench/results/<file>.json');
  process.exit(2);
}
const relative = path.relative(root, path.resolve(positionals[0])).split(path.sep).join('/');
const result = JSON.parse(await readFile(positionals[0], 'utf8'));
const target = path.resolve(root, values.file);
const page = await readFile(target, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin < 0 || end < begin) {
  console.error(`Expected the markers in ${values.file}:\n${BEGIN}\n${END}`);
  process.exit(2);
}
const table = makeTable(result, relative);
const updated = await prettier.format(
  `${page.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${page.slice(end)}`,
  { ...(await prettier.resolveConfig(target)), filepath: target },
);
if (!values.check) await writeFile(target, updated);
else if (updated !== page) {
  console.error(`${values.file} does not have the table of ${relative}`);
  process.exitCode = 1;
}
