/** Options of cells: what they add to a model, its files, sessions and runs, and what is refused. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layers, load, optimizers, sequential } from '../../lib';
import type { Layer } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { indRnn, lstm } = layers;

const BASE = { units: 5, inputFeatures: 3, layers: 2, returnSequences: true } as const;

const cells: Record<string, (more: object) => Layer> = {
  'lstm with cellClip': (more) => lstm({ ...BASE, cellClip: 0.1, ...more }),
  'lstm with peepholes': (more) => lstm({ ...BASE, peephole: true, ...more }),
  'lstm with coupled gates': (more) => lstm({ ...BASE, coupledGates: true, ...more }),
  'lstm with all': (more) =>
    lstm({ ...BASE, peephole: true, coupledGates: true, cellClip: 0.5, ...more }),
  'indRnn with relu': (more) => indRnn({ ...BASE, ...more }),
  'indRnn with tanh': (more) => indRnn({ ...BASE, activation: 'tanh', ...more }),
};

describe.each(Object.entries(cells))('%s', (name, make) => {
  test('a session gives what predict gives, and carries its states', async () => {
    using model = sequential([make({ init: 'torch' })], { seed: 3 });
    const x = numbers(6 * 3, 1);
    const whole = await model.predict({ data: x, shape: [1, 6, 3] });
    using session = model.session();
    const rows: number[] = [];
    for (let t = 0; t < 6; ++t) {
      rows.push(...session.stepSync(x.subarray(3 * t, 3 * t + 3)));
      if (t === 2) session.setState(session.state);
    }
    expect(rows).toHaveLength(whole.data.length);
    rows.forEach((value, i) => expect(value).toBeCloseTo(whole.data[i]!, 6));
  });

  test('what is saved loads, with the same options and values', () =>
    inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      using model = sequential([make({ bidirectional: true, init: 'torch' })], { seed: 4 });
      await model.save(path);
      using loaded = await load(path);
      expect(loaded.getConfig()).toEqual(model.getConfig());
      expect(loaded.getWeights()).toEqual(model.getWeights());
      expect(loaded.summary()).toBe(model.summary());
      expect((await readFile(path)).length).toBeGreaterThan(0);
    }));

  test('training lowers the loss, with ragged rows and recomputed segments', async () => {
    using model = sequential(
      [make({ returnSequences: false, checkpointEvery: 2 }), layers.dense({ units: 1 })],
      { seed: 5 },
    );
    const x = { data: numbers(8 * 6 * 3, 2), shape: [8, 6, 3] };
    const y = Float32Array.from({ length: 8 }, (_, i) => x.data[i * 18]!);
    const before = model.getWeights();
    const { loss } = await model.fit(
      x,
      { data: y, shape: [8, 1] },
      {
        epochs: 30,
        batchSize: 4,
        lengths: [6, 5, 4, 3, 2, 1, 6, 6],
        loss: 'meanSquaredError',
      },
    );
    expect(loss.at(-1)).toBeLessThan(loss[0]!);
    for (const [name, { data }] of Object.entries(model.getWeights())) {
      expect([name, [...data]]).not.toEqual([name, [...before[name]!.data]]);
    }
  });

  test('dropout in the loop changes training alone', async () => {
    const x = { data: numbers(8 * 6 * 3, 2), shape: [8, 6, 3] };
    const y = { data: numbers(8, 3), shape: [8, 1] };
    const losses = async (more: object) => {
      using model = sequential(
        [make({ returnSequences: false, ...more }), layers.dense({ units: 1 })],
        { seed: 5 },
      );
      const { loss: evaluated } = await model.evaluate(x, y, { loss: 'meanSquaredError' });
      const optimizer = optimizers.sgd({ learningRate: 0 });
      const history = await model.fit(x, y, { loss: 'meanSquaredError', batchSize: 8, optimizer });
      return { evaluated, trained: history.loss[0] };
    };
    const plain = await losses({});
    const all: object[] = [{ recurrentDropout: 0.5 }];
    if (name.startsWith('lstm')) all.push({ candidateDropout: 0.5 });
    for (const options of all) {
      const dropped = await losses(options);
      expect(dropped.evaluated).toBe(plain.evaluated);
      expect(dropped.trained).not.toBe(plain.trained);
    }
  });
});

test.each([
  ['peepholes', (more: object) => lstm({ units: 40, peephole: true, ...more }), 'rnn.weight_ch_l0'],
  [
    'the vector of an indRnn',
    (more: object) => indRnn({ units: 40, activation: 'tanh', ...more }),
    'rnn.weight_hh_l0',
  ],
])('weight drop is of %s, too, in training alone', async (_what, make, parameter) => {
  const build = (weightDrop: number) =>
    sequential([make({ name: 'rnn', inputFeatures: 3, weightDrop }), layers.dense({ units: 1 })], {
      seed: 6,
    });
  using plain = build(0);
  using dropping = build(0.9);
  const x = { data: numbers(8 * 6 * 3, 2), shape: [8, 6, 3] };
  const y = { data: numbers(8, 3), shape: [8, 1] };
  expect((await dropping.predict(x)).data).toEqual((await plain.predict(x)).data);
  const unchanged = async (model: typeof plain) => {
    const before = model.getWeights()[parameter]!.data;
    const optimizer = optimizers.sgd({ learningRate: 1 });
    await model.fit(x, y, { loss: 'meanSquaredError', batchSize: 8, epochs: 1, optimizer });
    const after = model.getWeights()[parameter]!.data;
    return before.filter((value, i) => value === after[i]).length / before.length;
  };
  expect(await unchanged(plain)).toBe(0);
  const share = await unchanged(dropping);
  expect(share).toBeGreaterThan(0.7);
  expect(share).toBeLessThan(1);
});

test('parameters and their shapes', () => {
  using model = sequential(
    [
      lstm({ units: 4, inputFeatures: 3, peephole: true, returnSequences: true, name: 'a' }),
      lstm({ units: 4, peephole: true, coupledGates: true, returnSequences: true, name: 'b' }),
      lstm({ units: 4, coupledGates: true, returnSequences: true, name: 'c' }),
      indRnn({ units: 6, name: 'd' }),
    ],
    { seed: 1 },
  );
  const shapes = Object.fromEntries(
    Object.entries(model.getWeights()).map(([name, { shape }]) => [name, shape]),
  );
  expect(shapes).toMatchObject({
    'a.weight_hh_l0': [16, 4],
    'a.weight_ch_l0': [12],
    'b.weight_hh_l0': [12, 4],
    'b.weight_ch_l0': [8],
    'c.weight_ih_l0': [12, 4],
    'd.weight_ih_l0': [6, 4],
    'd.weight_hh_l0': [6],
  });
  expect(Object.keys(shapes)).not.toContain('c.weight_ch_l0');
  // The forget gate's bias begins with 1, wherever that gate is.
  const bias = (name: string) => [...model.getWeights()[`${name}.bias_ih_l0`]!.data];
  expect(bias('a').slice(0, 8)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  expect(bias('c').slice(0, 8)).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
});

test('getConfig and fromConfig are inverse, and a plain lstm stays a plain lstm', () => {
  for (const make of Object.values(cells)) {
    const config = JSON.parse(JSON.stringify(make({}).getConfig())) as unknown;
    expect(layers.fromConfig(config).getConfig()).toEqual(make({}).getConfig());
  }
  expect(lstm({ units: 2 }).nativeType).toBe('lstm');
  const { type, ...old } = lstm({ units: 2 }).getConfig();
  delete old['peephole'];
  delete old['coupledGates'];
  expect(layers.fromConfig({ type, ...old }).getConfig()).toEqual(lstm({ units: 2 }).getConfig());
});

test('wrong options are refused', () => {
  const message = (make: () => unknown) => {
    const { name, message: text } = thrownBy(make);
    return `${name}: ${text}`;
  };
  expect(message(() => lstm({ units: 2, cellClip: 0 }))).toMatch(
    /^RangeError: Expected a finite number at least 1e-30 and at most 1e\+30 for "lstm.cellClip"/,
  );
  expect(message(() => lstm({ units: 2, cellClip: true as never }))).toMatch(/^TypeError: /);
  expect(message(() => lstm({ units: 2, peepholes: true } as never))).toContain('peephole');
  expect(message(() => layers.gru({ units: 2, cellClip: 1 } as never))).toMatch(/^TypeError: /);
  expect(message(() => indRnn({ units: 2, candidateDropout: 0.1 } as never))).toMatch(
    /^TypeError: .*candidateDropout/,
  );
  expect(message(() => indRnn({ units: 2, recurrentInitializer: 'orthogonal' }))).toMatch(
    /^RangeError: Expected an initialiser for a vector \(.*\) for "indRnn.recurrentInitializer"/,
  );
  expect(
    message(() => indRnn({ units: 2, init: 'torch', recurrentInitializer: 'ones' })),
  ).toContain('nothing beside init: "torch"');
});
