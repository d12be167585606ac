import { layers, sequential } from '../../lib';
import type { Layer } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { numbers } from '../helpers/models';

const kinds = {
  average: layers.globalAveragePooling1d,
  max: layers.globalMaxPooling1d,
} as const;

const pooled = (kind: keyof typeof kinds, steps: readonly (readonly number[])[]): number[] =>
  steps[0]!.map((_value, j) => {
    const column = steps.map((step) => step[j]!);
    return kind === 'max'
      ? Math.max(...column)
      : column.reduce((sum, value) => sum + value, 0) / column.length;
  });

const rowsOf = (length: number, seed: number): number[][] =>
  Array.from({ length }, (_value, t) => [...numbers(3, seed + 10 * t)]);

describe.each(['average', 'max'] as const)('global %s pooling', (kind) => {
  test('takes each row by its own length, and gives zeros for none', async () => {
    using model = sequential([kinds[kind]({ inputFeatures: 3 })]);
    const samples = [rowsOf(4, 1), [], rowsOf(1, 2), rowsOf(7, 3)];
    const { data, shape } = await model.predict(samples);
    expect(shape).toEqual([4, 3]);
    samples.forEach((sample, i) => {
      const wanted = sample.length === 0 ? [0, 0, 0] : pooled(kind, sample);
      wanted.forEach((value, j) => expect(data[i * 3 + j]).toBeCloseTo(value, 6));
    });
  });

  test('a session has seen all steps so far, and ends where a prediction does', () => {
    using model = sequential(
      [layers.gru({ units: 4, inputFeatures: 3, returnSequences: true }), kinds[kind]()],
      { seed: 3 },
    );
    const sample = rowsOf(6, 4);
    using session = model.session();
    sample.forEach((step, t) => {
      const wanted = model.predictSync([sample.slice(0, t + 1)]).data;
      session.stepSync(step).forEach((value, j) => expect(value).toBeCloseTo(wanted[j]!, 6));
    });
    const name = kind === 'max' ? 'globalMaxPooling1d' : 'globalAveragePooling1d';
    expect([...session.state[name]!['count']!.data]).toEqual([6]);
    session.reset();
    const again = model.predictSync([sample.slice(0, 1)]).data;
    session.stepSync(sample[0]!).forEach((value, j) => expect(value).toBeCloseTo(again[j]!, 6));
  });

  test('states join the pieces of a sequence', async () => {
    using model = sequential([kinds[kind]({ inputFeatures: 3, name: 'pool' })]);
    const samples = [rowsOf(5, 1), rowsOf(5, 2)];
    const whole = await model.predict(samples);
    const first = await model.predict(
      samples.map((sample, i) => sample.slice(0, 2 + i)),
      { returnState: true },
    );
    const rest = await model.predict(
      samples.map((sample, i) => sample.slice(2 + i)),
      { initialState: first.states! },
    );
    rest.data.forEach((value, i) => expect(value).toBeCloseTo(whole.data[i]!, 6));
  });

  test('NaN stays in its row and feature', () => {
    using model = sequential([kinds[kind]({ inputFeatures: 2 })]);
    const { data } = model.predictSync([
      [
        [1, NaN],
        [2, 5],
      ],
      [[3, 4]],
    ]);
    expect([...data].map(Number.isNaN)).toEqual([false, true, false, false]);
  });

  test('is trained through', async () => {
    using model = sequential(
      [
        layers.simpleRnn({ units: 6, inputFeatures: 3, returnSequences: true }),
        kinds[kind](),
        layers.dense({ units: 1 }),
      ],
      { seed: 3 },
    );
    const x = Array.from({ length: 12 }, (_value, i) => rowsOf(1 + (i % 5), i));
    const y = x.map((sample) => [pooled(kind, sample)[0]!]);
    const history = await model.fit(x, y, { epochs: 150, loss: 'meanSquaredError' });
    expect(history.loss.at(-1)).toBeLessThan(0.2 * history.loss[0]!);
  });
});

test('wrong use', () => {
  const { dense, embedding, globalAveragePooling1d, globalMaxPooling1d } = layers;
  const stacks: [Layer[], string][] = [
    [
      [globalAveragePooling1d({ inputFeatures: 2 }), globalMaxPooling1d()],
      'globalMaxPooling1d: expects a sequence [batch, time, features] but receives [batch, 2]: the layer before, "globalAveragePooling1d", gives no sequence',
    ],
    [
      [dense({ units: 2, inputFeatures: 2 }), embedding({ inputDim: 2, units: 2 })],
      'embedding: takes token ids',
    ],
  ];
  for (const [stack, message] of stacks) {
    const error = thrownBy(() => sequential(stack));
    expect(error.code).toBe('ERR_SHAPE_MISMATCH');
    expect(error.message).toContain(message);
  }
  expect(thrownBy(() => globalMaxPooling1d({ poolSize: 2 } as never)).message).toContain(
    'Expected a known option for "globalMaxPooling1d" but received "poolSize"',
  );
});
