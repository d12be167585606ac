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
