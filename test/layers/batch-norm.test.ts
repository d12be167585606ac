import { join } from 'node:path';
import { layers, load, optimizers, safetensors, sequential } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { batchNorm, dense, gru } = layers;

const x = { data: numbers(12 * 5 * 3).map((value) => 4 + value), shape: [12, 5, 3] };
const y = { data: numbers(12 * 5 * 2, 9), shape: [12, 5, 2] };
const loss = 'meanSquaredError' as const;

const build = () =>
  sequential(
    [
      gru({ units: 5, inputFeatures: 3, returnSequences: true }),
      batchNorm({ momentum: 0.5 }),
      dense({ units: 2 }),
    ],
    { seed: 4 },
  );

const statisticsOf = (model: ReturnType<typeof build>) => {
  const weights = model.getWeights();
  return ['running_mean', 'running_var'].map((name) => [...weights[`batchNorm.${name}`]!.data]);
};

test('fit moves the running statistics, and nothing else does', async () => {
  using model = build();
  expect(statisticsOf(model)).toEqual([Array(5).fill(0), Array(5).fill(1)]);
  await model.predict(x);
  await model.evaluate(x, y, { loss });
  await model.gradients(x, y, { loss });
  expect(statisticsOf(model)).toEqual([Array(5).fill(0), Array(5).fill(1)]);
  await model.fit(x, y, { loss, epochs: 1, batchSize: 12 });
  expect(statisticsOf(model)[0]!.some((value) => value !== 0)).toBe(true);
});

test('running statistics come near those of the data', async () => {
  using model = sequential([batchNorm({ momentum: 0.5, inputFeatures: 3 })]);
  const rows = { data: x.data, shape: [60, 3] };
  await model.fit(rows, rows, {
    loss,
    epochs: 40,
    batchSize: 60,
    optimizer: optimizers.sgd({ learningRate: 0 }),
  });
  const weights = model.getWeights();
  for (const j of [0, 1, 2]) {
    const column = Array.from({ length: 60 }, (_value, i) => x.data[i * 3 + j]!);
    const mean = column.reduce((sum, value) => sum + value, 0) / 60;
    const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 59;
    expect(weights['batchNorm.running_mean']!.data[j]).toBeCloseTo(mean, 4);
    expect(weights['batchNorm.running_var']!.data[j]).toBeCloseTo(variance, 4);
  }
});

test('the same bits on any number of threads; a session and a file agree with a prediction', async () => {
  const runs: unknown[] = [];
  for (const threads of [1, 2, 7]) {
    using model = build();
    await model.fit(x, y, { loss, epochs: 3, batchSize: 5, threads });
    runs.push(Object.values(model.getWeights()).map(({ data }) => [...data]));
  }
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[2]).toEqual(runs[0]);

  using model = build();
  await model.fit(x, y, { loss, epochs: 3, batchSize: 5 });
  const { data } = await model.predict(x);
  using session = model.session();
  for (let t = 0; t < 5; t++) {
    session
      .stepSync(x.data.slice(t * 3, t * 3 + 3))
      .forEach((value, j) => expect(value).toBeCloseTo(data[t * 2 + j]!, 5));
  }
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'model.safetensors');
    await model.save(path);
    using back = await load(path);
    expect([...(await back.predict(x)).data]).toEqual([...data]);
    expect(statisticsOf(back)).toEqual(statisticsOf(model));
  });
});

test('gradients are of what is trained; averages stand beside the newest statistics', async () => {
  using model = build();
  const { parameters } = await model.gradients(x, y, { loss });
  expect(Object.keys(parameters).filter((name) => name.startsWith('batchNorm'))).toEqual([
    'batchNorm.weight',
    'batchNorm.bias',
  ]);
  const averaging = { kind: 'ema', decay: 0.9 } as const;
  await model.fit(x, y, { loss, epochs: 2, optimizer: optimizers.lion({ averaging }) });
  const [now, averaged] = [model.getWeights(), model.getWeights({ averaged: true })];
  for (const name of ['batchNorm.running_mean', 'batchNorm.running_var']) {
    expect([...averaged[name]!.data]).toEqual([...now[name]!.data]);
  }
  expect([...averaged['batchNorm.weight']!.data]).not.toEqual([...now['batchNorm.weight']!.data]);
});

test('a step that diverges leaves the statistics as they were', async () => {
  using model = build();
  const bad = { data: Float32Array.from(y.data), shape: y.shape };
  bad.data[3] = Infinity;
  await expect(model.fit(x, bad, { loss, batchSize: 12 })).rejects.toMatchObject({
    code: 'ERR_DIVERGED',
  });
  expect(statisticsOf(model)).toEqual([Array(5).fill(0), Array(5).fill(1)]);
});

test('a state dict of PyTorch loads, with the count that it keeps', async () => {
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'norm.safetensors');
    const vector = (seed: number) => ({ data: numbers(3, seed), shape: [3] });
    await safetensors.write(path, {
      'bn.weight': vector(1),
      'bn.bias': vector(2),
      'bn.running_mean': vector(3),
      'bn.running_var': vector(4),
      'bn.num_batches_tracked': { data: Float32Array.of(7), shape: [] },
    });
    using model = sequential([batchNorm({ inputFeatures: 3 })]);
    const report = await model.loadWeights(path, { map: { bn: 'batchNorm' } });
    expect(report.loaded).toHaveLength(4);
    expect(report.unexpected).toEqual([]);
    expect([...model.getWeights()['batchNorm.running_mean']!.data]).toEqual([...numbers(3, 3)]);
  });
});

test('wrong use says what to change', () => {
  const cases: [() => unknown, string][] = [
    [() => batchNorm({ momentum: 1 }), '"batchNorm.momentum"'],
    [() => batchNorm({ epsilon: 0 }), '"batchNorm.epsilon"'],
    [() => batchNorm({ eps: 1e-5 } as never), 'did you mean "epsilon"?'],
  ];
  for (const [make, message] of cases) expect(thrownBy(make).message).toContain(message);
});
