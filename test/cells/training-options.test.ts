/** Cells that users define, with the options of training that other layers have. */
import { callbacks, defineCell, layers, optimizers, sequential } from '../../lib';
import type { Cell, Layer, Model } from '../../lib';
import { restatedGru, restatedLstm } from '../helpers/cells';
import { argumentError, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

/** An LSTM whose gates are one (Zhou et al. 2016), with a learned floor under it: all kinds of parameters. */
const floored = defineCell({
  name: 'floored',
  gates: ['f', 'g'],
  states: ['h', 'c'],
  params: { floor: { kind: 'constant', value: -0.5 }, scale: 'ones' },
  step: ({ gates: { f, g }, states, params, ops: { add, mul, max, sub, sigmoid, tanh } }) => {
    const forget = sigmoid(max(f, params.floor));
    const c = add(mul(forget, states.c), mul(sub(1, forget), tanh(g)));
    return { h: mul(params.scale, tanh(c)), c };
  },
});

const x = { data: numbers(8 * 6 * 3), shape: [8, 6, 3] };
const y = { data: numbers(8 * 2, 9), shape: [8, 2] };
const lengths = [6, 4, 0, 1, 6, 5, 2, 3];
const loss = 'meanSquaredError';

const everything = {
  layers: 2,
  dropout: 0.3,
  variationalDropout: true,
  weightDrop: 0.3,
  zoneout: { h: 0.1, c: 0.3 },
  recurrentDropout: 0.2,
  kernelRegularizer: 'l2',
  recurrentRegularizer: 'l1',
  biasRegularizer: { l1: 0.001, l2: 0.01 },
  recurrentConstraint: { kind: 'maxAbs', max: 0.2 },
  biasConstraint: { kind: 'maxAbs', max: 0.75 },
} as const;

const withCell = (cell: Cell, more: object = {}): Layer =>
  layers.custom({ cell, units: 7, inputFeatures: 3, name: 'rnn', ...more });

const modelOf = (layer: Layer): Model =>
  sequential([layer, layers.dense({ units: 2 })], { seed: 6 });

function weightsOf(model: Model): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(model.getWeights()).map(([name, { data }]) => [name, Float32Array.from(data)]),
  );
}

test.each([false, true])(
  'a run goes on exactly where it was left (carried states: %p)',
  async (stateful) => {
    await inTemporaryDirectory(async (directory) => {
      const make = () => modelOf(withCell(floored, everything));
      const options = { loss, batchSize: 4, epochs: 3, stateful, shuffle: !stateful } as const;
      using whole = make();
      const wanted = await whole.fit(x, y, options);
      using first = make();
      const stop = {
        onBatchEnd: ({ step }: { step: number }) => void (step === 3 && first.stop()),
      };
      await first.fit(x, y, {
        ...options,
        callbacks: [callbacks.modelCheckpoint({ directory, everySteps: 1 }), stop],
      });
      expect(weightsOf(first)).not.toEqual(weightsOf(whole));
      using second = make();
      const history = await second.fit(x, y, { ...options, resume: directory });
      expect(history.loss).toEqual(wanted.loss);
      expect(weightsOf(second)).toEqual(weightsOf(whole));
    });
  },
);

test('a run of another cell is not gone on with', async () => {
  await inTemporaryDirectory(async (directory) => {
    using first = modelOf(withCell(restatedGru()));
    await first.fit(x, y, {
      loss,
      epochs: 1,
      callbacks: [callbacks.modelCheckpoint({ directory, everySteps: 1 })],
    });
    const other = defineCell({
      name: 'restatedGru',
      gates: ['r', 'z', 'n'],
      step: ({ gates: { r, z, n }, h, ops: { add, mul, sigmoid, tanh } }) => ({
        h: add(mul(sigmoid(z), h), mul(sigmoid(r), tanh(n))),
      }),
    });
    using second = modelOf(withCell(other));
    await expect(second.fit(x, y, { loss, epochs: 2, resume: directory })).rejects.toMatchObject({
      message: expect.stringContaining('cell') as string,
    });
  });
});

test('penalties are of the weights, and of the learned vectors as of biases', async () => {
  using plain = modelOf(withCell(floored));
  using penalized = modelOf(
    withCell(floored, {
      kernelRegularizer: { l2: 0.5 },
      recurrentRegularizer: { l1: 0.25 },
      biasRegularizer: { l1: 0.125, l2: 2 },
    }),
  );
  const weights = weightsOf(penalized);
  const l1 = (name: string) =>
    weights[`rnn.${name}_l0`]!.reduce((sum, value) => sum + Math.abs(value), 0);
  const l2 = (name: string) =>
    weights[`rnn.${name}_l0`]!.reduce((sum, value) => sum + value * value, 0);
  let penalty = 0.5 * l2('weight_ih') + 0.25 * l1('weight_hh');
  for (const name of ['bias_ih', 'bias_hh', 'floor', 'scale']) {
    penalty += 0.125 * l1(name) + 2 * l2(name);
  }
  const bare = await plain.evaluate(x, y, { loss });
  expect((await penalized.evaluate(x, y, { loss })).loss).toBeCloseTo(bare.loss + penalty, 4);

  // What is penalised and has no other gradient shrinks.
  const zero = { data: new Float32Array(16), shape: [8, 2] };
  penalized.setWeights({ 'dense.weight': { data: new Float32Array(14), shape: [2, 7] } });
  const optimizer = optimizers.sgd({ learningRate: 0.01 });
  await penalized.fit(x, zero, { loss, batchSize: 8, epochs: 1, optimizer });
  const after = weightsOf(penalized);
  after['rnn.scale_l0']!.forEach((value) => {
    expect(value).toBeCloseTo(1 - 0.01 * (0.125 + 2 * 2), 6);
  });
});

test('constraints hold after every update, for learned vectors too', async () => {
  using model = modelOf(
    withCell(floored, {
      recurrentConstraint: { kind: 'maxAbs', max: 0.1 },
      biasConstraint: { kind: 'maxNorm', max: 0.5 },
    }),
  );
  const optimizer = optimizers.sgd({ learningRate: 0.5 });
  for (let i = 0; i < 3; i++) {
    await model.fit(x, y, { loss, batchSize: 8, epochs: 1, optimizer });
    const weights = weightsOf(model);
    for (const value of weights['rnn.weight_hh_l0']!) expect(Math.abs(value)).toBeLessThan(0.1001);
    for (const name of ['bias_ih', 'bias_hh', 'floor', 'scale']) {
      const norm = Math.hypot(...weights[`rnn.${name}_l0`]!);
      expect(norm).toBeLessThan(0.5001);
      // It begins with √7, and has not come far after one update.
      if (name === 'scale' && i === 0) expect(norm).toBeGreaterThan(0.499);
    }
  }
});

test.each<[string, object]>([
  ['weight drop', { weightDrop: 0.4 }],
  ['zoneout', { zoneout: 0.3 }],
  ['recurrent dropout', { recurrentDropout: 0.4 }],
  ['rules', { recurrentRegularizer: 'l2', recurrentConstraint: { kind: 'maxNorm', max: 0.8 } }],
  ['all of them', { ...everything, zoneout: 0.2, bidirectional: true, checkpointEvery: 2 }],
])('a restated cell trains as the built-in one does: %s', async (_name, options) => {
  const shared = { units: 20, inputFeatures: 3, name: 'rnn', ...options };
  for (const [cell, make] of [
    [restatedLstm(), layers.lstm],
    [restatedGru(), layers.gru],
  ] as const) {
    using own = modelOf(make(shared));
    using defined = modelOf(layers.custom({ ...shared, cell }));
    defined.setWeights(own.getWeights());
    const losses = async (model: Model) => {
      const fit = { loss, lengths, batchSize: 4, epochs: 4, shuffle: false } as const;
      return (await model.fit(x, y, fit)).loss;
    };
    const [left, right] = [await losses(own), await losses(defined)];
    left.forEach((value, i) => expect(right[i]).toBeCloseTo(value, 5));
    expect(new Set(left).size).toBe(4);
  }
});

test('zoneout is of the states that the cell has', () => {
  expect(withCell(floored, { zoneout: { c: 0.5 } }).getConfig()).toMatchObject({
    zoneout: { c: 0.5 },
  });
  expect(thrownBy(() => withCell(floored, { zoneout: { d: 0.5 } }))).toEqual(
    argumentError('TypeError', /custom\.zoneout/),
  );
  expect(thrownBy(() => withCell(floored, { candidateDropout: 0.5 }))).toEqual(
    argumentError('TypeError', /candidateDropout/),
  );
});
