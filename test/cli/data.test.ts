import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metrics, load } from '../../lib';
import { jsonLines, ostinato, start, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

async function done(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ostinato(folder, args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

const ROWS = 300;
const sales = Array.from({ length: ROWS }, (_v, i) => 20 + 8 * Math.sin((i / 7) * 2 * Math.PI));
const kinds = (i: number): string => (i % 2 === 0 ? 'even, "long"' : 'odd');

beforeAll(() => {
  const lines = sales.map((value, i) => `"day ${i}, week ${Math.floor(i / 7)}",${value},${i % 7}`);
  writeFileSync(at('sales.csv'), ['day,sales,weekday', ...lines, ''].join('\n'));
  const settings = ['task: forecast', 'data: sales.csv', 'target: sales', 'features: [weekday]'];
  const windows = ['time: day', 'context: 14', 'horizon: 7', 'season: 7', 'learningRate: 0.02'];
  writeFileSync(
    at('sales.yaml'),
    [
      ...settings,
      ...windows,
      'layers:',
      '  - type: gru',
      '    units: 12',
      '  - { type: dropout, rate: 0.1 }',
      '',
    ].join('\n'),
  );
  const words = Array.from({ length: 120 }, (_v, i) =>
    Array.from({ length: 3 + (i % 4) }, (_w, t) => 'abcd'[(i + t * 2) % 4]).join(''),
  );
  writeFileSync(
    at('words.csv'),
    ['word,kind', ...words.map((word, i) => `${word},"${kinds(i).replaceAll('"', '""')}"`)].join(
      '\n',
    ),
  );
  writeFileSync(
    at('words.json'),
    JSON.stringify(
      {
        task: 'classify',
        data: 'words.csv',
        input: 'word',
        label: 'kind',
        epochs: 8,
        learningRate: 0.02,
        layers: [{ type: 'lstm', units: 8 }],
      },
      null,
      1,
    ),
  );
  const tags = Array.from({ length: 60 }, (_v, i) => {
    const input = Array.from({ length: 2 + (i % 5) }, (_w, t) => [Math.sin(i * 7 + t * 3), t / 5]);
    return JSON.stringify({ input, label: input.map(([a]) => (a! > 0 ? 'up' : 'down')) });
  });
  writeFileSync(at('tags.jsonl'), tags.join('\n'));
  writeFileSync(
    at('tags.yaml'),
    'task: tag\ndata: tags.jsonl\nepochs: 25\nlearningRate: 0.03\nlayers:\n  - type: simpleRnn\n    units: 8\n  - type: gru\n    units: 6\n    bidirectional: true\n',
  );
});

describe('forecast', () => {
  beforeAll(async () => {
    await done(['train', 'sales.yaml', '--dir', 'sales', '--epochs', '12']);
  }, 60_000);

  it('says how the series goes on, with intervals, also as CSV', async () => {
    const args = ['forecast', 'sales', '--data', 'sales.csv', '--out', 'next.csv', '--json'];
    const [result] = jsonLines(await done(args));
    const rows = result!['forecast'] as { value: number; low: number; high: number }[];
    expect(result!['after']).toBe(`day ${ROWS - 1}, week ${Math.floor((ROWS - 1) / 7)}`);
    rows.forEach(({ value, low, high }, i) => {
      // A wave that a small model learns in a moment.
      expect(Math.abs(value - (20 + 8 * Math.sin(((ROWS + i) / 7) * 2 * Math.PI)))).toBeLessThan(3);
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
    });
    const [heading, first] = readFileSync(at('next.csv'), 'utf8').split('\n');
    expect(heading).toBe('step,target,value,low,high');
    expect(first).toBe(`1,sales,${rows[0]!.value},${rows[0]!.low},${rows[0]!.high}`);
  });

  it('is measured in the unit of the data', async () => {
    const [scores] = jsonLines(await done(['eval', 'sales', '--data', 'sales.csv', '--json']));
    using model = await load(at('sales/model.safetensors'));
    const spec = (model.metadata as { data: { offset: number[]; scale: number[] } }).data;
    expect(spec.offset[0]).toBeCloseTo(sales.slice(0, 240).reduce((sum, v) => sum + v, 0) / 240, 9);
    // The best epoch's weights are those that a run directory stands for.
    using best = await load(at('sales/checkpoints/best.safetensors'));
    const [actual, forecast]: number[][] = [[], []];
    for (let begin = 14; begin + 7 <= ROWS; begin += 7) {
      const x = Array.from({ length: 14 }, (_v, t) => {
        const row = begin - 14 + t;
        return [sales[row]!, row % 7].map((v, j) => (v - spec.offset[j]!) / spec.scale[j]!);
      });
      const { data } = await best.predict([x]);
      for (let t = 0; t < 7; t++) {
        actual!.push(sales[begin + t]!);
        forecast!.push(data[t]! * spec.scale[0]! + spec.offset[0]!);
      }
    }
    expect(scores!['forecasts']).toBe(40);
    expect(scores!['smape']).toBeCloseTo(metrics.smape(actual!, forecast!), 3);
    const mae =
      actual!.reduce((sum, v, i) => sum + Math.abs(v - forecast![i]!), 0) / actual!.length;
    expect(scores!['mae']).toBeCloseTo(mae, 4);
    expect(scores!['coverage']).toBeGreaterThan(0.5);
  });

  it('is the same model after a kill and a resume', async () => {
    const args = ['train', 'sales.yaml', '--dir', 'killed', '--epochs', '12', '--json'];
    const running = start(folder, args);
    await running.printed('"epoch":3,');
    running.child.kill('SIGKILL');
    await running.ended;
    await done(['resume', 'killed', '--json']);
    const weights = (dir: string) => readFileSync(at(dir, 'model.safetensors'));
    expect(weights('killed').equals(weights('sales'))).toBe(true);
    cpSync(at('sales.csv'), at('kept.csv'));
    writeFileSync(at('sales.csv'), `${readFileSync(at('kept.csv'), 'utf8')}x,1,1\n`);
    const { code, stderr } = await ostinato(folder, ['resume', 'killed']);
    cpSync(at('kept.csv'), at('sales.csv'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/sales\.csv has changed since the run began/);
  }, 60_000);

  it('is reported beside what came, shaded between the ends of the interval', async () => {
    await done(['report', 'sales']);
    const page = readFileSync(at('sales/report.html'), 'utf8');
    const charts = JSON.parse(/^const charts = (.*);$/m.exec(page)![1]!) as {
      curves: { label: string; y: number[] }[];
      bands?: number[][];
      title: string;
    }[];
    expect(charts[0]!.curves.map(({ label }) => label)).toEqual([
      'sales',
      'forecast',
      'high',
      'low',
    ]);
    expect(charts[0]!.bands).toEqual([[2, 3]]);
    // 60 rows are held out: eight forecasts of seven.
    expect(charts[0]!.curves[0]!.y).toEqual(sales.slice(240, 296));
    expect(charts.map(({ title }) => title)).toContain('mae by epoch');
    expect(page).toContain('Held-out forecasts, in the unit of the data');
  });

  it.each(['meanSquaredError', '{ kind: quantile, quantiles: [0.2, 0.5, 0.8] }', 'studentT'])(
    'learns with the loss %s',
    async (loss) => {
      const config = readFileSync(at('sales.yaml'), 'utf8');
      writeFileSync(
        at('loss.yaml'),
        `${config}loss: ${loss}\nscaling: minmax\nout: loss.safetensors\n`,
      );
      await done(['train', 'loss.yaml', '--epochs', '2']);
      const stdout = await done(['forecast', 'loss.safetensors', '--data', 'sales.csv', '--json']);
      const [row] = jsonLines(stdout)[0]!['forecast'] as Record<string, number>[];
      expect('low' in row!).toBe(loss !== 'meanSquaredError');
    },
  );
});

describe('classify and tag', () => {
  it('learns words, labels them, and shows what is taken for what', async () => {
    const events = jsonLines(await done(['train', 'words.json', '--dir', 'words', '--json']));
    const last = events.filter(({ event }) => event === 'epoch').at(-1)!;
    expect(last['valAccuracy']).toBeGreaterThan(0.9);
    const stdout = await done(['predict', 'words', '--data', 'words.csv', '--json']);
    const labels = jsonLines(stdout).map(({ label }) => label);
    expect(labels).toHaveLength(120);
    const right = labels.filter((label, i) => label === kinds(i)).length;
    const [scores] = jsonLines(await done(['eval', 'words', '--data', 'words.csv', '--json']));
    expect(scores!['accuracy']).toBeCloseTo(right / 120, 12);
    expect(scores!['classes']).toEqual(['even, "long"', 'odd']);
    await done(['report', 'words']);
    const page = readFileSync(at('words/report.html'), 'utf8');
    expect(page).toMatch(/<h2>Confusion matrix[^]*?even, &quot;long&quot;/);
    expect(page).toMatch(/<td style="background: rgb\(56 132 255 \/ \d+%\)">\d+<\/td>/);
    const compared = await done(['compare', 'words', 'words']);
    expect(compared).toMatch(/^valF1 there +[\d.]+ +[\d.]+$/m);
  }, 60_000);

  it('tags rows of numbers in JSON lines, and the same in CSV with a row for each step', async () => {
    await done(['train', 'tags.yaml', '--out', 'tags.safetensors']);
    const args = ['predict', 'tags.safetensors', '--data', 'tags.jsonl', '--out', 'tagged.jsonl'];
    await done(args);
    const tagged = jsonLines(readFileSync(at('tagged.jsonl'), 'utf8'));
    const samples = jsonLines(readFileSync(at('tags.jsonl'), 'utf8'));
    const all = samples.flatMap(({ label }) => label as string[]);
    const given = tagged.flatMap(({ labels }) => labels as string[]);
    const right = given.filter((label, i) => label === all[i]).length;
    expect(given).toHaveLength(all.length);
    expect(right / all.length).toBeGreaterThan(0.9);
    const rows = samples.flatMap(({ input, label }, i) =>
      (input as number[][]).map(([a, b], t) => `s${i},${a},${b},${(label as string[])[t]}`),
    );
    writeFileSync(at('tags.csv'), ['id,a,b,label', ...rows].join('\n'));
    writeFileSync(
      at('tagscsv.yaml'),
      `${readFileSync(at('tags.yaml'), 'utf8').replace('tags.jsonl', 'tags.csv')}group: id\nfeatures: [a, b]\n`,
    );
    await done(['train', 'tagscsv.yaml', '--out', 'tags2.safetensors']);
    using one = await load(at('tags.safetensors'));
    using two = await load(at('tags2.safetensors'));
    expect(two.getWeights()['dense.weight']!.data).toEqual(one.getWeights()['dense.weight']!.data);
  }, 60_000);
});

describe('what is wrong is told with its place', () => {
  const base = (): string => readFileSync(at('sales.yaml'), 'utf8');
  it.each<[string, (config: string) => string, number, RegExp]>([
    ['a key', (c) => c.replace('horizon:', 'horizn:'), 2, /bad\.yaml:7: .*"horizn".*"horizon"/],
    [
      'a type',
      (c) => c.replace('context: 14', 'context: many'),
      2,
      /bad\.yaml:6: .*context.*"many"/,
    ],
    [
      'a task',
      (c) => c.replace('task: forecast', 'task: forcast'),
      2,
      /bad\.yaml:1: .*"forecast"\?/,
    ],
    ['a layer', (c) => c.replace('units: 12', 'unitz: 12'), 2, /bad\.yaml:11: .*"unitz".*"units"/],
    ['a missing key', (c) => c.replace('horizon: 7\n', ''), 2, /horizon is required/],
    [
      'a column',
      (c) => c.replace('target: sales', 'target: sale'),
      1,
      /sales\.csv has no column "sale".*"sales"/,
    ],
    ['a loss', (c) => `${c}loss: ctc\n`, 1, /"loss".*"ctc"/],
    ['a metric', (c) => `${c}metrics: [f1]\n`, 1, /metrics\[0\].*"f1"/],
    [
      'a short file',
      (c) => c.replace('context: 14', 'context: 400'),
      1,
      /sales\.csv has 240 rows.*407/,
    ],
  ])('%s', async (_name, change, exit, message) => {
    writeFileSync(at('bad.yaml'), change(base()));
    const { code, stderr } = await ostinato(folder, ['train', 'bad.yaml']);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^ostinato: [^\n]+\n$/);
    expect(code).toBe(exit);
  });

  it.each<[string, string, string, RegExp]>([
    ['a cell', 'x.csv', 'sales,weekday,day\n1,2,a\n1,two,b\n', /x\.csv:3: .*"weekday".*"two"/],
    ['a row', 'x.csv', 'sales,weekday,day\n1,2,a\n1\n', /x\.csv:3: .*/],
  ])('%s of a CSV file', async (_name, file, content, message) => {
    writeFileSync(at(file), content);
    writeFileSync(at('bad.yaml'), base().replace('sales.csv', file));
    const { code, stderr } = await ostinato(folder, ['train', 'bad.yaml']);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });

  it('a line of JSON lines, and labels that do not fit', async () => {
    writeFileSync(
      at('bad.jsonl'),
      '{"input":[1,2],"label":["a","b"]}\n{"input":[1],"label":["a","b"]}\n',
    );
    writeFileSync(at('bad.yaml'), 'task: tag\ndata: bad.jsonl\n');
    const { stderr } = await ostinato(folder, ['train', 'bad.yaml']);
    expect(stderr).toMatch(/bad\.jsonl:2: Expected 1 labels, one for each step, but found 2/);
  });

  it('a flag of language models, and commands for other models', async () => {
    const flag = await ostinato(folder, ['train', 'sales.yaml', '--cell', 'gru']);
    expect([flag.code, flag.stderr]).toEqual([
      2,
      expect.stringMatching(/--cell is of language models/),
    ]);
    const wrong = await ostinato(folder, ['predict', 'sales', '--data', 'sales.csv']);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/is for task: forecast/)]);
    const neither = await ostinato(folder, ['eval', 'sales']);
    expect([neither.code, neither.stderr]).toEqual([2, expect.stringMatching(/--text.*--data/)]);
  });
});
