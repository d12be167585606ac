/** Layer normalisation inside cells: its parameters, training, files, sessions, and what is refused. */
import { join } from 'node:path';
import { callbacks, layers, load, sequential } from '../../lib';
import type { Layer, Model } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { gru, lstm, simpleRnn } = layers;
const makers = { simpleRnn, lstm, gru };
type Cell = keyof typeof makers;
type Norm = 'gates' | 'ba';

const cells: [Cell, Norm][] = (['simpleRnn', 'lstm', 'gru'] as const).flatMap((cell) => [
  [cell, 'gates'],
  [cell, 'ba'],
]);

const BASE = { units: 5, inputFeatures: 3, layers: 2, returnSequences: true } as const;
const x = { data: numbers(8 * 6 * 3, 2), shape: [8, 6, 3] };
const lengths = [6, 5, 4, 3, 0, 1, 6, 6];
const y = { data: numbers(8, 3), shape: [8, 1] };
const loss = 'meanSquaredError';

function make(cell: Cell, layerNorm: Norm, more: object = {}): Layer {
  return makers[cell]({ ...BASE, layerNorm, ...more });
}

function forecaster(cell: Cell, layerNorm: Norm, more: object = {}): Model {
  const layer = make(cell, layerNorm, { returnSequences: false, ...more });
  return sequential([layer, layers.dense({ units: 1 })], { seed: 5 });
}

function weightsOf(model: Model): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(model.getWeights()).map(([name, { data }]) => [name, [...data]]),
  );
}

describe.each(cells)('%s, layerNorm: %j', (cell, norm) => {
  test('training lowers the loss and moves every parameter, with ragged rows', async () => {
    using model = forecaster(cell, norm, { bidirectional: true, checkpointEvery: 2 });
    const before = weightsOf(model);
    const history = await model.fit(x, y, { epochs: 30, batchSize: 4, lengths, loss });
    expect(history.loss.at(-1)).toBeLessThan(0.8 * history.loss[0]!);
    const after = weightsOf(model);
    for (const [name, values] of Object.entries(before)) {
      expect([name, after[name]]).not.toEqual([name, values]);
    }
  });

  test('a session gives what predict gives, and carries its states', async () => {
    using model = sequential([make(cell, norm, { init: 'torch' })], { seed: 3 });
    const one = { data: x.data.slice(0, 6 * 3), shape: [1, 6, 3] };
    const whole = await model.predict(one);
    using session = model.session();
    const rows: number[] = [];
    for (let t = 0; t < 6; ++t) {
      rows.push(...session.stepSync(one.data.subarray(3 * t, 3 * t + 3)));
      if (t === 2) session.setState(session.state);
    }
    expect(rows).toHaveLength(whole.data.length);
    rows.forEach((value, i) => expect(value).toBeCloseTo(whole.data[i]!, 5));
  });

  test('what is saved loads, with the same options and values', () =>
    inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      using model = forecaster(cell, norm, { bidirectional: true });
      await model.fit(x, y, { epochs: 1, lengths, loss });
      await model.save(path);
      using loaded = await load(path);
      expect(loaded.getConfig()).toEqual(model.getConfig());
      expect(loaded.getWeights()).toEqual(model.getWeights());
      expect(loaded.summary()).toBe(model.summary());
      expect((await loaded.predict(x)).data).toEqual((await model.predict(x)).data);
    }));

  test('a run that goes on after its checkpoint gives the same bits', () =>
    inTemporaryDirectory(async (directory) => {
      const build = () => forecaster(cell, norm, { zoneout: 0.2, recurrentDropout: 0.2 });
      const options = { batchSize: 4, lengths, loss } as const;
      using whole = build();
      await whole.fit(x, y, { ...options, epochs: 4 });
      using first = build();
      const savers = () => [callbacks.modelCheckpoint({ directory })];
      await first.fit(x, y, { ...options, epochs: 2, callbacks: savers() });
      using second = build();
      const resume = directory;
      await second.fit(x, y, { ...options, epochs: 4, resume, callbacks: savers() });
      expect(weightsOf(second)).toEqual(weightsOf(whole));
      expect(weightsOf(second)).not.toEqual(weightsOf(first));
    }));
});

test('parameters and their shapes', () => {
  const shapes = (layer: Layer) => {
    using model = sequential([layer], { seed: 1 });
    return Object.fromEntries<number[]>(
      Object.entries(model.getWeights())
        .filter(([name]) => name.includes('_ln_'))
        .map(([name, { data, shape }]) => [name.replace(/.*\./, ''), [...shape, ...new Set(data)]]),
    );
  };
  const options = { units: 4, inputFeatures: 3 };
  expect(shapes(lstm({ ...options, layerNorm: 'gates', bidirectional: true }))).toEqual({
    weight_ln_l0: [16, 1],
    weight_ln_l0_reverse: [16, 1],
  });
  expect(shapes(lstm({ ...options, layerNorm: 'ba' }))).toEqual({
    weight_ln_ih_l0: [16, 1],
    weight_ln_hh_l0: [16, 1],
    weight_ln_c_l0: [4, 1],
    bias_ln_c_l0: [4, 0],
  });
  expect(shapes(gru({ ...options, layerNorm: 'gates' }))).toEqual({
    weight_ln_l0: [12, 1],
    weight_ln_hh_l0: [4, 1],
  });
  expect(shapes(gru({ ...options, layerNorm: 'ba', useBias: false }))).toEqual({
    weight_ln_ih_l0: [12, 1],
    weight_ln_hh_l0: [12, 1],
  });
  expect(shapes(simpleRnn({ ...options, layerNorm: 'gates', activation: 'relu' }))).toEqual({
    weight_ln_l0: [4, 1],
  });
  expect(shapes(lstm(options))).toEqual({});
});

test.each(['gates', 'ba'] as const)(
  'with %j the scale of the weights does not matter',
  async (layerNorm) => {
    using model = sequential([lstm({ units: 6, inputFeatures: 3, layerNorm })], { seed: 9 });
    const { data: before } = await model.predict(x, { lengths });
    const scaled = Object.fromEntries(
      ['lstm.weight_ih_l0', 'lstm.weight_hh_l0'].map((name) => {
        const { data, shape } = model.getWeights()[name]!;
        return [name, { data: data.map((value) => 50 * value), shape }];
      }),
    );
    model.setWeights({ ...model.getWeights(), ...scaled });
    const { data: after } = await model.predict(x, { lengths });
    after.forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 2));
  },
);

test('it goes with backwards reading, merge modes, dropout, rules of weights and a session of many', async () => {
  using model = sequential(
    [
      gru({
        ...BASE,
        layerNorm: 'ba',
        bidirectional: 'ave',
        dropout: 0.3,
        variationalDropout: true,
        weightDrop: 0.2,
        recurrentRegularizer: { l2: 1e-4 },
      }),
      simpleRnn({ units: 4, layerNorm: 'gates', goBackwards: true }),
      layers.dense({ units: 1 }),
    ],
    { seed: 7 },
  );
  const history = await model.fit(x, y, { epochs: 5, lengths, loss });
  expect(history.loss.every(Number.isFinite)).toBe(true);

  using stream = sequential([lstm({ units: 7, inputFeatures: 3, layerNorm: 'ba' })], { seed: 7 });
  using session = stream.session({ streams: 8 });
  const first = Float32Array.from(
    { length: 24 },
    (_, i) => x.data[Math.floor(i / 3) * 18 + (i % 3)]!,
  );
  const rows = await session.step(first);
  const { data } = await stream.predict(x, { lengths: new Array<number>(8).fill(1) });
  rows.forEach((value, i) => expect(value).toBeCloseTo(data[i]!, 6));
});

test('getConfig and fromConfig are inverse, and other configurations stay as they were', () => {
  for (const [cell, norm] of cells) {
    const config = JSON.parse(JSON.stringify(make(cell, norm).getConfig())) as unknown;
    expect(config).toMatchObject({ layerNorm: norm });
    expect(layers.fromConfig(config).getConfig()).toEqual(make(cell, norm).getConfig());
  }
  for (const plain of [lstm, gru, simpleRnn]) {
    expect(Object.keys(plain({ units: 2 }).getConfig())).not.toContain('layerNorm');
  }
});

test('wrong options are refused', () => {
  const message = (layer: () => unknown) => {
    const { name, message: text } = thrownBy(layer);
    return `${name}: ${text}`;
  };
  const layerNorm = 'gates';
  expect(message(() => lstm({ units: 2, layerNorm: 'batch' as never }))).toMatch(
    /^RangeError: Expected .*gates.*ba.* for "lstm.layerNorm" but received "batch"/,
  );
  expect(message(() => gru({ units: 2, layerNorm: true as never }))).toMatch(/^TypeError: /);
  expect(message(() => lstm({ units: 2, layerNorm, peephole: true }))).toBe(
    'TypeError: Expected false beside layerNorm for "lstm.peephole" but received true (boolean)',
  );
  expect(message(() => lstm({ units: 2, layerNorm, coupledGates: true }))).toContain(
    'Expected false beside layerNorm for "lstm.coupledGates"',
  );
  expect(message(() => lstm({ units: 2, layerNorm, cellClip: 1 }))).toBe(
    'TypeError: Expected nothing beside layerNorm for "lstm.cellClip" but received 1 (number)',
  );
  for (const norm of ['gates', 'ba'] as const) {
    expect(message(() => lstm({ units: 2, layerNorm: norm, projection: 1 }))).toBe(
      'TypeError: Expected nothing beside layerNorm for "lstm.projection" but received 1 (number)',
    );
  }
  expect(message(() => lstm({ units: 2, layerNorm: 'ba', candidateDropout: 0.5 }))).toContain(
    'Expected 0 beside layerNorm for "lstm.candidateDropout"',
  );
  expect(message(() => gru({ units: 2, layerNorm, resetAfter: false }))).toContain(
    'Expected true beside layerNorm for "gru.resetAfter"',
  );
  expect(message(() => gru({ units: 2, layerNorm, candidateDropout: 0.5 }))).toContain(
    'Expected 0 beside layerNorm for "gru.candidateDropout"',
  );
  expect(message(() => layers.indRnn({ units: 2, layerNorm } as never))).toContain('layerNorm');
  // Off is off.
  expect(() => lstm({ units: 2, layerNorm, peephole: false, candidateDropout: 0 })).not.toThrow();
});
