import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TINY, jsonLines, ostinato, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
/** A name that would be a tag if it were not escaped. */
const text = writeText(folder, 8_000, '<b>&text.txt');

async function done(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ostinato(folder, args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

beforeAll(async () => {
  for (const [dir, cell] of [
    ['runs-lstm', 'lstm'],
    ['runs-gru', 'gru'],
  ] as const) {
    const args = ['train', '--text', text, '--dir', dir, '--epochs', '6', '--cell', cell, ...TINY];
    await done(args);
  }
}, 60_000);

interface Chart {
  title: string;
  x: number[];
  curves: { label: string; y: number[] }[];
}

/** What a browser makes of a page; undefined where there is none. */
function browse(path: string, ...args: string[]): string | undefined {
  const profile = `--user-data-dir=${join(folder, 'chromium')}`;
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    profile,
    '--virtual-time-budget=3000',
  ];
  const url = pathToFileURL(path).href;
  const { error, stdout } = spawnSync('chromium', [...flags, ...args, url], {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 2 ** 26,
  });
  return error === undefined ? stdout : undefined;
}

describe('report', () => {
  let page: string;

  beforeAll(async () => {
    expect(await done(['report', 'runs-lstm'])).toMatch(/Wrote runs-lstm\/report\.html/);
    page = readFileSync(join(folder, 'runs-lstm/report.html'), 'utf8');
  });

  const charts = (): Chart[] => JSON.parse(/^const charts = (.*);$/m.exec(page)![1]!) as Chart[];

  it('needs nothing from elsewhere', () => {
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/);
    expect(page).not.toMatch(/@import|url\(\s*['"]?http/);
  });

  it('has the curves of the log', () => {
    const log = jsonLines(readFileSync(join(folder, 'runs-lstm/log.jsonl'), 'utf8'));
    const steps = log.filter(({ event }) => event === 'batch');
    const epochs = log.filter(({ event }) => event === 'epoch');
    const [loss, byEpoch, ...others] = charts();
    expect(loss!.curves[0]!.y).toEqual(steps.map((event) => event['loss']));
    expect(loss!.x).toEqual(steps.map((_event, i) => i + 1));
    expect(byEpoch!.curves.map(({ label }) => label)).toEqual(['loss', 'valLoss']);
    expect(byEpoch!.curves[1]!.y).toEqual(epochs.map((event) => event['valLoss']));
    expect(others.map(({ title }) => title)).toEqual([
      'bits by epoch',
      'accuracy by epoch',
      'Learning rate',
      'Norm of the gradients before clipping',
    ]);
  });

  it('shows scores, the configuration, the machine and a sample; text stays text', () => {
    for (const part of ['Scores', 'Configuration', 'Machine', 'A sample of best.safetensors']) {
      expect(page).toContain(`<h2>${part}`);
    }
    expect(page).toContain('&lt;b&gt;&amp;text.txt');
    expect(page).not.toContain('<b>');
    const [, sample] = /A sample[^]*?<pre>([^]*?)<\/pre>/.exec(page)!;
    expect(sample!.length).toBeGreaterThan(400);
  });

  it('is drawn by a browser', () => {
    const dom = browse(join(folder, 'runs-lstm/report.html'), '--dump-dom');
    // Only some machines have one.
    if (dom === undefined) return;
    expect(dom).toContain(`data-charts="${charts().length}"`);
    expect(dom.match(/<canvas/g)).toHaveLength(charts().length);
  }, 70_000);

  it('zooms where it is dragged, and out again at a double click', () => {
    // A hand on the mouse: what the chart shows before, after dragging over its middle, and at the end.
    const hand = `<script>addEventListener('load', () => {
      const [{ plot }] = drawn, over = plot.over, box = over.getBoundingClientRect();
      const at = (type, share, target = over) => target.dispatchEvent(new MouseEvent(type, {
        bubbles: true, button: 0, movementX: 9, clientX: box.left + share * box.width, clientY: box.top + 50 }));
      const shown = () => [plot.scales.x.min, plot.scales.x.max];
      const seen = [shown()];
      at('mouseenter', 0.25); at('mousemove', 0.25); at('mousedown', 0.25); at('mousemove', 0.5, document);
      at('mousemove', 0.5); at('mouseup', 0.5, document);
      setTimeout(() => {
        seen.push(shown()); at('dblclick', 0.5);
        setTimeout(() => { seen.push(shown()); document.body.dataset.seen = JSON.stringify(seen); }, 200);
      }, 200);
    });</script></body>`;
    const path = join(folder, 'dragged.html');
    writeFileSync(
      path,
      page.replace('</body>', () => hand),
    );
    const dom = browse(path, '--dump-dom');
    if (dom === undefined) return;
    const [before, zoomed, after] = JSON.parse(/data-seen="([^"]*)"/.exec(dom)![1]!) as [
      number,
      number,
    ][];
    const [low, high] = before!;
    const share = zoomed!.map((value) => (value - low) / (high - low));
    expect(share[0]).toBeCloseTo(0.25, 1);
    expect(share[1]).toBeCloseTo(0.5, 1);
    expect(after).toEqual(before);
  }, 70_000);

  it('takes the log of a run that was killed within a line', async () => {
    const log = join(folder, 'runs-gru/log.jsonl');
    const whole = readFileSync(log, 'utf8');
    try {
      writeFileSync(log, whole.slice(0, -20));
      const [result] = jsonLines(await done(['report', 'runs-gru', '--out', 'cut.html', '--json']));
      expect(result).toMatchObject({ out: 'cut.html', epochs: 5 });
    } finally {
      writeFileSync(log, whole);
    }
  });
});

describe('compare', () => {
  it('shows what differs, and the scores', async () => {
    const stdout = await done(['compare', 'runs-lstm', 'runs-gru', '--out', 'both.html']);
    expect(stdout).toMatch(/^cell +lstm +gru$/m);
    expect(stdout).not.toMatch(/^units/m);
    expect(stdout).toMatch(/^valBits there +\d\.\d+ +\d\.\d+$/m);
    const page = readFileSync(join(folder, 'both.html'), 'utf8');
    const charts = JSON.parse(/^const charts = (.*);$/m.exec(page)![1]!) as Chart[];
    expect(charts[0]!.curves.map(({ label }) => label)).toEqual(['runs-lstm', 'runs-gru']);
    const dom = browse(join(folder, 'both.html'), '--dump-dom');
    if (dom !== undefined) expect(dom).toContain(`data-charts="${charts.length}"`);
    const [result] = jsonLines(await done(['compare', 'runs-lstm', 'runs-gru', '--json']));
    expect(result!['differing']).toEqual(['cell']);
  }, 70_000);

  it('needs two runs', async () => {
    const { code, stderr } = await ostinato(folder, ['compare', 'runs-lstm']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/at least two run directories/);
    const none = await ostinato(folder, ['report', '.']);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/is no run directory/);
  });
});
