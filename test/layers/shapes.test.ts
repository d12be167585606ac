import fc from 'fast-check';
import { layers, sequential } from '../../lib';
import type { Layer } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { numbers } from '../helpers/models';

const { dense, dropout, embedding, gru, lastStep, layerNorm, lstm, simpleRnn, activation } = layers;

describe('shape errors name the layer and what to change', () => {
  test.each<[string, Layer[], string]>([
    [
      'a recurrent layer after one without sequences',
      [lstm({ units: 4, inputFeatures: 3 }), lstm({ units: 4 })],
      'lstm_1: expects a sequence [batch, time, features] but receives [batch, 4]: the layer before, "lstm", returns only its last step; set returnSequences: true on it',
    ],
    [
      'the last step of no sequence',
      [gru({ units: 4, inputFeatures: 3 }), dense({ units: 4 }), lastStep()],
      'lastStep: expects a sequence [batch, time, features] but receives [batch, 4]: the layer before, "dense", gives no sequence',
    ],
    [
      'an embedding in the middle',
      [dense({ units: 4, inputFeatures: 3 }), embedding({ inputDim: 4, units: 4 })],
      'embedding: takes token ids, so it must be the first layer',
    ],
    [
      'features that are not those of the layer before',
      [dense({ units: 4, inputFeatures: 3 }), dense({ units: 4, inputFeatures: 5 })],
      'dense_1: inputFeatures is 5, but the layer before, "dense", gives 4 features',
    ],
  ])('%s', (_name, stack, message) => {
    const error = thrownBy(() => sequential(stack));
    expect(error.code).toBe('ERR_SHAPE_MISMATCH');
    expect(error.message).toContain(message);
  });

  test('the first layer must know its input', () => {
    const error = thrownBy(() => sequential([lstm({ units: 4 })]));
    expect(error.name).toBe('TypeError');
    expect(error.message).toContain('set inputFeatures: n on "lstm"');
  });

  test('names are unique', () => {
    const twice = () =>
      sequential([
        dense({ units: 1, inputFeatures: 1, name: 'a' }),
        dense({ units: 1, name: 'a' }),
      ]);
    expect(thrownBy(twice).message).toContain('"layers[1].name" but received "a"');
    using model = sequential([
      dense({ units: 1, inputFeatures: 1 }),
      dense({ units: 1, name: 'dense_1' }),
      dense({ units: 1 }),
    ]);
    expect(model.layers.map(({ name }) => name)).toEqual(['dense', 'dense_1', 'dense_2']);
  });
});

test('a layer object may stand in several models and places', () => {
  const shared = dense({ units: 3, inputFeatures: 3 });
  using a = sequential([shared, shared], { seed: 1 });
  using b = sequential([shared], { seed: 1 });
  expect(a.parameterCount).toBe(2 * b.parameterCount);
});

test('getConfig and fromConfig are inverse', () => {
  const all = [
    embedding({ inputDim: 5, units: 4 }),
    simpleRnn({ units: 3, activation: 'relu', returnSequences: true }),
    lstm({ units: 3, layers: 2, bidirectional: 'sum', returnSequences: true }),
    gru({ units: 3, resetAfter: false, returnSequences: true, dropout: 0.5, init: 'torch' }),
    layerNorm({ epsilon: 1e-5 }),
    dropout({ rate: 0.1 }),
    activation({ activation: 'gelu' }),
    lastStep(),
    dense({ units: 2, activation: 'softmax', name: 'head' }),
  ];
  for (const layer of all) {
    const config = JSON.parse(JSON.stringify(layer.getConfig())) as unknown;
    expect(layers.fromConfig(config).getConfig()).toEqual(layer.getConfig());
  }
  using model = sequential(all, { seed: 4 });
  expect(model.summary().split('\n')).toHaveLength(all.length + 5);
  expect(thrownBy(() => layers.fromConfig({ type: 'lstmm' })).name).toBe('RangeError');
});

const makers = { simpleRnn, gru, lstm } as const;
const SIZES = [1, 2, 3, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33];

describe('predict', () => {
  test('shapes of every cell and option, and rows do not depend on their company', async () => {
    const size = fc.constantFrom(...SIZES);
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cell: fc.constantFrom<keyof typeof makers>('simpleRnn', 'gru', 'lstm'),
          units: size,
          inputs: size,
          depth: fc.integer({ min: 1, max: 3 }),
          bidirectional: fc.constantFrom(false, 'concat', 'sum', 'mul', 'ave'),
          returnSequences: fc.boolean(),
          goBackwards: fc.boolean(),
          useBias: fc.boolean(),
          lengths: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 9 }),
        }),
        async ({ cell, units, inputs, depth, bidirectional, goBackwards, lengths, ...rest }) => {
          using model = sequential(
            [
              makers[cell]({
                units,
                inputFeatures: inputs,
                layers: depth,
                bidirectional: bidirectional as never,
                goBackwards: goBackwards && bidirectional === false,
                returnState: true,
                ...rest,
              }),
            ],
            { seed: 1 },
          );
          const samples = lengths.map((length, i) =>
            Array.from({ length }, (_value, t) => numbers(inputs, 1 + i * 7 + t)),
          );
          const { data, shape, states } = await model.predict(samples);
          const steps = Math.max(...lengths);
          const features = units * (bidirectional === 'concat' ? 2 : 1);
          expect(shape).toEqual(
            rest.returnSequences ? [lengths.length, steps, features] : [lengths.length, features],
          );
          const h = states![cell]!['h']!;
          const slots = depth * (bidirectional === false ? 1 : 2);
          expect(h.shape).toEqual([slots, lengths.length, units]);
          const row = data.length / lengths.length;
          lengths.forEach((length, i) => {
            const one = model.predictSync([samples[i]!]).data;
            const inBatch = [...data.subarray(i * row, (i + 1) * row)];
            expect(inBatch.slice(0, one.length)).toEqual([...one]);
            // Padding is zero, whatever was there before.
            if (rest.returnSequences) {
              expect(inBatch.slice(length * features).every((value) => value === 0)).toBe(true);
            }
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('padding with lengths equals ragged input', async () => {
    using model = sequential([lstm({ units: 5, inputFeatures: 2, bidirectional: true })], {
      seed: 2,
    });
    const padded = numbers(4 * 6 * 2);
    const lengths = [6, 3, 0, 1];
    const ragged = lengths.map((length, i) =>
      Array.from({ length }, (_v, t) => padded.slice((i * 6 + t) * 2, (i * 6 + t + 1) * 2)),
    );
    const a = await model.predict({ data: padded, shape: [4, 6, 2] }, { lengths });
    const b = await model.predict(ragged);
    expect([...a.data]).toEqual([...b.data]);
  });

  test('many batches are put together like one, with states', async () => {
    using model = sequential(
      [lstm({ units: 4, layers: 2, inputFeatures: 3, returnSequences: true }), dense({ units: 2 })],
      { seed: 2 },
    );
    const x = { data: numbers(10 * 4 * 3), shape: [10, 4, 3] };
    const initialState = { lstm: { c: { data: numbers(2 * 10 * 4), shape: [2, 10, 4] } } };
    const whole = await model.predict(x, { batchSize: 10, returnState: true, initialState });
    const parts = await model.predict(x, { batchSize: 3, returnState: true, initialState });
    expect([...parts.data]).toEqual([...whole.data]);
    expect([...parts.states!['lstm']!['c']!.data]).toEqual([...whole.states!['lstm']!['c']!.data]);
    expect([...(await model.predict(x)).data]).not.toEqual([...whole.data]);
  });

  test('results do not depend on threads', async () => {
    using model = sequential([gru({ units: 33, inputFeatures: 7, returnSequences: true })], {
      seed: 2,
    });
    const x = { data: numbers(17 * 9 * 7), shape: [17, 9, 7] };
    const [one, two, seven] = await Promise.all(
      [1, 2, 7].map((threads) => model.predict(x, { threads })),
    );
    expect([...two!.data]).toEqual([...one!.data]);
    expect([...seven!.data]).toEqual([...one!.data]);
  });

  test('NaN in gives NaN out, in its own row only', () => {
    using model = sequential([lstm({ units: 4, inputFeatures: 1 })], { seed: 2 });
    const { data } = model.predictSync([[0.5], [NaN], [0.5]]);
    expect([...data.subarray(4, 8)].every(Number.isNaN)).toBe(true);
    expect([...data.subarray(0, 4)].some(Number.isNaN)).toBe(false);
    expect([...data.subarray(8)]).toEqual([...data.subarray(0, 4)]);
  });

  test('models without a time axis', async () => {
    using model = sequential(
      [dense({ units: 3, inputFeatures: 2, activation: 'relu' }), dense({ units: 1 })],
      { seed: 1 },
    );
    expect(
      (
        await model.predict([
          [1, 2],
          [3, 4],
        ])
      ).shape,
    ).toEqual([2, 1]);
  });
});

describe('sessions', () => {
  test.each(['simpleRnn', 'gru', 'lstm'] as const)('%s: steps equal a prediction', async (cell) => {
    using model = sequential(
      [
        makers[cell]({ units: 9, layers: 2, inputFeatures: 3, returnSequences: true }),
        dense({ units: 2 }),
      ],
      { seed: 2 },
    );
    const x = numbers(2 * 5 * 3);
    const { data } = await model.predict({ data: x, shape: [2, 5, 3] });
    using session = model.session({ streams: 2 });
    for (let t = 0; t < 5; t++) {
      const rows = [0, 1].flatMap((b) => [...x.subarray((b * 5 + t) * 3, (b * 5 + t + 1) * 3)]);
      const out =
        t % 2 === 0 ? session.stepSync(Float32Array.from(rows)) : await session.step(rows);
      [0, 1].forEach((b) =>
        [...out.subarray(b * 2, b * 2 + 2)].forEach((value, i) =>
          expect(value).toBeCloseTo(data[(b * 5 + t) * 2 + i]!, 5),
        ),
      );
    }
  });

  test('stepSync writes into an array of the caller, which may be the input', () => {
    using model = sequential([lstm({ units: 2, inputFeatures: 2 })], { seed: 2 });
    using session = model.session({ streams: 3 });
    using other = session.clone();
    const fresh = session.stepSync(Float32Array.of(1, 2, 3, 4, 5, 6));
    const both = Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
    const view = both.subarray(1, 7);
    expect(other.stepSync(view, view)).toBe(view);
    expect([...both]).toEqual([0, ...fresh, 7]);
  });

  test('clone, reset, state and setState', () => {
    using model = sequential([lstm({ units: 3, inputFeatures: 2 })], { seed: 2 });
    using session = model.session();
    const first = [...session.stepSync([1, 2])];
    using copy = session.clone();
    const { state } = session;
    expect(state['lstm']!['h']!.shape).toEqual([1, 1, 3]);
    const second = [...session.stepSync([3, 4])];
    expect([...copy.stepSync([[3, 4]])]).toEqual(second);
    session.setState(state);
    expect([...session.stepSync([3, 4])]).toEqual(second);
    session.reset();
    expect([...session.stepSync([1, 2])]).toEqual(first);
    session.setState({});
    expect([...session.stepSync([1, 2])]).toEqual(first);
    session.setState({ lstm: { h: [[1, 2, 3]] } });
    expect([...session.state['lstm']!['h']!.data]).toEqual([1, 2, 3]);
  });

  test('lastStep and a recurrent layer without sequences give the same step', () => {
    using a = sequential([lstm({ units: 3, inputFeatures: 2 })], { seed: 2 });
    using b = sequential(
      [lstm({ units: 3, inputFeatures: 2, returnSequences: true }), lastStep()],
      { seed: 2 },
    );
    expect([...a.session().stepSync([1, 2])]).toEqual([...b.session().stepSync([1, 2])]);
  });

  test('a bidirectional model has no single steps', () => {
    using model = sequential([lstm({ units: 3, inputFeatures: 2, bidirectional: true })]);
    expect(thrownBy(() => model.session())).toMatchObject({
      name: 'RangeError',
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
