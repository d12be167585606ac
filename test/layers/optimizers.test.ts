/** What optimisers can do beside their updates, seen from `fit`. */
import { layers, optimizers, schedules, sequential } from '../../lib';
import type { Model, Optimizer, Weights } from '../../lib';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { characterModel, numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(24 * 5 * 3), shape: [24, 5, 3] };
const y = { data: numbers(24 * 2, 9), shape: [24, 2] };
const loss = 'meanSquaredError' as const;

async function trained(optimizer: Optimizer, batchSize: number, epochs = 1, threads = 1) {
  using model = regressionModel();
  const steps: number[] = [];
  const history = await model.fit(x, y, {
    loss,
    optimizer,
    batchSize,
    epochs,
    shuffle: false,
    threads,
    onBatch: ({ step }) => steps.push(step),
  });
  return { weights: model.getWeights(), steps, updates: model.trainedSteps, history };
}

function largestDifference(a: Weights, b: Weights): number {
  return Math.max(
    ...Object.keys(a).flatMap((name) =>
      Array.from(a[name]!.data, (value, i) => Math.abs(value - b[name]!.data[i]!)),
    ),
  );
}

test.each(['adagrad', 'nadam', 'radam', 'lion', 'scheduleFreeAdamw'] as const)(
  '%s learns, and gives the same bits for any number of threads',
  async (name) => {
    const learningRate = name === 'lion' ? 0.01 : name === 'adagrad' ? 0.1 : 0.03;
    const make = () => optimizers[name]({ learningRate });
    const { history, weights } = await trained(make(), 8, 60);
    expect(history.loss.at(-1)).toBeLessThan(history.loss[0]! * 0.5);
    expect((await trained(make(), 8, 60, 2)).weights).toEqual(weights);
    using named = regressionModel();
    await named.fit(x, y, { loss, optimizer: name });
  },
);

describe('accumulateSteps', () => {
  test('several batches are one update, as if they were one batch', async () => {
    const rates: number[] = [];
    const learningRate = (step: number) => {
      rates.push(step);
      return 0.01 / (step + 1);
    };
    const many = await trained(optimizers.adam({ learningRate, accumulateSteps: 3 }), 4, 2);
    expect(many.steps).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    expect(many.updates).toBe(4);
    expect(Math.max(...rates)).toBe(3);
    const rate = (step: number) => 0.01 / (step + 1);
    const one = await trained(optimizers.adam({ learningRate: rate }), 12, 2);
    expect(largestDifference(many.weights, one.weights)).toBeLessThan(1e-6);
  });

  test('batches of different sizes count by their rows', async () => {
    // 24 samples: batches of 16 and 8.
    const two = await trained(optimizers.sgd({ learningRate: 0.1, accumulateSteps: 2 }), 16);
    const one = await trained(optimizers.sgd({ learningRate: 0.1 }), 24);
    expect(largestDifference(two.weights, one.weights)).toBeLessThan(1e-6);
  });

  test('rows of an embedding that only an earlier batch used are updated, too', async () => {
    const ids = [
      [0, 1],
      [2, 3],
    ];
    using model = characterModel(4);
    using whole = characterModel(4);
    const fit = (one: Model, batchSize: number, accumulateSteps: number) =>
      one.fit(ids, ids, {
        loss: 'sparseCategoricalCrossentropy',
        optimizer: optimizers.sgd({ learningRate: 1, accumulateSteps }),
        batchSize,
        epochs: 2,
        shuffle: false,
      });
    await fit(model, 1, 2);
    await fit(whole, 2, 1);
    expect(largestDifference(model.getWeights(), whole.getWeights())).toBeLessThan(1e-6);
  });
});

describe('groups', () => {
  test('a frozen layer stays as it is, the others move as they would', async () => {
    const groups = [{ match: 'gru', learningRateFactor: 0 }];
    const sgd = { learningRate: 0.1 };
    const [frozen, free] = [
      await trained(optimizers.sgd({ ...sgd, groups }), 24),
      await trained(optimizers.sgd(sgd), 24),
    ];
    using fresh = regressionModel();
    for (const [name, { data }] of Object.entries(fresh.getWeights())) {
      if (name.startsWith('gru.')) expect(frozen.weights[name]!.data).toEqual(data);
      else expect(frozen.weights[name]).toEqual(free.weights[name]);
    }
  });

  test('the first match counts; names, stars and regular expressions', async () => {
    const moves = async (match: string | RegExp) => {
      const groups = [{ match, learningRateFactor: 0 }, { match: /./ }];
      const { weights } = await trained(optimizers.sgd({ learningRate: 0.1, groups }), 24);
      using fresh = regressionModel();
      const before = fresh.getWeights();
      return Object.keys(weights).filter(
        (name) => String(weights[name]!.data) === String(before[name]!.data),
      );
    };
    expect(await moves('dense.bias')).toEqual(['dense.bias']);
    expect(await moves('*.bias*')).toEqual(['gru.bias_ih_l0', 'gru.bias_hh_l0', 'dense.bias']);
    expect(await moves(/_hh_/)).toEqual(['gru.weight_hh_l0', 'gru.bias_hh_l0']);
  });

  test('a group that matches nothing is refused with a suggestion', async () => {
    using model = regressionModel();
    const optimizer = optimizers.sgd({ groups: [{ match: 'gro' }] });
    const error = await rejectionOf(() => model.fit(x, y, { loss, optimizer }));
    expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toMatch(/optimizer\.groups\[0\]\.match.*did you mean "gru"\?/);
  });
});

describe('averaging', () => {
  test('the averages become the weights when asked', async () => {
    using model = regressionModel();
    expect(thrownBy(() => model.getWeights({ averaged: true })).message).toMatch(/averaging/);
    const optimizer = optimizers.sgd({
      learningRate: 0.1,
      averaging: { kind: 'swa', start: 1 },
    });
    const after: Weights[] = [];
    const onBatch = () => after.push(model.getWeights());
    const options = { loss, optimizer, batchSize: 24, onBatch };
    await model.fit(x, y, options);
    expect(thrownBy(() => model.getWeights({ averaged: true })).message).toMatch(/no update/);
    for (let i = 0; i < 2; i++) await model.fit(x, y, options);
    const averaged = model.getWeights({ averaged: true });
    for (const [name, { data, shape }] of Object.entries(averaged)) {
      expect(shape).toEqual(after[1]![name]!.shape);
      data.forEach((value, i) => {
        expect(value).toBeCloseTo((after[1]![name]!.data[i]! + after[2]![name]!.data[i]!) / 2, 6);
      });
    }
    expect(model.getWeights()).toEqual(after[2]);
    model.setWeights(averaged);
    expect(model.getWeights()).toEqual(averaged);
  });
});

describe('scheduleFreeAdamw', () => {
  test('callbacks see the mean, also after a step that was left out', async () => {
    using model = sequential([layers.dense({ units: 1, inputFeatures: 1, useBias: false })]);
    const one = { data: Float32Array.of(1), shape: [1, 1] };
    const optimizer = optimizers.scheduleFreeAdamw({ learningRate: 0.25, beta2: 0 });
    const seen: number[] = [];
    const start = model.getWeights()['dense.weight']!.data[0]!;
    for (let i = 0; i < 3; i++) {
      // The target is far above, so each iterate is the rate above the one before.
      await model.fit(one, { data: Float32Array.of(100), shape: [1, 1] }, { loss, optimizer });
      seen.push(model.getWeights()['dense.weight']!.data[0]! - start);
    }
    [0.25, (0.25 + 0.5) / 2, (0.25 + 0.5 + 0.75) / 3].forEach((value, i) => {
      expect(seen[i]).toBeCloseTo(value, 5);
    });
    const before = model.getWeights();
    await rejectionOf(() =>
      model.fit(one, { data: Float32Array.of(NaN), shape: [1, 1] }, { loss, optimizer }),
    );
    expect(model.getWeights()).toEqual(before);
  });

  test('a warm-up and a schedule exclude each other', () => {
    const learningRate = schedules.constant(0.1);
    const error = thrownBy(() => optimizers.scheduleFreeAdamw({ learningRate, warmupSteps: 5 }));
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  });
});

test.each([
  ['sgd', { accumulateSteps: 0 }, 'RangeError', /sgd\.accumulateSteps/],
  ['sgd', { gradientAccumulationSteps: 2 }, 'TypeError', /did you mean "accumulateSteps"\?/],
  ['sgd', { groups: {} }, 'TypeError', /an array of groups.*sgd\.groups/],
  ['sgd', { groups: [{}] }, 'TypeError', /sgd\.groups\[0\]\.match/],
  ['sgd', { groups: [{ match: 'a', lr: 1 }] }, 'TypeError', /sgd\.groups\[0\]/],
  ['adam', { groups: [{ match: 'a', weightDecay: 1 }] }, 'TypeError', /adam\.groups\[0\]/],
  ['adam', { averaging: { kind: 'mean' } }, 'RangeError', /adam\.averaging\.kind/],
  ['adam', { averaging: { kind: 'ema', decay: 1 } }, 'RangeError', /adam\.averaging\.decay/],
  ['lion', { epsilon: 1 }, 'TypeError', /lion/],
  ['adagrad', { initialAccumulator: -1 }, 'RangeError', /adagrad\.initialAccumulator/],
  ['nadam', { momentumDecay: -1 }, 'RangeError', /nadam\.momentumDecay/],
  ['scheduleFreeAdamw', { beta1: 0 }, 'RangeError', /scheduleFreeAdamw\.beta1/],
] as const)('wrong options of %s: %j', (name, options, kind, message) => {
  const make = optimizers[name] as (given: object) => unknown;
  const error = thrownBy(() => make(options));
  expect(error).toMatchObject({ name: kind, code: 'ERR_INVALID_ARGUMENT' });
  expect(error.message).toMatch(message);
});
