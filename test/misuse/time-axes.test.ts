import { fromConfig, input, layers, model, sequential, text } from '../../lib';
import type { Model } from '../../lib';
import { addon } from '../../lib/native';
import type { NativeModelConfig } from '../../lib/native';
import { argumentError, rejectionOf, thrownBy } from '../helpers/errors';

const shapeError = (message: RegExp): object =>
  expect.objectContaining({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(message) as string,
  }) as object;

describe('time axes of a graph', () => {
  test.each([
    [{ shape: [3], timeAxis: 'other' }, 'TypeError', /nothing for an input without a time axis/],
    [{ shape: [null, 3], timeAxis: '7' }, 'RangeError', /a name of letters/],
    [{ shape: [null, 3], timeAxis: 'a b' }, 'RangeError', /letters, digits.*"input.timeAxis"/],
    [{ shape: [null, 3], timeaxis: 'a' }, 'TypeError', /did you mean "timeAxis"/],
  ] as const)('%j', (options, name, message) => {
    expect(thrownBy(() => input(options as never))).toEqual(argumentError(name, message));
  });

  test('do not meet in layers that want one', () => {
    const a = input({ shape: [null, 3], name: 'a' });
    const b = input({ shape: [null, 3], timeAxis: 'other', name: 'b' });
    for (const make of [layers.add, layers.multiply, layers.concat]) {
      expect(thrownBy(() => make().apply([a, b]))).toEqual(
        shapeError(
          /on one time axis, but they are on "time" and "other", whose lengths may differ/,
        ),
      );
    }
    const made = layers.repeatVector({ n: 3 }).apply(layers.lastStep().apply(a));
    expect(thrownBy(() => layers.add().apply([made, a]))).toEqual(shapeError(/on "3" and "time"/));
    const again = layers.repeatVector({ n: 3 }).apply(layers.lastStep().apply(b));
    expect(layers.add().apply([made, again]).shape).toMatchObject({ axis: 3 });
  });

  test('are a configuration that nothing but a name and sequences fit', () => {
    const a = input({ shape: [null, 3], timeAxis: 'a' });
    using made = model({ inputs: a, outputs: layers.dense({ units: 1 }).apply(a) });
    const config = made.getConfig();
    const [from] = config.inputs!;
    for (const [change, message] of [
      [{ axis: 5 }, /"input.timeAxis"/],
      [{ axis: '5' }, /a name of letters/],
      [{ timed: false }, /without a time axis/],
    ] as const) {
      const inputs = [{ ...from!, ...change }];
      expect(thrownBy(() => fromConfig({ ...config, inputs })).message).toMatch(message);
    }
  });
});

describe('data on several time axes', () => {
  let made: Model;
  const x = {
    a: [[[1, 2, 3]], []],
    b: [
      [[1, 2]],
      [
        [1, 2],
        [3, 4],
      ],
    ],
  };
  const y = {
    one: [[[1]], []],
    two: [[[1]], [[1], [1]]],
    three: [
      [[1], [1]],
      [[1], [1]],
    ],
  };
  const options = { loss: 'meanSquaredError', epochs: 1 } as const;

  beforeAll(() => {
    const a = input({ shape: [null, 3], name: 'a' });
    const b = input({ shape: [null, 2], timeAxis: 'second', name: 'b' });
    const dense = () => layers.dense({ units: 1 });
    const last = layers.lastStep().apply(b);
    const three = dense().apply(layers.repeatVector({ n: 2, name: 'twice' }).apply(last));
    const outputs = { one: dense().apply(a), two: dense().apply(b), three };
    made = model({ inputs: [a, b], outputs });
  });
  afterAll(() => made.dispose());

  test('has samples for each, and targets as long as their own', async () => {
    await made.fit(x, y, options);
    const fit = (given: object, targets: object, more: object = {}) =>
      rejectionOf(() =>
        made.fit({ ...x, ...given }, { ...y, ...targets } as never, { ...options, ...more }),
      );
    expect(await fit({ b: [[[1, 2]]] }, {})).toEqual(
      shapeError(/2 samples for "x.b", as many as "x.a" has, but received 1/),
    );
    expect(await fit({}, { two: [[[1]], [[1]]] })).toEqual(
      shapeError(/2 steps for "y.two\[1\]", as many as "x.b\[1\]" has, but received 1/),
    );
    expect(await fit({}, { three: [[[1]], [[1], [1]]] })).toEqual(
      shapeError(/2 steps for "y.three\[0\]", as many as "dense_2" gives, but received 1/),
    );
    const mask = { two: [[1], [1]] };
    expect(await fit({}, {}, { mask })).toEqual(
      shapeError(/2 steps for "mask.two\[1\]", as many as "x.b\[1\]" has, but received 1/),
    );
  });

  test('has lengths by axis, no longer than its steps', async () => {
    const predict = (lengths: unknown) => rejectionOf(() => made.predict(x, { lengths }));
    const wanted = /lengths by time axis, { time, second },/;
    expect(await predict([1, 0])).toEqual(argumentError('TypeError', wanted));
    expect(await predict({ data: [1, 0], shape: [2] })).toEqual(argumentError('TypeError', wanted));
    expect((await predict({ secnd: [1, 1] })).message).toMatch(/did you mean "second"/);
    expect((await predict({ second: [1, 3] })).message).toMatch(/"lengths.second/);
    expect((await predict({ second: [1] })).message).toMatch(/"lengths.second/);
    const { outputs } = await made.predict(x, { lengths: { second: [1, 1] } });
    expect(outputs!['two']!.shape).toEqual([2, 2, 1]);
    expect(outputs!['two']!.data[3]).toBe(0);
  });

  test('is not that of windows whose steps a layer replaces', async () => {
    const corpus = 'abcabcabc';
    const vocab = text.charVocab(corpus);
    using words = sequential([
      layers.embedding({ inputDim: vocab.size, units: 2 }),
      layers.lstm({ units: 2 }),
      layers.repeatVector({ n: 3 }),
      layers.dense({ units: vocab.size }),
    ]);
    const windows = text.windows(corpus, { vocab, length: 4 });
    const fit = () =>
      words.fit(windows, { epochs: 1, loss: 'sparseCategoricalCrossentropy' as const });
    expect((await rejectionOf(fit)).message).toMatch(/an output for each step/);
  });
});

describe('the addon, called past the library', () => {
  const { Model: Native, Dataset } = addon();
  const sequence = { features: 1, tokens: false, timed: true };
  const config = (axes: readonly unknown[]): NativeModelConfig => ({
    seed: 1,
    inputs: axes.map((axis) => ({ ...sequence, axis }) as never),
    layers: [
      { type: 'lastStep', name: 'lastStep', options: {} },
      { type: 'add', name: 'add', options: {} },
    ],
    nodes: [
      { layer: 0, inputs: [0] },
      { layer: 0, inputs: [1] },
      { layer: 1, inputs: [2, 3] },
    ],
    outputs: [4],
  });
  const rows = { floats: new Float32Array(2), features: 1, inputOffsets: new Float64Array(1) };
  const data = {
    ...rows,
    lengths: Int32Array.of(2),
    targetFeatures: 1,
    targetTimed: false,
    moreInputs: [rows],
    moreTargets: [],
  };

  test.each([[[0, 2]], [[1, 1]], [[0, -1]], [[0, 0.5]], [[0, 3]], [[0, 2 ** 60]], [[0, 'a']]])(
    'refuses inputs on axes %j',
    (axes) => {
      const { code, name } = thrownBy(() => new Native(config(axes)));
      expect(code ?? name).toMatch(/ERR_INVALID_ARGUMENT|TypeError/);
    },
  );

  test.each([
    ['none', undefined],
    ['too few', []],
    ['too many', Array.from({ length: 2 }, () => ({ lengths: Int32Array.of(1), steps: 1 }))],
    ['of other samples', [{ lengths: Int32Array.of(1, 1), steps: 1 }]],
    ['beyond the storage', [{ lengths: Int32Array.of(3), steps: 3 }]],
    ['below zero', [{ lengths: Int32Array.of(-1), steps: 1 }]],
    ['beyond their own steps', [{ lengths: Int32Array.of(2), steps: 1 }]],
    ['with steps below zero', [{ lengths: Int32Array.of(0), steps: -1 }]],
    ['with steps beyond counting', [{ lengths: Int32Array.of(1), steps: 2 ** 60 }]],
    ['with steps that are no number', [{ lengths: Int32Array.of(1), steps: 'a' }]],
    ['of another kind', [{ lengths: [1], steps: 1 }]],
    ['that are no objects', [5]],
    ['that are no list', 5],
  ])('refuses lengths of a second axis: %s', (_what, moreLengths) => {
    const native = new Native(config([0, 1]));
    const { code, name } = thrownBy(() => new Dataset({ ...data, moreLengths } as never, native));
    expect(code ?? name).toMatch(/ERR_INVALID_ARGUMENT|ERR_SHAPE_MISMATCH|Error/);
    native.dispose();
  });

  test('refuses steps of other inputs, also when a list of them changes things', () => {
    const native = new Native(config([0, 1]));
    const session = native.session(2);
    const step = (inputs: unknown, threads: unknown = 1) =>
      session.stepAllSync(inputs as never, threads as never);
    const row = new Float32Array(2);
    expect(step([row, row])).toEqual([new Float32Array(2)]);
    const wrong = [
      undefined,
      5,
      {},
      [],
      [row],
      [row, row, row],
      [row, null],
      [row, [1, 2]],
      [row, new Float32Array(3)],
      [row, new Int32Array(2)],
      new Proxy([row, row], {}),
    ];
    for (const inputs of wrong) {
      const { code, name } = thrownBy(() => step(inputs));
      expect(code ?? name).toMatch(/ERR_INVALID_ARGUMENT|ERR_SHAPE_MISMATCH|TypeError/);
      expect(thrownBy(() => void session.stepAll(inputs as never, 1)).name).toMatch(/Error/);
    }
    expect(thrownBy(() => step([row, row], 0)).name).toMatch(/Error/);
    expect(thrownBy(() => session.stepSync(row, 1)).code).toBe('ERR_INVALID_ARGUMENT');
    const detaching = [new Float32Array(2), row];
    Object.defineProperty(detaching, 1, {
      get: () => (structuredClone(detaching[0], { transfer: [detaching[0]!.buffer] }), row),
    });
    expect(thrownBy(() => step(detaching)).code).toBe('ERR_SHAPE_MISMATCH');
    const disposing = [row, row];
    Object.defineProperty(disposing, 1, { get: () => (session.dispose(), row) });
    expect(thrownBy(() => step(disposing)).code).toBe('ERR_DISPOSED');
  });

  test('takes what fits, and an axis of its own for one input is none', () => {
    const native = new Native(config([0, 1]));
    const moreLengths = [{ lengths: Int32Array.of(1), steps: 2 }];
    const dataset = new Dataset({ ...data, moreLengths }, native);
    const options = { threads: 1, wantStates: false };
    const { outputs } = native.predictSync(dataset, Int32Array.of(0), 2, null, options);
    expect(outputs[0]).toEqual(Float32Array.of(0));
    // One axis: further lengths are too many.
    const single = new Native(config([0, 0]));
    expect(thrownBy(() => new Dataset({ ...data, moreLengths }, single)).code).toBe(
      'ERR_SHAPE_MISMATCH',
    );
  });
});
