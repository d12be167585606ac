import { addon } from '../../lib/native';
import type { NativeDatasetConfig, NativeModel, NativeModelConfig } from '../../lib/native';
import { thrownBy } from '../helpers/errors';

// What keeps the core safe, whatever the library above it does.

const LAYERS: NativeModelConfig['layers'] = [
  { type: 'embedding', name: 'embedding', options: { inputDim: 4, units: 8 } },
  { type: 'lstm', name: 'lstm', options: { units: 64, returnSequences: true } },
  { type: 'dense', name: 'dense', options: { units: 4 } },
];

function chain(layers: NativeModelConfig['layers'], tokens: boolean): NativeModelConfig {
  return {
    seed: 1,
    inputs: [{ features: tokens ? 1 : 64, tokens, timed: true }],
    layers,
    nodes: layers.map((_layer, i) => ({ layer: i, inputs: [i] })),
    outputs: [layers.length],
  };
}

const SAMPLES = Int32Array.of(0, 1);
const options = { job: 1, threads: 1, wantStates: false };
const none = { moreInputs: [], moreTargets: [], targetFeatures: 1, targetTimed: true };
const tokens: NativeDatasetConfig = {
  ...none,
  tokens: new Int32Array(400).fill(1),
  features: 1,
  inputOffsets: Float64Array.of(0, 200),
  lengths: Int32Array.of(200, 200),
};

function base(): NativeModel {
  return new (addon().Model)(chain(LAYERS, true));
}

test('data is overwritten within its bounds, and not while it is read', async () => {
  const model = base();
  const data = new (addon().Dataset)(tokens, model);
  const write = (sample: number, ids: readonly number[], input = 0) =>
    thrownBy(() => data.writeInput(input, sample, Int32Array.from(ids)));
  const reading = model.predict(data, SAMPLES, 200, null, options);
  expect(write(0, [2])).toMatchObject({ code: 'ERR_BUSY' });
  const before = (await reading).outputs[0]!;
  data.writeInput(0, 1, Int32Array.of(3));
  const after = (await model.predict(data, SAMPLES, 200, null, options)).outputs[0]!;
  const half = after.length / 2;
  expect(after.subarray(0, half)).toEqual(before.subarray(0, half));
  expect(after.subarray(half)).not.toEqual(before.subarray(half));
  expect(write(1, new Array<number>(201).fill(1))).toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
  expect(write(0, [4])).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(write(2, [1])).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(write(0, [1], 1)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(thrownBy(() => data.writeInput(0, 0, Float32Array.of(1)))).toMatchObject({
    name: 'TypeError',
  });
  data.dispose();
  expect(write(0, [1])).toMatchObject({ code: 'ERR_DISPOSED' });
  model.dispose();
});

test('a view is busy when its base is, and outlives it', async () => {
  const model = base();
  const view = new (addon().Model)(chain(LAYERS.slice(2), false), model);
  const { parameters } = view.describe();
  expect(parameters).toEqual(model.describe().parameters);
  const floats: NativeDatasetConfig = {
    ...none,
    floats: new Float32Array(2 * 64).fill(0.5),
    features: 64,
    inputOffsets: Float64Array.of(0, 1),
    lengths: Int32Array.of(1, 1),
  };
  const data = new (addon().Dataset)(floats, view);
  expect(thrownBy(() => model.predictSync(data, SAMPLES, 1, null, options))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  const running = view.predict(data, SAMPLES, 1, null, options);
  expect(model.busy).toBe(true);
  const bias = parameters.findIndex(({ name }) => name === 'dense.bias');
  const values = Float32Array.of(1, 2, 3, 4);
  expect(thrownBy(() => model.writeParameter(bias, values))).toMatchObject({ code: 'ERR_BUSY' });
  const before = (await running).outputs[0]!;
  model.writeParameter(bias, values);
  model.dispose();
  const after = view.predictSync(data, SAMPLES, 1, null, options).outputs[0]!;
  after.forEach((value, i) => expect(value).toBeCloseTo(before[i]! + values[i % 4]!, 5));
  expect(thrownBy(() => view.configureTraining([], {} as never))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  view.dispose();
});
