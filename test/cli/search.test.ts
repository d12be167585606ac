import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jsonLines, ostinato, start, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder);
const at = (...parts: string[]): string => join(folder, ...parts);
const hash = (...parts: string[]): string =>
  createHash('sha256')
    .update(readFileSync(at(...parts)))
    .digest('hex');

interface Result {
  epochs: number;
  score: number | null;
  bestEpoch: number | null;
}

interface Trial {
  name: string;
  point: Record<string, unknown>;
  results: Result[];
  failure?: string;
}

const trialsOf = (dir: string): Trial[] =>
  (JSON.parse(readFileSync(at(dir, 'search.json'), 'utf8')) as { trials: Trial[] }).trials;

/** The values of a score in the log of a trial, epoch by epoch. */
const curveOf = (dir: string, name: string, score = 'valLoss'): number[] =>
  jsonLines(readFileSync(at(dir, name, 'log.jsonl'), 'utf8'))
    .filter(({ event }) => event === 'epoch')
    .map((row) => row[score] as number);

const BASE = [`text: ${text}`, 'embedding: 8', 'length: 16', 'batch: 8'];
const SPACE = [
  'learningRate: { logUniform: [1e-4, 1e-1] }',
  'cell: { choice: [lstm, gru] }',
  'units: { logInt: [4, 24] }',
];

function writeConfig(name: string, ...lines: string[]): string {
  writeFileSync(at(name), [...BASE, ...lines, ''].join('\n'));
  return name;
}

async function done(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ostinato(folder, args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

async function failure(args: readonly string[], expected: number): Promise<string> {
  const { code, stderr } = await ostinato(folder, args);
  expect(stderr).toMatch(/^ostinato: [^\n]+\n$/);
  expect(code).toBe(expected);
  return stderr;
}

describe('successive halving', () => {
  const config = writeConfig(
    'halving.yaml',
    ...SPACE,
    'dropout: 0.1',
    'epochs: 27',
    'search: { method: halving, trials: 9, seed: 4 }',
  );
  let said: string;

  beforeAll(async () => {
    said = await done(['search', config, '--dir', 'whole']);
  }, 120_000);

  it('trains all trials a little, and the best ones longer', () => {
    const trials = trialsOf('whole');
    expect(trials.map(({ name }) => name)).toEqual(
      Array.from({ length: 9 }, (_v, i) => `trial-00${i + 1}`),
    );
    const reached = trials.map(({ results }) => results.map(({ epochs }) => epochs));
    expect(reached.filter((list) => list.length === 1)).toEqual(Array(6).fill([3]));
    expect(reached.filter((list) => list.length === 2)).toEqual(Array(2).fill([3, 9]));
    expect(reached.filter((list) => list.length === 3)).toEqual([[3, 9, 27]]);
    for (const rung of [0, 1]) {
      const here = trials.filter(({ results }) => results.length > rung);
      const kept = here.filter(({ results }) => results.length > rung + 1);
      const scores = (list: Trial[]): number[] => list.map(({ results }) => results[rung]!.score!);
      const dropped = here.filter((trial) => !kept.includes(trial));
      expect(Math.max(...scores(kept))).toBeLessThanOrEqual(Math.min(...scores(dropped)));
    }
  });

  it('judges trials by the best value of the metric up to the rung', () => {
    for (const { name, results } of trialsOf('whole')) {
      const curve = curveOf('whole', name);
      expect(curve).toHaveLength(results.at(-1)!.epochs);
      for (const { epochs, score, bestEpoch } of results) {
        expect(score).toBe(Math.min(...curve.slice(0, epochs)));
        expect(curve[bestEpoch! - 1]).toBe(score);
      }
    }
  });

  it('gives the winner the weights that `train` gives it', async () => {
    const winner = trialsOf('whole').find(({ results }) => results.length === 3)!;
    const { cell, units, learningRate } = winner.point;
    const alone = writeConfig(
      'alone.yaml',
      `cell: ${String(cell)}`,
      `units: ${String(units)}`,
      `learningRate: ${String(learningRate)}`,
      'dropout: 0.1',
      'epochs: 27',
    );
    await done(['train', alone, '--dir', 'alone']);
    expect(hash('whole', winner.name, 'model.safetensors')).toBe(hash('alone/model.safetensors'));
  });

  it('tells of its trials in a table, best first, and how to go on', () => {
    expect(said).toContain('9 to epoch 3, 3 to epoch 9, 1 to epoch 27');
    const rows = said.split('\n').filter((line) => /^trial-\d+ /.test(line));
    expect(rows).toHaveLength(9);
    const winner = trialsOf('whole').find(({ results }) => results.length === 3)!;
    expect(rows[0]).toContain(`${winner.name} `);
    expect(rows[0]).toContain(String(winner.point['units']));
    expect(said).toMatch(/^trial +learningRate +cell +units +epochs +valLoss +best epoch$/m);
    expect(said).toContain(`Best: ${winner.name}, valLoss`);
    expect(said).toContain(`ostinato report whole/${winner.name}`);
  });

  it('goes on after Ctrl-C and kill -9, and ends as if nothing had happened', async () => {
    const first = start(folder, ['search', config, '--dir', 'parts']);
    await first.printed('trial 3 of 9');
    first.child.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    const second = start(folder, ['resume', 'parts']);
    await second.printed('trial 6 of 9');
    second.child.kill('SIGINT');
    const stopped = await second.ended;
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain('ostinato resume parts');
    const third = start(folder, ['search', config, '--dir', 'parts', '--threads', '1']);
    await third.printed(', 9 epochs: ');
    third.child.kill('SIGKILL');
    await third.ended;
    expect(await done(['resume', 'parts'])).toContain('Going on');
    expect(trialsOf('parts')).toEqual(trialsOf('whole'));
    for (const { name, results } of trialsOf('whole')) {
      expect(curveOf('parts', name)).toEqual(curveOf('whole', name));
      const model = join(name, 'model.safetensors');
      expect(existsSync(at('parts', model))).toBe(results.length === 3);
      if (results.length === 3) expect(hash('parts', model)).toBe(hash('whole', model));
      const best = join(name, 'checkpoints/best.safetensors');
      expect(existsSync(at('parts', best))).toBe(true);
    }
    // Nothing is trained twice.
    const before = hash('parts/search.json');
    const [begin, end] = jsonLines(await done(['search', config, '--dir', 'parts', '--json']));
    expect(begin).toMatchObject({ event: 'start', begun: 9 });
    expect(end).toMatchObject({ event: 'done', interrupted: false });
    expect(hash('parts/search.json')).toBe(before);
    expect(readdirSync(at('parts')).filter((name) => name.includes('.tmp'))).toEqual([]);
  }, 120_000);

  it('lets a dropped trial go on by itself, as a run like any other', async () => {
    const dropped = trialsOf('parts').find(({ results }) => results.length === 1)!;
    await done(['resume', `parts/${dropped.name}`]);
    expect(curveOf('parts', dropped.name)).toHaveLength(27);
    // The search knows it as it judged it.
    await done(['resume', 'parts']);
    expect(trialsOf('parts')).toEqual(trialsOf('whole'));
  }, 60_000);

  interface Chart {
    title: string;
    x: number[];
    names?: string[];
    logarithmic?: boolean;
    highlight?: number;
    curves: { label: string; y: (number | null)[] }[];
  }

  it('draws the scores over each parameter, and all curves', () => {
    const page = readFileSync(at('whole/search.html'), 'utf8');
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/);
    const charts = JSON.parse(/^const charts = (.*);$/m.exec(page)![1]!) as Chart[];
    expect(charts.map(({ title }) => title)).toEqual([
      'valLoss over learningRate',
      'valLoss over cell',
      'valLoss over units',
      'valLoss by epoch',
      'loss by epoch',
    ]);
    const [rate, cell, , curves] = charts;
    const trials = trialsOf('whole');
    expect(rate!.logarithmic).toBe(true);
    expect(rate!.x).toEqual(
      trials.map(({ point }) => point['learningRate'] as number).sort((a, b) => a - b),
    );
    rate!.x.forEach((value, i) => {
      const trial = trials.find(({ point }) => point['learningRate'] === value)!;
      const { epochs, score } = trial.results.at(-1)!;
      for (const { label, y } of rate!.curves) {
        expect(y[i]).toBe(label === `after ${epochs} epochs` ? score : null);
      }
    });
    expect(cell!.names).toEqual(['lstm', 'gru']);
    const winner = trials.find(({ results }) => results.length === 3)!;
    expect(curves!.highlight).toBe(0);
    expect(curves!.curves[0]!.label).toBe(winner.name);
    expect(curves!.curves[0]!.y).toEqual(curveOf('whole', winner.name));
    const profile = `--user-data-dir=${at('chromium')}`;
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=3000'];
    const url = pathToFileURL(at('whole/search.html')).href;
    const { error, stdout } = spawnSync('chromium', [...flags, profile, '--dump-dom', url], {
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 2 ** 26,
    });
    // Only some machines have a browser.
    if (error === undefined) expect(stdout).toContain(`data-charts="${charts.length}"`);
  }, 70_000);
});

describe('random search', () => {
  const config = writeConfig('random.yaml', ...SPACE, 'search: { trials: 3, metric: valBits }');

  it('draws the same trials for the same seed, and can grow', async () => {
    const short = ['--max-epochs', '2', '--json'];
    const lines = jsonLines(await done(['search', config, '--dir', 'a', ...short]));
    expect(lines[0]).toMatchObject({
      event: 'start',
      method: 'random',
      metric: 'valBits',
      parameters: ['learningRate', 'cell', 'units'],
      rungs: [{ trials: 3, epochs: 2 }],
    });
    expect(lines.filter(({ event }) => event === 'trial')).toHaveLength(3);
    const { best, trials } = lines.at(-1) as {
      best: { trial: string; score: number };
      trials: { trial: string; score: number }[];
    };
    expect(best.score).toBe(Math.min(...trials.map(({ score }) => score)));
    expect(best.score).toBe(Math.min(...curveOf('a', best.trial, 'valBits')));
    await done(['search', config, '--dir', 'b', ...short]);
    expect(trialsOf('b')).toEqual(trialsOf('a'));
    await done(['search', config, '--dir', 'c', '--seed', '1', ...short]);
    expect(trialsOf('c')).not.toEqual(trialsOf('a'));
    const grown = jsonLines(
      await done(['search', config, '--dir', 'a', '--trials', '4', ...short]),
    );
    expect(grown[0]).toMatchObject({ begun: 3, trials: 4 });
    expect(grown.filter(({ event }) => event === 'trial')).toHaveLength(1);
    expect(trialsOf('a').slice(0, 3)).toEqual(trialsOf('b'));
  }, 60_000);

  it('puts trials that diverge last, and says so', async () => {
    writeFileSync(
      at('rows.csv'),
      ['v', ...Array.from({ length: 120 }, (_v, i) => String(Math.sin(i / 3)))].join('\n'),
    );
    writeFileSync(
      at('diverging.yaml'),
      [
        ...['task: forecast', 'data: rows.csv', 'target: v', 'context: 8', 'horizon: 2'],
        ...['loss: meanSquaredError', 'scaling: none', 'clip: 0', 'epochs: 3'],
        'layers: [{ type: simpleRnn, units: 4, activation: relu }]',
        'learningRate: { choice: [0.01, 1e30] }',
        'search: { trials: 2 }',
      ].join('\n'),
    );
    const stdout = await done(['search', 'diverging.yaml', '--dir', 'diverging']);
    const rows = stdout.split('\n').filter((line) => /^trial-\d+ /.test(line));
    expect(rows[0]).toMatch(/0\.01 +3 +[\d.]+/);
    expect(rows[1]).toMatch(/1e\+30 +3 +diverged/);
    expect(trialsOf('diverging').find(({ failure }) => failure !== undefined)!.failure).toMatch(
      /diverged/,
    );
    expect(stdout).toContain('ostinato forecast diverging/trial-');
  }, 60_000);
});

describe('searches that are given wrongly', () => {
  it.each<[string, string[], RegExp]>([
    ['a misspelt way to draw', ['units: { ints: [4, 8] }'], /:5: .*did you mean "int"/],
    ['a wrong range', ['units: { int: [8, 4] }'], /:5: .*"units\.int\[1\]"/],
    ['an end that is not allowed', ['dropout: { uniform: [0, 1.5] }'], /:5: .*dropout.*1\.5/],
    ['a choice that is none', ['cell: { choice: [lstm, grus] }'], /:5: .*did you mean "gru"/],
    ['a key that is unknown', ['unitz: { int: [4, 8] }'], /:5: .*did you mean "units"/],
    ['what makes scores differ', ['validation: { uniform: [0, 0.5] }'], /:5: .*cannot vary/],
    ['nothing to search', ['units: 8'], /nothing to search.*logUniform/],
    [
      'a misspelt key under search',
      ['units: { int: [4, 8] }', 'search:', '  trials: 3', '  metod: random'],
      /:8: .*did you mean "method"/,
    ],
    [
      'a wrong value under search',
      ['units: { int: [4, 8] }', 'search:', '  trials: none'],
      /:7: .*integer.*"none"/,
    ],
    ['no keys under search', ['units: { int: [4, 8] }', 'search: 5'], /:6: .*keys and values/],
    ['seconds', ['units: { int: [4, 8] }', 'seconds: 5'], /:6: .*needs epochs/],
    [
      'rungs above the end',
      ['units: { int: [4, 8] }', 'epochs: 3', 'search: { minEpochs: 4 }'],
      /min-epochs 4 is more than --max-epochs 3/,
    ],
  ])('%s', async (_name, lines, message) => {
    const config = writeConfig('wrong.yaml', ...lines);
    expect(await failure(['search', config, '--dir', 'wrong'], 2)).toMatch(message);
    expect(existsSync(at('wrong'))).toBe(false);
  });

  it('no directory, and a file that is for `train`', async () => {
    const config = writeConfig('fine.yaml', 'units: { int: [4, 8] }', 'search: { trials: 2 }');
    expect(await failure(['search', config], 2)).toMatch(/--dir is required/);
    expect(await failure(['train', config], 2)).toMatch(/fine\.yaml:6: .*ostinato search/);
    expect(await failure(['search', 'nowhere.yaml', '--dir', 'x'], 1)).toMatch(/no such file/);
  });

  it('a metric that the runs do not have, which can be put right', async () => {
    const config = writeConfig('metric.yaml', 'units: { int: [4, 8] }', 'epochs: 1');
    const args = ['search', config, '--dir', 'metric', '--trials', '2'];
    const told = await failure([...args, '--metric', 'valF1'], 2);
    expect(told).toMatch(/--metric: .*"valF1"; they have .*valLoss.*valAccuracy/);
    await done([...args, '--metric', 'valAccuracy']);
    const [best] = trialsOf('metric').sort((a, b) => b.results[0]!.score! - a.results[0]!.score!);
    const last = jsonLines(await done([...args, '--metric', 'valAccuracy', '--json'])).at(-1);
    expect(last).toMatchObject({ best: { trial: best!.name }, metric: 'valAccuracy' });
  }, 60_000);

  it('a directory with something else in it', async () => {
    const config = writeConfig('other.yaml', 'units: { int: [4, 8] }', 'epochs: 1');
    const args = ['search', config, '--dir', 'other', '--trials', '2'];
    await done(args);
    expect(await failure([...args, '--seed', '3'], 1)).toMatch(
      /other holds another search: "seed" was 0 and is 3/,
    );
    writeConfig('other.yaml', 'units: { int: [4, 9] }', 'epochs: 1');
    expect(await failure(args, 1)).toMatch(/another search: "units" was .*\[4,8\].* is .*\[4,9\]/);
    mkdirSync(at('taken/trial-001'), { recursive: true });
    expect(await failure(['search', config, '--dir', 'taken'], 1)).toMatch(
      /taken holds trial-001 already/,
    );
    const file = at('other/search.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"format": 1', '"format": 2'));
    expect(await failure(['resume', 'other'], 1)).toMatch(/search\.json is of format 2/);
    writeFileSync(file, '{');
    expect(await failure(['resume', 'other'], 1)).toMatch(/search\.json is not JSON/);
  }, 60_000);
});
