import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { layers, optimizers, sequential } from '../../lib';
import { resolveLoss } from '../../lib/losses';
import { nativeOptimizer } from '../../lib/optimizers';
import { addon } from '../../lib/native';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { numbers, regressionModel } from '../helpers/models';

const loss = 'meanSquaredError' as const;

/** Trains for as long as it is let. */
function longTraining(units = 64) {
  const model = sequential([
    layers.lstm({ units, inputFeatures: 8, returnSequences: true }),
    layers.dense({ units: 1 }),
  ]);
  const x = { data: numbers(32 * 64 * 8), shape: [32, 64, 8] };
  const y = { data: numbers(32 * 64), shape: [32, 64, 1] };
  const start = (options: object = {}) => model.fit(x, y, { loss, epochs: 1e6, ...options });
  return { model, x, y, start };
}

describe('busy', () => {
  test('nothing else while a model trains', async () => {
    const { model, x, y, start } = longTraining(16);
    using session = model.session();
    const controller = new AbortController();
    const training = start({ signal: controller.signal });
    const rejected = [
      () => start(),
      () => model.predict(x),
      () => model.evaluate(x, y, { loss }),
      () => model.gradients(x, y, loss),
      () => model.save('/nowhere/x'),
      () => session.step(new Float32Array(8)),
    ];
    for (const call of rejected) expect((await rejectionOf(call)).code).toBe('ERR_BUSY');
    const thrown = [
      () => model.predictSync(x),
      () => session.stepSync(new Float32Array(8)),
      () => model.getWeights(),
      () => model.setWeights({}),
    ];
    for (const call of thrown) expect(thrownBy(call).code).toBe('ERR_BUSY');
    controller.abort();
    await training.catch(() => undefined);
    expect((await model.predict(x)).shape).toEqual([32, 64, 1]);
    model.dispose();
  });

  test('predictions run beside each other, and not beside training', async () => {
    using model = regressionModel();
    const x = { data: numbers(60), shape: [4, 5, 3] };
    const both = Promise.all([model.predict(x), model.predict(x)]);
    expect((await rejectionOf(() => model.fit(x, [[1, 2]], { loss }))).code).toBe('ERR_BUSY');
    expect(thrownBy(() => model.setWeights({})).code).toBe('ERR_BUSY');
    const [a, b] = await both;
    expect([...a.data]).toEqual([...b.data]);
  });

  test('one step of a session at a time', async () => {
    using model = regressionModel();
    using session = model.session();
    const step = session.step([1, 2, 3]);
    expect(thrownBy(() => session.stepSync([1, 2, 3])).code).toBe('ERR_BUSY');
    expect(thrownBy(() => session.state).code).toBe('ERR_BUSY');
    expect((await rejectionOf(() => session.step([1, 2, 3]))).code).toBe('ERR_BUSY');
    expect(await step).toHaveLength(2);
  });
});

describe('disposed', () => {
  test('every call says so', async () => {
    const model = regressionModel();
    const session = model.session();
    const x = { data: numbers(60), shape: [4, 5, 3] };
    model.dispose();
    model.dispose();
    expect(model.disposed).toBe(true);
    const calls = [
      () => model.fit(x, [[1, 2]], { loss }),
      () => model.predict(x),
      () => model.evaluate(x, [[1, 2]], { loss }),
      () => model.gradients(x, [[1, 2]], loss),
      () => model.save('/nowhere/x'),
      () => model.loadWeights('/nowhere/x'),
      () => session.step([1, 2, 3]),
    ];
    for (const call of calls) expect((await rejectionOf(call)).code).toBe('ERR_DISPOSED');
    expect(thrownBy(() => model.predictSync(x)).code).toBe('ERR_DISPOSED');
    expect(thrownBy(() => model.session()).code).toBe('ERR_DISPOSED');
    expect(thrownBy(() => model.getWeights()).code).toBe('ERR_DISPOSED');
    expect(model.summary()).toContain('gru');
    session.dispose();
    expect(thrownBy(() => session.stepSync([1, 2, 3])).code).toBe('ERR_DISPOSED');
    expect(thrownBy(() => session.state).code).toBe('ERR_DISPOSED');
    expect(thrownBy(() => session.clone()).code).toBe('ERR_DISPOSED');
  });

  test('in the middle of training and of predictions', async () => {
    const { model, x, start } = longTraining();
    const training = rejectionOf(() => start());
    await sleep(60);
    model.dispose();
    expect((await training).code).toBe('ERR_DISPOSED');
    const second = longTraining();
    const prediction = rejectionOf(() => second.model.predict(x, { batchSize: 1 }));
    second.model.dispose();
    expect((await prediction).code).toBe('ERR_DISPOSED');
  });

  test('using disposes', () => {
    let kept;
    {
      using model = regressionModel();
      kept = model;
    }
    expect(kept.disposed).toBe(true);
  });
});

describe('abort', () => {
  test('rejects with the reason within 100 ms, at a whole step', async () => {
    const { model, x, y, start } = longTraining();
    const steps: number[] = [];
    const controller = new AbortController();
    const training = rejectionOf(() =>
      start({
        signal: controller.signal,
        shuffle: false,
        onBatch: ({ step }: { step: number }) => steps.push(step),
      }),
    );
    await sleep(200);
    const reason = { mine: true };
    const before = performance.now();
    controller.abort(reason);
    expect(await training).toBe(reason);
    // Generous: other processes may hold the processors.
    expect(performance.now() - before).toBeLessThan(500);
    const made = model.trainedSteps;
    expect(steps).toEqual(Array.from({ length: made }, (_v, i) => i));
    expect(made).toBeGreaterThan(0);
    const other = longTraining();
    await other.model.fit(x, y, { loss, epochs: made, shuffle: false });
    expect([...other.model.getWeights()['dense.weight']!.data]).toEqual([
      ...model.getWeights()['dense.weight']!.data,
    ]);
    model.dispose();
    other.model.dispose();
  });

  test('before the start, in evaluate, predict and gradients', async () => {
    const { model, x, y } = longTraining(8);
    const signal = AbortSignal.abort('early');
    expect(await rejectionOf(() => model.fit(x, y, { loss, signal }))).toBe('early');
    expect(await rejectionOf(() => model.predict(x, { signal }))).toBe('early');
    expect(await rejectionOf(() => model.evaluate(x, y, { loss, signal }))).toBe('early');
    expect(await rejectionOf(() => model.gradients(x, y, { loss, signal }))).toBe('early');
    const controller = new AbortController();
    const prediction = rejectionOf(() =>
      model.predict(x, { signal: controller.signal, batchSize: 1 }),
    );
    controller.abort('late');
    expect(await prediction).toBe('late');
    model.dispose();
  });

  test('a job that waits behind another model is cancelled at once', async () => {
    const { model, start } = longTraining();
    const first = new AbortController();
    const training = rejectionOf(() => start({ signal: first.signal }));
    try {
      await sleep(200); // by now slices of 50 ms follow each other
      using waiting = regressionModel();
      const second = new AbortController();
      // So long that it is not done before the next line, should it not have to wait.
      const long = { data: new Float32Array(4096 * 50 * 3), shape: [4096, 50, 3] };
      const options = { signal: second.signal, batchSize: 4096 };
      const prediction = rejectionOf(() => waiting.predict(long, options));
      second.abort('now');
      expect(await prediction).toBe('now');
    } finally {
      first.abort('done');
    }
    expect(await training).toBe('done');
    model.dispose();
  });
});

test('training does not hold up the event loop', async () => {
  // Training on the loop itself would show its slices, 50 ms, every time; other processes may take
  // the processor away for as long, but not always.
  const attempts: number[] = [];
  for (let attempt = 0; attempt < 4 && !(Math.min(...attempts) < 25); attempt++) {
    const { model, start } = longTraining();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const before = performance.eventLoopUtilization();
    delay.enable();
    await rejectionOf(() => start({ signal: AbortSignal.timeout(1000), threads: 1 }));
    delay.disable();
    attempts.push(delay.percentile(99) / 1e6);
    expect(model.trainedSteps).toBeGreaterThan(0);
    expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.6);
    model.dispose();
  }
  expect(Math.min(...attempts)).toBeLessThan(25);
});

describe('borrowed methods', () => {
  const { Model, Dataset } = addon();
  const native = () =>
    new Model({
      seed: 1,
      inputs: [{ features: 1, tokens: false, timed: true }],
      layers: [{ type: 'lstm', name: 'lstm', options: { units: 2 } }],
      nodes: [{ layer: 0, inputs: [0] }],
      outputs: [1],
    });
  const dataset = (model: object) =>
    new Dataset(
      {
        floats: new Float32Array(2),
        features: 1,
        inputOffsets: new Float64Array(1),
        lengths: Int32Array.of(2),
        targetFeatures: 1,
        targetTimed: false,
        moreInputs: [],
        moreTargets: [],
      },
      model as never,
    );

  test('on other objects', () => {
    const model = native();
    const session = model.session(1);
    const data = dataset(model);
    const strangers = [
      {},
      session,
      data,
      Object.create(model) as object,
      new Proxy(model, {}),
      Object.getPrototypeOf(model) as object,
      5,
      null,
    ];
    const borrowed = Reflect.get(model, 'describe') as () => unknown;
    for (const stranger of strangers) {
      expect(thrownBy(() => Reflect.apply(borrowed, stranger, [])).name).toBe('TypeError');
      expect(
        thrownBy(() =>
          session.stepSync.call(
            stranger === session ? {} : (stranger as never),
            new Float32Array(1),
            1,
          ),
        ).name,
      ).toBe('TypeError');
      expect(thrownBy(() => dataset(stranger as object)).name).toBe('TypeError');
    }
  });

  test('constructors without new, and the hidden one', () => {
    const model = native();
    const session = model.session(1);
    const Hidden = session.constructor as new (...args: unknown[]) => unknown;
    expect(thrownBy(() => new Hidden()).name).toBe('TypeError');
    expect(thrownBy(() => new Hidden({})).name).toBe('TypeError');
    expect(thrownBy(() => (Model as unknown as () => void)()).name).toBe('TypeError');
  });

  test('data of another model, samples and batches that do not exist', async () => {
    const model = native();
    const data = dataset(model);
    const options = { job: 1, threads: 1, wantStates: false };
    const predict = (of: typeof model, samples: Int32Array) => () =>
      of.predictSync(data, samples, 2, null, options);
    expect(thrownBy(predict(native(), Int32Array.of(0))).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrownBy(predict(model, Int32Array.of(1))).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrownBy(predict(model, Int32Array.of(-1))).code).toBe('ERR_INVALID_ARGUMENT');
    expect(model.predictSync(data, Int32Array.of(0), 2, null, options).outputs[0]).toHaveLength(2);
    data.dispose();
    data.dispose();
    expect(thrownBy(predict(model, Int32Array.of(0))).code).toBe('ERR_DISPOSED');
    const busy = thrownBy(() => model.readOptimizer());
    expect(busy.code).toBe('ERR_INVALID_ARGUMENT');
    await Promise.resolve();
  });

  test('carried states of other sizes, and before there is a trainer', () => {
    const model = native();
    expect(thrownBy(() => model.readCarried()).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrownBy(() => model.writeCarried(null, 0)).code).toBe('ERR_INVALID_ARGUMENT');
    const { native: loss } = resolveLoss('meanSquaredError', undefined, {
      name: 'lstm',
      layer: layers.lstm({ units: 2 }),
      output: { features: 2, timed: false, tokens: false },
    });
    model.configureTraining(
      [{ ...loss, weight: 1 }],
      nativeOptimizer(optimizers.adam(), model.describe().parameters),
    );
    expect(model.readCarried()).toEqual([]);
    const states = [new Float32Array(6).fill(1), new Float32Array(6).fill(2)];
    model.writeCarried(states, 3);
    expect(model.readCarried()).toEqual(states);
    for (const [wrong, rows] of [
      [states, 2],
      [states, -1],
      [states.slice(1), 3],
      [[states[0]!, new Float32Array(5)], 3],
    ] as const) {
      const { code } = thrownBy(() => model.writeCarried([...wrong], rows));
      expect(code).toMatch(/^ERR_(INVALID_ARGUMENT|SHAPE_MISMATCH)$/);
    }
    expect(model.readCarried()).toEqual(states);
    model.writeCarried(null, 0);
    expect(model.readCarried()).toEqual([]);
  });

  test.each([
    [{ inputOffsets: Float64Array.of(1) }],
    [{ inputOffsets: Float64Array.of(-1) }],
    [{ inputOffsets: Float64Array.of(NaN) }],
    [{ inputOffsets: Float64Array.of(2 ** 60) }],
    [{ inputOffsets: new Float64Array(2) }],
    [{ lengths: Int32Array.of(3) }],
    [{ lengths: Int32Array.of(-1) }],
    [{ features: 2 }],
    [{ features: 0 }],
    [{ floats: new Float64Array(2) }],
    [{ targets: new Float32Array(1), targetOffsets: Float64Array.of(0), targetFeatures: 2 }],
  ])('a dataset that would leave its memory: %j', (change) => {
    const model = native();
    const config = {
      floats: new Float32Array(2),
      features: 1,
      inputOffsets: new Float64Array(1),
      lengths: Int32Array.of(2),
      targetFeatures: 2,
      targetTimed: false,
      moreInputs: [],
      moreTargets: [],
      ...change,
    };
    const error = thrownBy(() => new Dataset(config as never, model));
    expect(error.code ?? error.name).toMatch(/ERR_INVALID_ARGUMENT|ERR_SHAPE_MISMATCH|TypeError/);
  });
});
