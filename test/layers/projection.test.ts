/** LSTMs with a projected output: shapes, files, sessions, runs, and what is refused. */
import { join } from 'node:path';
import { callbacks, layers, load, optimizers, safetensors, sequential, text } from '../../lib';
import type { Model } from '../../lib';
import { expectClose } from '../golden/close';
import { Vector } from '../golden/vectors';
import { argumentError, rejectionOf, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { lstm, gru, dense } = layers;

const BASE = { units: 7, projection: 3, inputFeatures: 3, layers: 2 } as const;
const x = { data: numbers(4 * 6 * 3, 1), shape: [4, 6, 3] };
const y = { data: numbers(4 * 2, 2), shape: [4, 2] };
const lengths = [6, 2, 0, 5];

const weightsOf = (model: Model) =>
  Object.fromEntries(Object.entries(model.getWeights()).map(([name, { data }]) => [name, data]));

const shapesOf = (of: Record<string, { shape: readonly number[] }>) =>
  Object.fromEntries(Object.entries(of).map(([name, { shape }]) => [name, shape]));

test('parameters, outputs and states have their own shapes', async () => {
  using model = sequential([lstm({ ...BASE, bidirectional: true, returnSequences: true })]);
  const shapes = shapesOf(model.getWeights());
  expect(shapes).toMatchObject({
    'lstm.weight_ih_l0': [28, 3],
    'lstm.weight_hh_l0': [28, 3],
    'lstm.bias_hh_l0': [28],
    'lstm.weight_hr_l0': [3, 7],
    'lstm.weight_ih_l1_reverse': [28, 6],
    'lstm.weight_hr_l1_reverse': [3, 7],
  });
  expect(Object.keys(shapes)).toHaveLength(4 * 5);
  const count = Object.values(shapes).reduce(
    (sum, shape) => sum + shape.reduce((a, b) => a * b),
    0,
  );
  expect(count).toBe(2 * (28 * (3 + 3 + 2) + 21) + 2 * (28 * (6 + 3 + 2) + 21));
  expect(model.summary()).toContain(` ${count.toLocaleString('en-US')}\n`);
  expect(model.summary()).toContain('[batch, time, 6]');
  const { shape, states } = await model.predict(x, { lengths, returnState: true });
  expect(shape).toEqual([4, 6, 6]);
  expect(shapesOf(states!['lstm']!)).toEqual({ h: [4, 4, 3], c: [4, 4, 7] });
});

test('a layer above takes the projected values', async () => {
  using model = sequential([
    lstm({ ...BASE, bidirectional: 'sum' }),
    dense({ units: 2, name: 'head' }),
  ]);
  expect(model.getWeights()['head.weight']!.shape).toEqual([2, 3]);
  expect((await model.predict(x)).shape).toEqual([4, 2]);
});

test('states go in and out, and their widths are checked', async () => {
  using model = sequential([lstm({ ...BASE, returnSequences: true, init: 'torch' })], { seed: 2 });
  const half = (from: number) => ({
    data: Float32Array.from({ length: 4 * 3 * 3 }, (_, i) => {
      const [row, rest] = [Math.floor(i / 9), i % 9];
      return x.data[row * 18 + from * 3 + rest]!;
    }),
    shape: [4, 3, 3],
  });
  const whole = await model.predict(x, { returnState: true });
  const first = await model.predict(half(0), { returnState: true });
  const second = await model.predict(half(3), { initialState: first.states!, returnState: true });
  expect(second.states).toEqual(whole.states);
  const h = { data: numbers(2 * 4 * 7), shape: [2, 4, 7] };
  const error = await rejectionOf(() => model.predict(x, { initialState: { lstm: { h } } }));
  expect(error).toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
  expect(error.message).toContain('[2, 4, 3]');
});

test('a session gives what predict gives, and carries its states', async () => {
  using model = sequential([lstm({ ...BASE, returnSequences: true, init: 'torch' })], { seed: 3 });
  const whole = await model.predict({ data: x.data.subarray(0, 18), shape: [1, 6, 3] });
  using session = model.session();
  const rows: number[] = [];
  for (let t = 0; t < 6; ++t) {
    rows.push(...session.stepSync(x.data.subarray(3 * t, 3 * t + 3)));
    if (t === 2) session.setState(session.state);
  }
  expect(shapesOf(session.state['lstm']!)).toEqual({ h: [2, 1, 3], c: [2, 1, 7] });
  expect(rows).toEqual([...whole.data]);
});

test('text is generated', async () => {
  const vocab = text.charVocab('abcd');
  using model = sequential([
    layers.embedding({ inputDim: vocab.size, units: 4 }),
    lstm({ units: 8, projection: 5, returnSequences: true }),
    dense({ units: vocab.size }),
  ]);
  using session = model.session();
  let written = '';
  const options = { prompt: 'ab', length: 20, seed: 1 };
  for await (const piece of text.generate(session, vocab, options)) written += piece;
  expect(written).toHaveLength(20);
});

test('what is saved loads, with the same options and values', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'model.safetensors');
    using model = sequential([lstm({ ...BASE, bidirectional: true, peephole: true })], { seed: 4 });
    await model.save(path);
    using loaded = await load(path);
    expect(loaded.getConfig()).toEqual(model.getConfig());
    expect(loaded.getConfig().layers[0]).toMatchObject({ type: 'lstm', units: 7, projection: 3 });
    expect(loaded.getWeights()).toEqual(model.getWeights());
    expect((await loaded.predict(x)).data).toEqual((await model.predict(x)).data);
    expect(loaded.summary()).toBe(model.summary());
  }));

test("a state dict of PyTorch's LSTM with proj_size loads", () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'torch.safetensors');
    const vector = new Vector('data/recurrent/lstm-uni1-full-t6b3i4h9p4-state.safetensors');
    const names = vector.names.filter((name) => /^(weight|bias)_/.test(name));
    expect(names).toContain('weight_hr_l0');
    await safetensors.write(
      path,
      Object.fromEntries(names.map((name) => [`encoder.rnn.${name}`, vector.floats(name)])),
    );
    using model = sequential([
      lstm({ units: 9, projection: 4, inputFeatures: 4, returnSequences: true }),
    ]);
    const report = await model.loadWeights(path, { map: { 'encoder.rnn': 'lstm' } });
    expect(report).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
    const prediction = await model.predict(vector.floats('x'), {
      initialState: { lstm: { h: vector.floats('h0'), c: vector.floats('c0') } },
    });
    expectClose(prediction, vector.floats('y'), 'y');
  }));

describe('training', () => {
  const make = (more: object = {}) =>
    sequential([lstm({ ...BASE, ...more }), dense({ units: 2 })], { seed: 5 });
  const options = { loss: 'meanSquaredError', batchSize: 2, lengths } as const;

  test('lowers the loss, with all that goes with it', async () => {
    using model = make({
      bidirectional: true,
      peephole: true,
      cellClip: 3,
      checkpointEvery: 2,
      zoneout: 0.05,
      recurrentDropout: 0.05,
      weightDrop: 0.05,
      kernelRegularizer: { l2: 1e-5 },
    });
    const before = weightsOf(model);
    const optimizer = optimizers.adam({ learningRate: 0.02 });
    const { loss } = await model.fit(x, y, { ...options, epochs: 60, optimizer });
    expect(Math.min(...loss)).toBeLessThan(0.7 * loss[0]!);
    for (const [name, data] of Object.entries(weightsOf(model))) {
      expect([name, data]).not.toEqual([name, before[name]]);
    }
  });

  test('goes on exactly where it was left', () =>
    inTemporaryDirectory(async (directory) => {
      const whole = make({ zoneout: 0.1, recurrentDropout: 0.1 });
      const wanted = await whole.fit(x, y, { ...options, epochs: 3 });
      const first = make({ zoneout: 0.1, recurrentDropout: 0.1 });
      const stop = {
        onBatchEnd: ({ step }: { step: number }) => void (step === 3 && first.stop()),
      };
      await first.fit(x, y, {
        ...options,
        epochs: 3,
        callbacks: [callbacks.modelCheckpoint({ directory, everySteps: 1 }), stop],
      });
      const second = make({ zoneout: 0.1, recurrentDropout: 0.1 });
      const history = await second.fit(x, y, { ...options, epochs: 3, resume: directory });
      expect(history.loss).toEqual(wanted.loss);
      expect(weightsOf(second)).toEqual(weightsOf(whole));
    }));

  test('weight_hr is a kernel: its rules hold for it, those of recurrent weights do not', async () => {
    using model = make({
      kernelConstraint: { kind: 'maxAbs', max: 0.125 },
      recurrentConstraint: { kind: 'maxAbs', max: 0.25 },
    });
    await model.fit(x, y, { ...options, epochs: 1 });
    const largest = (name: string) => Math.max(...weightsOf(model)[name]!.map(Math.abs));
    expect(largest('lstm.weight_hr_l0')).toBe(0.125);
    expect(largest('lstm.weight_ih_l0')).toBe(0.125);
    expect(largest('lstm.weight_hh_l0')).toBe(0.25);
  });
});

test('getConfig and fromConfig are inverse; without a projection there is none', () => {
  const config = JSON.parse(JSON.stringify(lstm(BASE).getConfig())) as unknown;
  expect(layers.fromConfig(config).getConfig()).toEqual(lstm(BASE).getConfig());
  expect(lstm({ units: 2 }).getConfig()).not.toHaveProperty('projection');
});

test('wrong options are refused', () => {
  for (const projection of [0, -1, 1.5, NaN]) {
    expect(thrownBy(() => lstm({ units: 4, projection }))).toEqual(
      argumentError('RangeError', /^Expected an integer from 1 to \d+ for "lstm\.projection"/),
    );
  }
  expect(thrownBy(() => lstm({ units: 4, projection: 5 }))).toEqual(
    argumentError(
      'RangeError',
      /^Expected an integer from 1 to units \(4\) for "lstm\.projection"/,
    ),
  );
  expect(thrownBy(() => lstm({ units: 4, projection: true as never }))).toEqual(
    argumentError('TypeError', /"lstm\.projection"/),
  );
  expect(lstm({ units: 4, projection: 4 }).options['projection']).toBe(4);
  expect(thrownBy(() => gru({ units: 4, projection: 2 } as never))).toEqual(
    argumentError('TypeError', /projection/),
  );
  expect(thrownBy(() => lstm({ units: 4, projSize: 2 } as never))).toEqual(
    argumentError('TypeError', /did you mean "projection"\? \("projSize" is PyTorch's name\)/),
  );
});
