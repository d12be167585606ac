import { layers, optimizers, sequential, text } from '../../lib';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { characterModel, numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(4 * 5 * 3), shape: [4, 5, 3] };
const y = { data: numbers(4 * 2), shape: [4, 2] };
const loss = 'meanSquaredError' as const;

describe('memory that cannot be read', () => {
  function detached(): Float32Array {
    const array = new Float32Array(60);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return array;
  }
  function resized(): Float32Array {
    const buffer = new (
      ArrayBuffer as unknown as new (
        n: number,
        o: object,
      ) => ArrayBuffer & { resize(n: number): void }
    )(240, { maxByteLength: 480 });
    const array = new Float32Array(buffer, 0, 60);
    buffer.resize(100);
    return array;
  }
  const shared = () => new Float32Array(new SharedArrayBuffer(240));

  test.each([
    ['detached', detached, /detached/],
    ['resized', resized, /resized below the view/],
    ['shared', shared, /SharedArrayBuffer.*pass a copy: \.slice\(\)/],
  ])('%s', async (_name, make, message) => {
    using model = regressionModel();
    const data = make();
    const calls = [
      () => model.predict({ data, shape: [4, 5, 3] }),
      () => model.predict([[data]]),
      () => model.fit({ data, shape: [4, 5, 3] }, y, { loss }),
      () => model.fit(x, { data, shape: [4, 2] }, { loss }),
      () => model.fit(x, y, { loss, sampleWeights: data }),
    ];
    for (const call of calls) {
      const error = await rejectionOf(call);
      expect(error.name).toBe('TypeError');
      expect(error.message).toMatch(message);
    }
    expect(thrownBy(() => model.setWeights({ 'dense.weight': data })).message).toMatch(message);
  });

  test('in a step', () => {
    using model = regressionModel();
    using session = model.session();
    expect(thrownBy(() => session.stepSync(detached())).code).toBe('ERR_SHAPE_MISMATCH');
    expect(thrownBy(() => session.stepSync(resized())).code).toBe('ERR_SHAPE_MISMATCH');
    const inShared = new Float32Array(new SharedArrayBuffer(12));
    expect(thrownBy(() => session.stepSync(inShared)).message).toContain('SharedArrayBuffer');
    expect(session.stepSync(new Float32Array(3))).toHaveLength(2);
  });

  test('as the output of a step, which is then not made', () => {
    using model = regressionModel();
    using session = model.session();
    const input = new Float32Array(3).fill(1);
    const before = session.state;
    for (const output of [detached(), resized(), new Float32Array(1), new Float32Array(3)]) {
      expect(thrownBy(() => session.stepSync(input, output)).code).toBe('ERR_SHAPE_MISMATCH');
    }
    for (const output of [
      null,
      [0, 0],
      new Float64Array(2),
      Object.create(Float32Array.prototype),
    ]) {
      expect(thrownBy(() => session.stepSync(input, output as never)).message).toMatch(
        /Expected a Float32Array for "output" but received/,
      );
    }
    const inShared = new Float32Array(new SharedArrayBuffer(8));
    expect(thrownBy(() => session.stepSync(input, inShared)).message).toContain(
      'SharedArrayBuffer',
    );
    expect(session.state).toEqual(before);
  });
});

describe('token ids', () => {
  test.each([[[[0, 7]]], [[[-1]]], [[[2 ** 31]]]])('%j are out of range', async (ids) => {
    using model = characterModel(7);
    const error = await rejectionOf(() => model.predict(ids));
    expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_INVALID_ARGUMENT' });
  });

  test('NaN is no id, in data and in steps', async () => {
    using model = characterModel(7);
    expect((await rejectionOf(() => model.predict([[NaN]]))).name).toBe('RangeError');
    using session = model.session();
    for (const id of [7, -1, 0.5, NaN]) {
      expect(thrownBy(() => session.stepSync(id))).toMatchObject({ name: 'RangeError' });
    }
    expect(thrownBy(() => session.stepSync('a' as never)).name).toBe('TypeError');
    expect(thrownBy(() => session.stepSync(undefined as never)).name).toBe('TypeError');
    expect((await rejectionOf(() => session.step([1, 2]))).code).toBe('ERR_SHAPE_MISMATCH');
  });

  test('labels outside the classes', async () => {
    using model = characterModel(7);
    const error = await rejectionOf(() =>
      model.fit([[1, 2]], [[1, 7]], { loss: 'sparseCategoricalCrossentropy' }),
    );
    expect(error.message).toContain('label');
    expect(error.name).toBe('RangeError');
  });

  test('a corpus with ids that the model does not have', async () => {
    using model = characterModel(3);
    const data = text.windows(Int32Array.of(0, 1, 2, 3, 0, 1), { length: 2 });
    const error = await rejectionOf(() =>
      model.fit(data, { loss: 'sparseCategoricalCrossentropy' }),
    );
    expect(error.name).toBe('RangeError');
  });
});

describe('data that does not fit', () => {
  test.each<[string, unknown, unknown, object, string, RegExp]>([
    ['empty', [], [], {}, 'ERR_INVALID_ARGUMENT', /at least one sample/],
    [
      'wrong features',
      { data: numbers(40), shape: [4, 5, 2] },
      y,
      {},
      'ERR_SHAPE_MISMATCH',
      /\[batch, time, 3\] for "x"/,
    ],
    [
      'wrong rank',
      { data: numbers(12), shape: [4, 3] },
      y,
      {},
      'ERR_SHAPE_MISMATCH',
      /received \[4, 3\]/,
    ],
    ['fewer targets', x, [[1, 2]], {}, 'ERR_SHAPE_MISMATCH', /4 samples for "y"/],
    [
      'targets for each step',
      x,
      { data: numbers(40), shape: [4, 5, 2] },
      {},
      'ERR_SHAPE_MISMATCH',
      /set returnSequences: true/,
    ],
    ['no targets', x, undefined, {}, 'ERR_INVALID_ARGUMENT', /targets for "y"/],
    ['too many lengths', x, y, { lengths: [1] }, 'ERR_INVALID_ARGUMENT', /4 lengths/],
    [
      'too long',
      x,
      y,
      { lengths: [1, 2, 3, 6] },
      'ERR_INVALID_ARGUMENT',
      /"lengths\[3\]" but received 6/,
    ],
    ['mask', x, y, { mask: [0, 1, 2, 0] }, 'ERR_INVALID_ARGUMENT', /0 or 1 for "mask/],
    ['weights', x, y, { sampleWeights: [0, 1, -2, 0] }, 'ERR_INVALID_ARGUMENT', /"sampleWeights/],
    [
      'weights of another size',
      x,
      y,
      { sampleWeights: [1] },
      'ERR_SHAPE_MISMATCH',
      /"sampleWeights"/,
    ],
    ['metrics', x, y, { metrics: ['accuracy'] }, 'ERR_INVALID_ARGUMENT', /"metrics\[0\]"/],
    ['loss', x, y, { loss: 'mse' }, 'ERR_INVALID_ARGUMENT', /one of "sparseCat/],
    ['logits of no entropy', x, y, { fromLogits: true }, 'ERR_INVALID_ARGUMENT', /"fromLogits"/],
    [
      'contradiction',
      x,
      [0, 1, 0, 1],
      { loss: 'sparseCategoricalCrossentropy', fromLogits: false },
      'ERR_INVALID_ARGUMENT',
      /gives logits/,
    ],
    [
      'both validations',
      x,
      y,
      { validationData: [x, y], validationSplit: 0.5 },
      'ERR_INVALID_ARGUMENT',
      /beside validationData/,
    ],
    [
      'nothing left',
      x,
      y,
      { validationSplit: 0.99, stateful: true, batchSize: 4 },
      'ERR_INVALID_ARGUMENT',
      /leaves samples/,
    ],
    [
      'carried batches',
      x,
      y,
      { stateful: true, batchSize: 3 },
      'ERR_INVALID_ARGUMENT',
      /divisor of the 4/,
    ],
    [
      'shuffled carry',
      x,
      y,
      { stateful: true, batchSize: 2, shuffle: true },
      'ERR_INVALID_ARGUMENT',
      /shuffle/,
    ],
    ['optimizer', x, y, { optimizer: {} }, 'ERR_INVALID_ARGUMENT', /an optimizer/],
    ['signal', x, y, { signal: {} }, 'ERR_INVALID_ARGUMENT', /AbortSignal/],
    ['callbacks', x, y, { callbacks: [() => 0] }, 'ERR_INVALID_ARGUMENT', /onEpoch and onBatch/],
  ])('%s', async (_name, inputs, targets, options, code, message) => {
    using model = regressionModel();
    const error = await rejectionOf(() =>
      model.fit(inputs as never, targets as never, { loss, ...options }),
    );
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    // The model is free again.
    await model.fit(x, y, { loss });
  });

  test('a schedule that gives no number', async () => {
    using model = regressionModel();
    const optimizer = optimizers.sgd({ learningRate: () => NaN });
    const error = await rejectionOf(() => model.fit(x, y, { loss, optimizer }));
    expect(error.message).toContain('"learningRate(0)" but received NaN');
  });

  test('states', async () => {
    using model = regressionModel();
    const states = (initialState: unknown) =>
      rejectionOf(() => model.predict(x, { initialState: initialState as never }));
    expect((await states({ lstm: {} })).message).toContain('"initialState" but received "lstm"');
    expect((await states({ gru: { c: [1] } })).message).toContain('"c"');
    expect((await states({ gru: { h: [[1]] } })).code).toBe('ERR_SHAPE_MISMATCH');
    expect((await states(5)).name).toBe('TypeError');
  });

  test('evaluate needs a loss once', async () => {
    using model = regressionModel();
    expect((await rejectionOf(() => model.evaluate(x, y))).message).toContain(
      'was not trained yet',
    );
  });

  test('windows for a model that is not for text', async () => {
    using model = regressionModel();
    const error = await rejectionOf(() =>
      model.fit(text.windows(Int32Array.of(1, 2, 3), { length: 2 }), { loss }),
    );
    expect(error.message).toContain('begins with an embedding');
  });
});

describe('divergence', () => {
  const bad = { data: numbers(60), shape: [4, 5, 3] };
  bad.data[7] = NaN;

  test('stops with the step and advice, and leaves the weights', async () => {
    using model = regressionModel();
    const before = [...model.getWeights()['gru.weight_hh_l0']!.data];
    const error = await rejectionOf(() => model.fit(bad, y, { loss }));
    expect(error).toMatchObject({ name: 'OstinatoError', code: 'ERR_DIVERGED' });
    expect(error.message).toMatch(/at step 0 .*Lower the learning rate.*onDivergence: 'skip'/);
    expect([...model.getWeights()['gru.weight_hh_l0']!.data]).toEqual(before);
  });

  test('can be skipped, or ignored', async () => {
    using model = regressionModel();
    const history = await model.fit(bad, y, {
      loss,
      batchSize: 1,
      onDivergence: 'skip',
      epochs: 2,
    });
    expect(history.loss.every(Number.isFinite)).toBe(true);
    expect([...model.getWeights()['gru.weight_hh_l0']!.data].every(Number.isFinite)).toBe(true);
    await model.fit(bad, y, { loss, batchSize: 1, onDivergence: 'continue' });
    expect([...model.getWeights()['gru.weight_hh_l0']!.data].some(Number.isNaN)).toBe(true);
  });

  test('infinite values from a rate that is too high', async () => {
    using model = sequential([layers.dense({ units: 1, inputFeatures: 1 })]);
    const error = await rejectionOf(() =>
      model.fit([[100], [200]], [[1], [2]], {
        loss,
        epochs: 1000,
        optimizer: optimizers.sgd({ learningRate: 10 }),
      }),
    );
    expect(error.code).toBe('ERR_DIVERGED');
  });
});
