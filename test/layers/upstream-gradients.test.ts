import { layers, sequential } from '../../lib';
import type { Gradients, Model, NDArray } from '../../lib';
import { argumentError, rejectionOf } from '../helpers/errors';
import { characterModel, numbers, regressionModel } from '../helpers/models';

const BATCH = 3;
const STEPS = 4;
const lengths = [4, 0, 2];

function sequences(): Model {
  return sequential(
    [
      layers.lstm({ units: 5, inputFeatures: 2, returnSequences: true }),
      layers.dense({ units: 3, activation: 'tanh' }),
    ],
    { seed: 5 },
  );
}

const x = { data: numbers(BATCH * STEPS * 2), shape: [BATCH, STEPS, 2] };
const y = { data: numbers(BATCH * STEPS * 3, 2), shape: [BATCH, STEPS, 3] };
const dh = { data: numbers(BATCH * 5, 3), shape: [1, BATCH, 5] };
const stateGradients = { lstm: { h: dh } };

/** All gradients of a result in one list. */
function flat({ parameters, input, initialState }: Gradients<number | null>): number[] {
  const states = Object.values(initialState).flatMap((state) => Object.values(state));
  const arrays: NDArray[] = [...Object.values(parameters), ...(input ? [input] : []), ...states];
  return arrays.flatMap(({ data }) => [...data]);
}

function expectClose(actual: number[], expected: number[]): void {
  expect(actual).toHaveLength(expected.length);
  expect(expected.some((value) => Math.abs(value) > 1e-3)).toBe(true);
  actual.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6));
}

test('the gradient that a loss has at the output does what the loss does', async () => {
  using model = sequences();
  const byLoss = await model.gradients(x, y, { loss: 'meanSquaredError', lengths });
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const data = byLoss.output.data.map((value, i) => (2 * (value - y.data[i]!)) / (rows * 3));
  const outputGradient = { data, shape: y.shape };
  const upstream = await model.gradients(x, null, { outputGradient, lengths });
  expect(upstream.loss).toBeNull();
  expect(upstream.output).toEqual(byLoss.output);
  expect(upstream.finalState).toEqual(byLoss.finalState);
  expectClose(flat(upstream), flat(byLoss));
});

test('output and final states are those of a prediction', async () => {
  using model = sequences();
  const result = await model.gradients(x, y, { loss: 'huber', lengths });
  const { states, ...output } = await model.predict(x, { lengths, returnState: true });
  expect(result.output).toEqual(output);
  expect(result.finalState).toEqual(states);
});

test('gradients of the final states add to those of the loss', async () => {
  using model = sequences();
  const loss = 'meanAbsoluteError';
  const both = await model.gradients(x, y, { loss, stateGradients });
  const alone = flat(await model.gradients(x, y, loss));
  const states = flat(await model.gradients(x, null, { stateGradients }));
  expect(both.loss).toBe((await model.gradients(x, y, loss)).loss);
  expect(states).not.toEqual(alone);
  expectClose(
    flat(both),
    alone.map((value, i) => value + states[i]!),
  );
});

test('what lies beyond the length of a sample is not read', async () => {
  using model = sequences();
  const outputGradient = { data: y.data.slice(), shape: y.shape };
  const options = { outputGradient, lengths, initialState: { lstm: { h: dh } } };
  const clean = await model.gradients(x, null, options);
  lengths.forEach((length, row) => {
    outputGradient.data.fill(NaN, (row * STEPS + length) * 3, (row + 1) * STEPS * 3);
  });
  const poisoned = await model.gradients(x, null, options);
  expect(flat(poisoned)).toEqual(flat(clean));
  expect(flat(clean).every(Number.isFinite)).toBe(true);
  const ragged = lengths.map((length, row) =>
    Array.from({ length }, (_value, t) => {
      const begin = (row * STEPS + t) * 3;
      return [...y.data.slice(begin, begin + 3)];
    }),
  );
  const nested = await model.gradients(x, null, { ...options, outputGradient: ragged });
  expect(flat(nested)).toEqual(flat(clean));
});

test('models with one output a sample, and models of tokens', async () => {
  using regression = regressionModel();
  const one = await regression.gradients([[[1, 2, 3]], [[0, 1, 0]]], null, {
    outputGradient: [
      [1, 0],
      [1, 2],
    ],
  });
  expect(one.output.shape).toEqual([2, 2]);
  expect([...one.parameters['dense.bias']!.data]).toEqual([2, 2]);
  using characters = characterModel();
  const tokens = await characters.gradients([[1, 2]], null, {
    outputGradient: [[numbers(7), numbers(7)]],
  });
  expect(tokens.input).toBeNull();
  expect(tokens.output.shape).toEqual([1, 2, 7]);
});

test('wrong use', async () => {
  using model = sequences();
  const caught = (given: object | undefined, targets: unknown = null) =>
    rejectionOf(() => model.gradients(x, targets as null, given as { outputGradient: unknown }));
  expect(await caught(undefined)).toEqual(argumentError('TypeError', /"loss"/));
  expect(await caught({})).toEqual(argumentError('TypeError', /"loss"/));
  expect(await caught({ loss: 'huber', outputGradient: y }, y)).toEqual(
    argumentError('TypeError', /nothing beside a loss.*outputGradient/),
  );
  expect(await caught({ outputGradient: y }, y)).toEqual(
    argumentError('TypeError', /null without a loss for "y"/),
  );
  for (const option of [{ mask: [1] }, { sampleWeights: [1] }, { fromLogits: false }]) {
    expect(await caught({ outputGradient: y, ...option })).toEqual(
      argumentError('TypeError', /nothing without a loss/),
    );
  }
  expect(await caught({ outputGradient: { data: dh.data, shape: [3, 5] } })).toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(/\[batch, time, 3\] for "outputGradient"/) as string,
  });
  expect(await caught({ outputGradient: [[[1, 2, 3]], [], []] })).toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(/"outputGradient\[0\]"/) as string,
  });
  expect(await caught({ outputGradient: 1 })).toEqual(
    argumentError('TypeError', /"outputGradient"/),
  );
  expect(await caught({ stateGradients: { lstm: { hh: dh } } })).toEqual(
    argumentError('TypeError', /"stateGradients\.lstm"/),
  );
  expect(
    await caught({ stateGradients: { lstm: { c: { data: dh.data, shape: [1, 5, 3] } } } }),
  ).toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(/"stateGradients\.lstm\.c"/) as string,
  });
  expect(await caught({ stateGradients, signal: AbortSignal.abort('early') })).toBe('early');
  // None of it has left the model busy or changed.
  expect((await model.gradients(x, null, { stateGradients })).loss).toBeNull();
});
