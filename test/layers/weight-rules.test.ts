/** Penalties and constraints of weights, as a user meets them. */
import { callbacks, fromConfig, layers, optimizers, sequential } from '../../lib';
import type { Model } from '../../lib';
import { argumentError, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

type Gru = Partial<Parameters<typeof layers.gru>[0]>;
type Dense = Partial<Parameters<typeof layers.dense>[0]>;

const x = { data: numbers(8 * 5 * 3), shape: [8, 5, 3] };
const y = { data: numbers(8 * 2, 9), shape: [8, 2] };
const loss = 'meanSquaredError';

function model(gru: Gru = {}, dense: Dense = {}): Model {
  return sequential(
    [layers.gru({ units: 6, inputFeatures: 3, ...gru }), layers.dense({ units: 2, ...dense })],
    { seed: 4 },
  );
}

function weightsOf(of: Model, name: string): Float32Array {
  return Float32Array.from(of.getWeights()[name]!.data);
}

function sumOfSquares(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

test('fit and evaluate report the loss with the penalty', async () => {
  const penalized = model({ recurrentRegularizer: { l2: 0.5 } }, { kernelRegularizer: 'l1' });
  const plain = model();
  const recurrent = sumOfSquares(weightsOf(penalized, 'gru.weight_hh_l0'));
  const dense = weightsOf(penalized, 'dense.weight').reduce((sum, w) => sum + Math.abs(w), 0);
  const penalty = 0.5 * recurrent + 0.01 * dense;
  const bare = await plain.evaluate(x, y, { loss });
  const whole = await penalized.evaluate(x, y, { loss });
  expect(whole.loss).toBeCloseTo(bare.loss + penalty, 5);
  const steps: number[] = [];
  const history = await penalized.fit(x, y, {
    loss,
    batchSize: 4,
    shuffle: false,
    optimizer: optimizers.sgd({ learningRate: 0 }),
    validationData: [x, y],
    onBatch: (event) => steps.push(event.loss),
  });
  expect(history.loss[0]).toBeCloseTo(whole.loss, 5);
  expect(history.valLoss![0]).toBeCloseTo(whole.loss, 5);
  expect((steps[0]! + steps[1]!) / 2).toBeCloseTo(whole.loss, 5);
});

test('metrics of the data do not count the penalty', async () => {
  const make = (embeddingsRegularizer?: 'l2') =>
    sequential(
      [
        layers.embedding({ inputDim: 5, units: 4, embeddingsRegularizer }),
        layers.dense({ units: 5 }),
      ],
      { seed: 2 },
    );
  const ids = { data: Int32Array.of(0, 1, 2, 3), shape: [1, 4] };
  const next = { data: Int32Array.of(1, 2, 3, 4), shape: [1, 4] };
  const options = { loss: 'sparseCategoricalCrossentropy', metrics: ['bits'] } as const;
  const bare = await make().evaluate(ids, next, options);
  const whole = await make('l2').evaluate(ids, next, options);
  expect(whole.bits).toBe(bare.bits);
  expect(whole.loss).toBeGreaterThan(bare.loss);
});

// SGD's weight decay is tested against PyTorch: g + d w is the gradient of an l2 of d / 2.
test.each([1, 2])(
  'l2 everywhere is the weight decay of SGD, in updates over %p batches',
  async (accumulateSteps) => {
    const half = { l2: 0.05 };
    const penalized = model(
      { kernelRegularizer: half, recurrentRegularizer: half, biasRegularizer: half },
      { kernelRegularizer: half, biasRegularizer: half },
    );
    const decayed = model();
    const options = { loss, batchSize: 4, epochs: 3, shuffle: false } as const;
    const sgd = { learningRate: 0.3, accumulateSteps };
    await penalized.fit(x, y, { ...options, optimizer: optimizers.sgd(sgd) });
    await decayed.fit(x, y, {
      ...options,
      optimizer: optimizers.sgd({ ...sgd, weightDecay: 0.1 }),
    });
    for (const [name, { data }] of Object.entries(penalized.getWeights())) {
      const wanted = weightsOf(decayed, name);
      data.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
    }
  },
);

test('the gradient of a penalty is clipped with the rest', async () => {
  const penalized = model({ recurrentRegularizer: { l2: 100 } });
  const before = weightsOf(penalized, 'gru.weight_hh_l0');
  let norm = 0;
  await penalized.fit(x, y, {
    loss,
    batchSize: 8,
    optimizer: optimizers.sgd({ learningRate: 1, clipNorm: 0.25 }),
    onBatch: (event) => {
      norm = event.gradientNorm;
    },
  });
  expect(norm).toBeGreaterThan(200);
  const after = weightsOf(penalized, 'gru.weight_hh_l0');
  expect(Math.sqrt(sumOfSquares(after.map((value, i) => value - before[i]!)))).toBeLessThan(0.2501);
});

test('constraints hold after an update, in stacks and both directions', async () => {
  const constrained = model(
    {
      layers: 2,
      bidirectional: true,
      kernelConstraint: { kind: 'maxNorm', max: 0.5 },
      recurrentConstraint: { kind: 'maxAbs', max: 0.125 },
      biasConstraint: 'nonNeg',
    },
    { kernelConstraint: 'unitNorm' },
  );
  await constrained.fit(x, y, { loss, batchSize: 4 });
  for (const [name, { data, shape }] of Object.entries(constrained.getWeights())) {
    const values = Float32Array.from(data);
    const columns = shape.at(-1)!;
    const norms = Array.from({ length: values.length / columns }, (_row, r) =>
      Math.sqrt(sumOfSquares(values.subarray(r * columns, (r + 1) * columns))),
    );
    if (name.includes('weight_ih')) expect(Math.max(...norms)).toBeLessThan(0.500001);
    else if (name.includes('weight_hh')) expect(Math.max(...values.map(Math.abs))).toBe(0.125);
    else if (name.includes('gru.bias')) expect(Math.min(...values)).toBe(0);
    else if (name === 'dense.weight') norms.forEach((norm) => expect(norm).toBeCloseTo(1, 5));
  }
});

test('a run with penalties and constraints goes on exactly where it was left', async () => {
  await inTemporaryDirectory(async (directory) => {
    const make = () =>
      model(
        {
          recurrentRegularizer: { l1: 0.001, l2: 0.01 },
          recurrentConstraint: { kind: 'maxAbs', max: 0.3 },
        },
        { kernelConstraint: { kind: 'maxNorm', max: 0.4 } },
      );
    const options = { loss, batchSize: 2, epochs: 3 } as const;
    const whole = make();
    const wanted = await whole.fit(x, y, options);
    const first = make();
    const stop = { onBatchEnd: ({ step }: { step: number }) => void (step === 4 && first.stop()) };
    await first.fit(x, y, {
      ...options,
      callbacks: [callbacks.modelCheckpoint({ directory, everySteps: 1 }), stop],
    });
    const second = make();
    const history = await second.fit(x, y, { ...options, resume: directory });
    expect(history.loss).toEqual(wanted.loss);
    for (const [name, { data }] of Object.entries(whole.getWeights())) {
      expect(second.getWeights()[name]!.data).toEqual(data);
    }
    const other = model();
    await expect(other.fit(x, y, { ...options, resume: directory })).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
    });
  });
});

test('configurations hold the rules', () => {
  const made = model({ kernelRegularizer: 'l2', recurrentConstraint: { kind: 'maxAbs', max: 1 } });
  const config = JSON.parse(JSON.stringify(made.getConfig())) as ReturnType<Model['getConfig']>;
  expect(config.layers[0]).toMatchObject({
    kernelRegularizer: { l1: 0, l2: 0.01 },
    recurrentConstraint: { kind: 'maxAbs', max: 1 },
  });
  expect(fromConfig(config).getConfig()).toEqual(config);
});

describe('refused', () => {
  const dense = layers.dense as unknown as (options: object) => unknown;
  test.each<[string, object, 'TypeError' | 'RangeError', RegExp]>([
    ['names of penalties', { kernelRegularizer: 'l3' }, 'RangeError', /"l1", "l2" or \{ l1, l2 \}/],
    ['negative factors', { biasRegularizer: { l2: -1 } }, 'RangeError', /biasRegularizer\.l2.*-1/],
    ['factors alone', { kernelRegularizer: 0.1 }, 'TypeError', /kernelRegularizer/],
    [
      'names of constraints',
      { kernelConstraint: 'maxNrm' },
      'RangeError',
      /did you mean "maxNorm"/,
    ],
    [
      'bounds that are missing',
      { kernelConstraint: 'maxNorm' },
      'TypeError',
      /\{ kind: "maxNorm", max: … \}/,
    ],
    ['bounds of 0', { kernelConstraint: { kind: 'maxAbs', max: 0 } }, 'RangeError', /above 0/],
    ['bounds for nothing', { biasConstraint: { kind: 'nonNeg', max: 1 } }, 'TypeError', /max/],
    [
      'rules for what is not there',
      { recurrentConstraint: 'nonNeg' },
      'TypeError',
      /recurrentConstraint/,
    ],
  ])('%s', (_name, options, name, message) => {
    const caught = thrownBy(() => dense({ units: 1, ...options }));
    expect(caught).toEqual(argumentError(name, message));
  });
});
