/** Losses as the public API takes them; their numbers are tested against PyTorch in test/golden. */
import { layers, optimizers, sequential } from '../../lib';
import type { LossOptions } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { numbers } from '../helpers/models';

const x = { data: numbers(40 * 2), shape: [40, 2] };

function denseModel(units: number, activation?: 'softmax' | 'sigmoid') {
  const options = { units, inputFeatures: 2, ...(activation && { activation }) };
  return sequential([layers.dense(options)], { seed: 2 });
}

const softplus = (value: number) => Math.log1p(Math.exp(value)) + 1e-6;

test('a Gaussian head learns means and deviations', async () => {
  using model = denseModel(2);
  const noise = numbers(40, 5);
  const y = { data: noise.map((value) => 3 + 0.5 * value), shape: [40, 1] };
  const optimizer = optimizers.adam({ learningRate: 0.05 });
  const { loss } = await model.fit(x, y, { loss: 'gaussian', epochs: 200, optimizer });
  const mean = y.data.reduce((sum, value) => sum + value, 0) / 40;
  const deviation = Math.sqrt(y.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 40);
  const { data } = await model.predict({ data: Float32Array.of(0, 0), shape: [1, 2] });
  expect(Math.abs(data[0]! - mean)).toBeLessThan(0.15);
  expect(Math.abs(softplus(data[1]!) - deviation)).toBeLessThan(0.1);
  expect(loss.at(-1)).toBeLessThan(loss[0]!);
});

test('quantiles of the same target lie in order, in blocks of features', async () => {
  using model = denseModel(6);
  const y = { data: numbers(80, 7), shape: [40, 2] };
  const loss: LossOptions = { kind: 'quantile', quantiles: [0.1, 0.5, 0.9] };
  const optimizer = optimizers.adam({ learningRate: 0.05 });
  await model.fit(x, y, { loss, epochs: 150, optimizer });
  const { data } = await model.predict({ data: Float32Array.of(0, 0), shape: [1, 2] });
  for (const feature of [0, 1]) {
    expect(data[feature]).toBeLessThan(data[2 + feature]!);
    expect(data[2 + feature]).toBeLessThan(data[4 + feature]!);
  }
  // 10 % of the targets lie below the first quantile, give or take a few of 40.
  const all = await model.predict(x);
  const below = Array.from({ length: 40 }, (_v, i) => y.data[2 * i]! < all.data[6 * i]!);
  expect(below.filter(Boolean).length).toBeLessThan(10);
});

test('class weights and label smoothing change the value as they should', async () => {
  using model = denseModel(3);
  const labels = Int32Array.from({ length: 40 }, (_v, i) => i % 3);
  const evaluate = async (options: object) => {
    const loss: LossOptions = { kind: 'sparseCategoricalCrossentropy', ...options };
    return (await model.evaluate(x, labels, { loss })).loss;
  };
  const plain = await evaluate({});
  expect(await evaluate({ classWeights: Float32Array.of(2, 2, 2) })).toBeCloseTo(2 * plain, 5);
  let sum = 0;
  for (const k of [0, 1, 2]) {
    sum += await evaluate({ classWeights: [0, 1, 2].map((j) => (j === k ? 1 : 0)) });
  }
  expect(sum).toBeCloseTo(plain, 5);
  expect(await evaluate({ labelSmoothing: 0.5 })).not.toBeCloseTo(plain, 4);
  expect(await evaluate({ labelSmoothing: 0 })).toBe(plain);
});

test('the same loss with other options starts no new optimiser', async () => {
  using model = denseModel(3);
  const labels = Int32Array.from({ length: 40 }, (_v, i) => i % 3);
  const optimizer = optimizers.adam();
  const kind = 'sparseCategoricalCrossentropy' as const;
  await model.fit(x, labels, { loss: { kind }, optimizer, batchSize: 40 });
  const smooth: LossOptions = { kind, labelSmoothing: 0.3 };
  const { loss } = await model.fit(x, labels, { loss: smooth, optimizer, batchSize: 40 });
  expect(model.trainedSteps).toBe(2);
  using other = denseModel(3);
  other.setWeights(model.getWeights());
  expect(loss[0]).not.toBe((await model.evaluate(x, labels, { loss: kind })).loss);
});

const y1 = { data: new Float32Array(40), shape: [40, 1] };

test.each([
  [3, { kind: 'gaussian' }, y1, /multiple of 2 features from the last layer.*"gaussian".*has 3/],
  [2, { kind: 'studentT' }, y1, /multiple of 3 features/],
  [4, { kind: 'gaussian' }, { data: new Float32Array(160), shape: [40, 4] }, /2/],
  [3, { kind: 'quantile', quantiles: [0.1, 0.9] }, y1, /multiple of 2 features/],
  [2, { kind: 'quantile', quantiles: [0.1, 1] }, y1, /below 1.*loss\.quantiles\[1\]/],
  [2, { kind: 'quantile', quantiles: [] }, y1, /at least one number.*loss\.quantiles/],
  [1, { kind: 'huber', gamma: 2 }, y1, /nothing with the loss "huber".*loss\.gamma/],
  [1, { kind: 'meanSquaredError', labelSmoothing: 0.1 }, y1, /loss\.labelSmoothing/],
  [1, { kind: 'binaryCrossentropy', labelSmoothing: 1 }, y1, /below 1.*loss\.labelSmoothing/],
  [1, { kind: 'binaryCrossentropy', classWeights: [1] }, y1, /2 numbers for "loss\.classWeights"/],
  [1, { kind: 'binaryCrossentropy', classWeights: [1, -1] }, y1, /loss\.classWeights\[1\]/],
  [1, { kind: 'binaryCrossentropy', classWeights: 3 }, y1, /an array of numbers/],
  [1, { kind: 'gausian' }, y1, /did you mean "gaussian"/],
] as const)('%i units with %j are refused', async (units, loss, y, message) => {
  using model = denseModel(units);
  const error = await rejectionOf(() => model.fit(x, y, { loss: loss as LossOptions }));
  expect(error.message).toMatch(message);
});

test('negative counts are refused before anything is computed', async () => {
  using model = denseModel(2);
  const before = model.getWeights();
  const y = {
    data: Float32Array.from({ length: 40 }, (_v, i) => (i === 7 ? -1 : i)),
    shape: [40, 1],
  };
  const error = await rejectionOf(() => model.fit(x, y, { loss: 'negativeBinomial' }));
  expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_INVALID_ARGUMENT' });
  expect(error.message).toMatch(/numbers of 0 or more for "y \(number 7\)"/);
  expect(model.getWeights()).toEqual(before);
});

test('focal losses read logits', async () => {
  using model = denseModel(3, 'softmax');
  const labels = new Int32Array(40);
  const error = await rejectionOf(() =>
    model.fit(x, labels, { loss: 'sparseCategoricalFocalCrossentropy' }),
  );
  expect(error.message).toMatch(/applies softmax; take its activation away/);
});

test('perplexity needs a cross-entropy, accuracy classes', async () => {
  using model = denseModel(2);
  const options = { loss: 'gaussian' as const };
  for (const metric of ['accuracy', 'perplexity'] as const) {
    const error = await rejectionOf(() => model.evaluate(x, y1, { ...options, metrics: [metric] }));
    expect(error.message).toMatch(/a metric that the loss "gaussian" has/);
  }
});
