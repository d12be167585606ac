import { fromConfig, input, layers, model, sequential } from '../../lib';
import type { Model } from '../../lib';
import { argumentError, rejectionOf, thrownBy } from '../helpers/errors';

const sequence = (name?: string, features = 3) =>
  input({ shape: [null, features], ...(name === undefined ? {} : { name }) });
const dense = (units = 2) => layers.dense({ units });

const shapeError = (message: RegExp): object =>
  expect.objectContaining({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(message) as string,
  }) as object;

describe('input', () => {
  test.each([
    [undefined, 'TypeError', /"input.shape"/],
    [{ shape: 3 }, 'TypeError', /\[features\] or \[null, features\]/],
    [{ shape: [] }, 'RangeError', /\[features\]/],
    [{ shape: [5, 3] }, 'RangeError', /write null for the time axis/],
    [{ shape: [null, 0] }, 'RangeError', /integer from 1/],
    [{ shape: [2], tokens: true }, 'TypeError', /nothing beside tokens/],
    [{ shape: [2], name: 'a.b' }, 'RangeError', /letters, digits/],
    [{ shap: [2] }, 'TypeError', /did you mean "shape"/],
  ] as const)('%j', (options, name, message) => {
    expect(thrownBy(() => input(options as never))).toEqual(argumentError(name, message));
  });
});

describe('a call of a layer', () => {
  test('takes symbolic tensors', () => {
    expect(thrownBy(() => dense().apply([[1, 2]] as never))).toEqual(
      argumentError('TypeError', /symbolic tensor.*"dense.apply"/),
    );
    expect(thrownBy(() => dense().apply([]))).toEqual(argumentError('RangeError', /at least one/));
  });

  test('names the layers whose shapes do not fit', () => {
    const a = sequence('a');
    const b = layers.dense({ units: 2, name: 'narrow' }).apply(a);
    expect(thrownBy(() => layers.add().apply([a, b]))).toEqual(
      shapeError(
        /add: expects inputs of equal features, but the input "a" gives \[batch, time, 3\] and "narrow" gives \[batch, time, 2\]/,
      ),
    );
    const last = layers.lastStep().apply(b);
    expect(thrownBy(() => layers.concat().apply([b, last]))).toEqual(
      shapeError(/concat: expects all inputs with a time axis or all without.*"lastStep"/),
    );
    expect(thrownBy(() => layers.add().apply(a))).toEqual(shapeError(/two inputs or more/));
    expect(thrownBy(() => dense().apply([a, b]))).toEqual(shapeError(/one input but receives 2/));
    expect(thrownBy(() => layers.lstm({ units: 2 }).apply(last))).toEqual(
      shapeError(/lstm: expects a sequence/),
    );
    const ids = input({ tokens: true });
    expect(thrownBy(() => layers.multiply().apply([ids, a]))).toEqual(shapeError(/token ids/));
    expect(thrownBy(() => layers.dense({ units: 1, inputFeatures: 4 }).apply(a))).toEqual(
      shapeError(/inputFeatures is 4, but the input "a" gives 3/),
    );
    expect(
      thrownBy(() => sequential([layers.lstm({ units: 2, inputFeatures: 2 }), layers.add()])),
    ).toEqual(shapeError(/model\(\{ inputs, outputs \}\)/));
  });
});

describe('model', () => {
  const a = sequence('a');
  const b = sequence('b');

  test('refuses inputs that are not connected, and those of another model', () => {
    const out = dense().apply(a);
    expect(thrownBy(() => model({ inputs: [a, b], outputs: out }))).toEqual(
      shapeError(/input "b" is not connected: no output depends on it/),
    );
    const both = layers.add().apply([out, dense().apply(b)]);
    expect(thrownBy(() => model({ inputs: a, outputs: both }))).toEqual(
      shapeError(/output "add" depends on the input "b", which is not among the inputs/),
    );
  });

  test('refuses calls of one layer with different shapes', () => {
    const shared = layers.dense({ units: 2, name: 'shared' });
    const outputs = [shared.apply(a), shared.apply(sequence('wide', 4))];
    const wide = sequence('wide', 4);
    const fits = [shared.apply(a), shared.apply(wide)];
    expect(thrownBy(() => model({ inputs: [a, wide], outputs: fits }))).toEqual(
      shapeError(/shared: expects inputs of one shape in all its calls/),
    );
    expect(outputs).toHaveLength(2);
  });

  test.each([
    [
      'inputs that a layer made',
      () => model({ inputs: dense().apply(a), outputs: dense().apply(a) }),
      /tensors that input\(\) made/,
    ],
    ['an input as output', () => model({ inputs: a, outputs: a }), /tensors that layers made/],
    ['no outputs', () => model({ inputs: a, outputs: [] }), /at least one tensor/],
    [
      'a tensor twice',
      () => model({ inputs: [a, a], outputs: dense().apply(a) }),
      /each tensor once/,
    ],
    [
      'layers for tensors',
      () => model({ inputs: a, outputs: dense() as never }),
      /symbolic tensor/,
    ],
    [
      'names that clash',
      () => model({ inputs: [a, sequence('a')], outputs: dense().apply(a) }),
      /names of their own/,
    ],
    [
      'output names like scores',
      () => model({ inputs: a, outputs: { valPrice: dense().apply(a) } }),
      /score of the validation/,
    ],
    [
      'unknown options',
      () => model({ input: a, outputs: dense().apply(a) } as never),
      /did you mean "inputs"/,
    ],
  ])('refuses %s', (_what, call, message) => {
    expect(thrownBy(call).message).toMatch(message);
  });

  test('refuses configurations that were tampered with', () => {
    using made = model({ inputs: a, outputs: dense().apply(a) });
    const config = made.getConfig();
    const cyclic = { ...config, nodes: [{ layer: 0, inputs: [1] }] };
    expect(thrownBy(() => fromConfig(cyclic)).message).toMatch(/index below 1/);
    expect(thrownBy(() => fromConfig({ ...config, format: 4 }))).toMatchObject({
      code: 'ERR_FORMAT',
    });
  });
});

describe('data for a graph', () => {
  let made: Model;
  const x = { a: [[[1, 2, 3]]], b: [[[1, 2, 3]]] };
  const y = { one: [[[1, 2]]], two: [[[1, 2]]] };
  const loss = 'meanSquaredError';

  beforeAll(() => {
    const a = sequence('a');
    const b = sequence('b');
    const both = layers.add().apply([a, b]);
    made = model({ inputs: [a, b], outputs: { one: dense().apply(both), two: dense().apply(b) } });
  });
  afterAll(() => made.dispose());

  test('must be there for every input, with equal lengths', async () => {
    const predict = (given: unknown) => rejectionOf(() => made.predict(given as never));
    expect((await predict({ a: x.a })).message).toMatch(/"x.b"/);
    expect((await predict([x.a])).message).toMatch(/2 arrays, for a, b/);
    expect((await predict({ ...x, c: x.a })).message).toMatch(/"c"/);
    expect(
      await predict({
        a: x.a,
        b: [
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
        ],
      }),
    ).toEqual(shapeError(/1 steps for "x.b\[0\]", as many as "x.a\[0\]" has, but received 2/));
    expect(await predict({ a: x.a, b: [[[1, 2, 3]], [[1, 2, 3]]] })).toEqual(
      shapeError(/1 samples for "x.b"/),
    );
  });

  test("needs targets, losses and weights by the outputs' names", async () => {
    const fit = (targets: unknown, options: unknown) =>
      rejectionOf(() => made.fit(x as never, targets as never, options as never));
    expect((await fit({ one: y.one }, { loss })).message).toMatch(/"y.two"/);
    expect((await fit(y, { loss: { one: loss } })).message).toMatch(/"loss.two"/);
    expect((await fit(y, { loss: { one: loss, tow: loss } })).message).toMatch(
      /known options are "one", "two"/,
    );
    expect((await fit(y, { loss, lossWeights: { one: -1 } })).message).toMatch(/"lossWeights.one"/);
    expect((await fit(y, { loss, metrics: ['accuracy'] })).message).toMatch(/some output has/);
    expect((await fit(y, { loss, metrics: { one: ['mae'] } })).message).toMatch(/predict\(\)/);
    using single = sequential([layers.dense({ units: 1, inputFeatures: 1 })]);
    const weighted = { loss, lossWeights: { dense: 2 } } as const;
    expect((await rejectionOf(() => single.fit([[1]], [[1]], weighted))).message).toMatch(
      /one output/,
    );
  });

  test('of a step has a name for each', async () => {
    using session = made.session({ streams: 2 });
    const single = /one input and one output.*use session.stepAll/;
    expect(thrownBy(() => session.stepSync([1]))).toEqual(argumentError('RangeError', single));
    expect(await rejectionOf(() => session.step([1]))).toEqual(argumentError('RangeError', single));
    const step = { a: [1, 2, 3, 4, 5, 6], b: [1, 2, 3, 4, 5, 6] };
    for (const [given, error] of [
      [[step.a, step.b], argumentError('TypeError', /\{ a, b \} for "inputs"/)],
      [{ a: step.a }, argumentError('TypeError', /an array for "inputs.b"/)],
      [{ ...step, c: [1] }, argumentError('TypeError', /"c"/)],
      [{ ...step, b: [1, 2, 3] }, shapeError(/6 numbers for "inputs.b" \(2 streams\)/)],
      [{ ...step, b: new Float32Array(5) }, shapeError(/6 numbers for "inputs.b"/)],
      [{ ...step, b: [1, 2, 3, 4, 5, 'a'] }, argumentError('TypeError', /"inputs.b/)],
    ] as const) {
      expect(thrownBy(() => session.stepAllSync(given as never))).toEqual(error);
      expect(await rejectionOf(() => session.stepAll(given as never))).toEqual(error);
    }
    const pending = session.stepAll(step);
    expect(thrownBy(() => session.stepAllSync(step)).code).toBe('ERR_BUSY');
    const { one, two } = await pending;
    expect([one!.length, two!.length]).toEqual([4, 4]);
    session.dispose();
    expect(thrownBy(() => session.stepAllSync(step)).code).toBe('ERR_DISPOSED');
  });
});
