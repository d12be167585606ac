/** Schedules that follow a metric, inside a training run. */
import { optimizers, schedules } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const loss = 'meanSquaredError' as const;

/** A rate so high, and a threshold so wide, that no epoch after the first is an improvement. */
const stuck = (options: object = {}) =>
  optimizers.sgd({
    learningRate: schedules.plateau({
      learningRate: 1e-6,
      factor: 0.5,
      patience: 0,
      threshold: 0.5,
      ...options,
    }),
  });

async function ratesOf(model: ReturnType<typeof regressionModel>, optimizer: object, epochs = 4) {
  const rates: number[] = [];
  await model.fit(x, y, {
    loss,
    epochs,
    batchSize: 20,
    optimizer: optimizer as ReturnType<typeof stuck>,
    validationSplit: 0.5,
    onBatch: ({ learningRate }) => rates.push(learningRate),
  });
  return rates;
}

test('the rate falls at the ends of epochs, and the state belongs to the model', async () => {
  using model = regressionModel();
  using other = regressionModel();
  // A fall by less than 1e-8 is none, as in PyTorch.
  const optimizer = stuck();
  expect(await ratesOf(model, optimizer)).toEqual([1e-6, 1e-6, 5e-7, 2.5e-7]);
  expect(await ratesOf(other, optimizer)).toEqual([1e-6, 1e-6, 5e-7, 2.5e-7]);
  // A further fit with the same optimiser goes on, another one begins anew.
  expect(await ratesOf(model, optimizer, 2)).toEqual([1.25e-7, 6.25e-8]);
  expect(await ratesOf(model, stuck(), 1)).toEqual([1e-6]);
});

test('a metric that the run does not report is refused at once', async () => {
  using model = regressionModel();
  const before = model.getWeights();
  for (const monitor of ['valLoss', 'accuracy', 'los']) {
    const options = { loss, optimizer: stuck({ monitor }) };
    const error = await rejectionOf(() => model.fit(x, y, options));
    expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toMatch(/schedules\.plateau\.monitor.*this run reports loss/);
  }
  expect(model.getWeights()).toEqual(before);
  await model.fit(x, y, { loss, validationSplit: 0.5, optimizer: stuck({ monitor: 'valLoss' }) });
});

describe('a momentum that moves', () => {
  const cycle = (options: object = {}) =>
    schedules.oneCycle({
      learningRate: 0.02,
      totalSteps: 12,
      cycleMomentum: true,
      baseMomentum: 0.3,
      maxMomentum: 0.9,
      ...options,
    });
  /** Constant rate and momentum, by the same way into the core. */
  const held = (momentum: number) => Object.assign(() => 0.02, { momentum: () => momentum });

  async function weightsOf(optimizer: ReturnType<typeof stuck>, epochs = 6, threads = 1) {
    using model = regressionModel();
    const shape = { loss, epochs, batchSize: 10, shuffle: false, threads };
    await model.fit(x, y, { ...shape, optimizer });
    return model.getWeights();
  }

  test('is the one that updates are made with', async () => {
    const { sgd, rmsprop, adam, adamw, radam, lion } = optimizers;
    const base = { learningRate: 0.02 };
    // What the schedule says goes before what the optimiser says.
    const options = { learningRate: held(0.7) };
    const pairs = [
      [sgd({ ...options, momentum: 0.1 }), sgd({ ...base, momentum: 0.7 })],
      [rmsprop({ ...options, momentum: 0.1 }), rmsprop({ ...base, momentum: 0.7 })],
      [adam({ ...options, beta1: 0.1 }), adam({ ...base, beta1: 0.7 })],
      [adamw({ ...options, beta1: 0.1 }), adamw({ ...base, beta1: 0.7 })],
      [radam({ ...options, beta1: 0.1 }), radam({ ...base, beta1: 0.7 })],
      [lion({ ...options, beta1: 0.1 }), lion({ ...base, beta1: 0.7 })],
    ] as const;
    for (const [moved, own] of pairs) {
      const weights = await weightsOf(own);
      expect(await weightsOf(moved)).toEqual(weights);
      expect(await weightsOf(optimizers[own.kind](base))).not.toEqual(weights);
    }
  });

  test('gives the same bits for any number of threads, and counts updates', async () => {
    const make = () => optimizers.adam({ learningRate: cycle(), accumulateSteps: 2 });
    const weights = await weightsOf(make(), 6, 1);
    expect(await weightsOf(make(), 6, 2)).toEqual(weights);
    const steps: number[] = [];
    const momentum = (step: number): number => {
      steps.push(step);
      return 0.5;
    };
    const learningRate = Object.assign(() => 0.01, { momentum });
    await weightsOf(optimizers.adam({ learningRate, accumulateSteps: 2 }), 3);
    expect([...new Set(steps)]).toEqual([0, 1, 2]);
  });

  test('is refused where there is none to move', async () => {
    const learningRate = cycle();
    expect(() => optimizers.sgd({ learningRate })).toThrow(/sgd\.momentum.*schedule moves it/);
    expect(() => optimizers.rmsprop({ learningRate })).toThrow(/rmsprop\.momentum/);
    for (const name of ['adagrad', 'nadam', 'scheduleFreeAdamw'] as const) {
      expect(() => optimizers[name]({ learningRate })).toThrow(
        /a schedule of the rate alone.*sgd, rmsprop, adam, adamw, radam, lion/,
      );
    }
    const wrong = Object.assign(() => 0.01, { momentum: 0.9 });
    expect(() => optimizers.adam({ learningRate: wrong as never })).toThrow(/function of the step/);
    using model = regressionModel();
    const outside = { learningRate: held(1) };
    const fitted = () => model.fit(x, y, { loss, optimizer: optimizers.adam(outside) });
    expect((await rejectionOf(fitted)).message).toMatch(/learningRate\.momentum\(0\).*received 1/);
  });
});
