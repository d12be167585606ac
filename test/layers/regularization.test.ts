/** Dropout of recurrent layers and activation regularisation, as a user meets them. */
import { callbacks, fromConfig, layers, optimizers, sequential } from '../../lib';
import type { Model } from '../../lib';
import { argumentError, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const x = { data: numbers(6 * 5 * 3), shape: [6, 5, 3] };
const y = { data: numbers(6 * 5 * 2, 5), shape: [6, 5, 2] };
const lengths = [5, 3, 0, 1, 5, 4];
const loss = 'meanSquaredError';

type Lstm = Partial<Parameters<typeof layers.lstm>[0]>;

function model(lstm: Lstm = {}): Model {
  return sequential(
    [
      layers.spatialDropout1d({ rate: 0.25, inputFeatures: 3 }),
      layers.lstm({ units: 4, returnSequences: true, ...lstm }),
      layers.dense({ units: 2 }),
    ],
    { seed: 8 },
  );
}

const everything = {
  layers: 2,
  bidirectional: true,
  dropout: 0.5,
  variationalDropout: true,
  weightDrop: 0.3,
  zoneout: { h: 0.1, c: 0.4 },
  recurrentDropout: 0.2,
  candidateDropout: 0.2,
  activationRegularization: 2,
  temporalActivationRegularization: 1,
} as const;

function weightsOf(of: Model): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(of.getWeights()).map(([name, { data }]) => [name, Float32Array.from(data)]),
  );
}

test('penalties of outputs are part of the loss of training, and of no other', async () => {
  const make = (lstm: Lstm) =>
    sequential([layers.lstm({ units: 4, inputFeatures: 3, returnSequences: true, ...lstm })], {
      seed: 8,
    });
  const targets = { data: numbers(6 * 5 * 4, 5), shape: [6, 5, 4] };
  const [alpha, beta] = [2, 3];
  const plain = make({});
  const penalized = make({
    activationRegularization: alpha,
    temporalActivationRegularization: beta,
  });
  const { data: h } = await plain.predict(x, { lengths });
  let [squares, elements, differences, pairs] = [0, 0, 0, 0];
  lengths.forEach((length, b) => {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j < 4; j++) {
        const at = (step: number) => h[(b * 5 + step) * 4 + j]!;
        squares += at(t) ** 2;
        elements++;
        if (t + 1 === length) continue;
        differences += (at(t + 1) - at(t)) ** 2;
        pairs++;
      }
    }
  });
  const bare = await penalized.evaluate(x, targets, { loss, lengths });
  expect(bare).toEqual(await plain.evaluate(x, targets, { loss, lengths }));
  const history = await penalized.fit(x, targets, {
    loss,
    lengths,
    batchSize: 6,
    optimizer: optimizers.sgd({ learningRate: 0 }),
  });
  const penalty = (alpha * squares) / elements + (beta * differences) / pairs;
  expect(history.loss[0]).toBeCloseTo(bare.loss + penalty, 5);
});

test('activation regularisation makes outputs small, its temporal form makes them slow', async () => {
  const trained = async (lstm: Lstm) => {
    const made = sequential(
      [layers.lstm({ units: 4, inputFeatures: 3, returnSequences: true, ...lstm })],
      { seed: 8 },
    );
    const zeros = { data: new Float32Array(6 * 5 * 4).fill(0.5), shape: [6, 5, 4] };
    await made.fit(x, zeros, {
      loss,
      epochs: 200,
      optimizer: optimizers.adam({ learningRate: 0.02 }),
    });
    const { data } = await made.predict(x);
    let [size, change] = [0, 0];
    data.forEach((value, i) => {
      size += value ** 2;
      if (i % 20 < 16) change += (data[i + 4]! - value) ** 2;
    });
    return { size, change };
  };
  const plain = await trained({});
  expect((await trained({ activationRegularization: 4 })).size).toBeLessThan(0.3 * plain.size);
  const slow = await trained({ temporalActivationRegularization: 20 });
  expect(slow.change).toBeLessThan(0.5 * plain.change);
});

test('weight drop trains the whole matrix in time, and leaves predictions alone', async () => {
  const made = model({ weightDrop: 0.9 });
  const plain = model();
  expect((await made.predict(x)).data).toEqual((await plain.predict(x)).data);
  const before = Float32Array.from(made.getWeights()['lstm.weight_hh_l0']!.data);
  const unchanged = async (epochs: number) => {
    await made.fit(x, y, { loss, batchSize: 6, epochs, optimizer: optimizers.sgd({}) });
    const { data } = made.getWeights()['lstm.weight_hh_l0']!;
    return before.filter((value, i) => value === data[i]).length / before.length;
  };
  expect(await unchanged(1)).toBeGreaterThan(0.6);
  expect(await unchanged(60)).toBeLessThan(0.1);
});

test('a state that zoneout keeps for good gives its cell no gradient', async () => {
  const before = weightsOf(model());
  const changed = async (zoneout: NonNullable<Lstm['zoneout']>) => {
    const made = model({ zoneout });
    await made.fit(x, y, { loss, batchSize: 6, epochs: 3 });
    const after = weightsOf(made);
    return Object.keys(before).filter(
      (name) => !before[name]!.every((w, i) => w === after[name]![i]),
    );
  };
  // The output of the layer stays 0: only the bias above it can learn.
  expect(await changed(0.999999)).toEqual(['dense.bias']);
  expect(await changed({ h: 0.5, c: 0.5 })).toEqual(Object.keys(before));
});

test('a model with zoneout learns more than a constant', async () => {
  const made = model({ zoneout: { h: 0.1, c: 0.3 } });
  const optimizer = optimizers.adam({ learningRate: 0.05 });
  await made.fit(x, y, { loss, batchSize: 6, epochs: 60, optimizer });
  // The least squared error of a constant is the variance, feature by feature.
  const rows = y.data.length / 2;
  const means = [0, 1].map(
    (j) => y.data.filter((_, i) => i % 2 === j).reduce((a, b) => a + b) / rows,
  );
  const variance = y.data.reduce((sum, v, i) => sum + (v - means[i % 2]!) ** 2, 0) / y.data.length;
  expect((await made.evaluate(x, y, { loss })).loss).toBeLessThan(variance);
});

test('zoneout predicts with the mean of its draws', async () => {
  const [p, units] = [0.25, 4];
  const make = (zoneout: number) =>
    sequential([layers.simpleRnn({ units, inputFeatures: 3, returnSequences: true, zoneout })], {
      seed: 8,
    });
  const { data: zoned } = await make(p).predict(x);
  const { data: plain } = await make(0).predict(x);
  // From a state of zeros, the first step keeps 1 - p of what the cell makes.
  for (let b = 0; b < 6; b++) {
    for (let j = 0; j < units; j++) {
      const at = b * 5 * units + j;
      expect(zoned[at]).toBeCloseTo((1 - p) * plain[at]!, 6);
    }
  }
  expect((await make(p).predict(x)).data).toEqual(zoned);
});

test('a number for zoneout is one for every state, and a state without one has none', async () => {
  const after = async (zoneout: NonNullable<Lstm['zoneout']>) =>
    (await model({ zoneout }).predict(x)).data;
  expect(await after(0.3)).toEqual(await after({ h: 0.3, c: 0.3 }));
  expect(await after({ c: 0.3 })).toEqual(await after({ h: 0, c: 0.3 }));
  expect(await after({ c: 0.3 })).not.toEqual(await after(0.3));
  expect(await after({})).toEqual(await after(0));
});

test('recurrent dropout and dropout of the candidate change training alone', async () => {
  const losses = async (gru: Partial<Parameters<typeof layers.gru>[0]>) => {
    const made = sequential(
      [layers.gru({ units: 4, inputFeatures: 3, ...gru }), layers.dense({ units: 2 })],
      { seed: 8 },
    );
    const targets = { data: numbers(6 * 2, 5), shape: [6, 2] };
    const { loss: before } = await made.evaluate(x, targets, { loss });
    const history = await made.fit(x, targets, {
      loss,
      batchSize: 6,
      epochs: 2,
      optimizer: optimizers.sgd({ learningRate: 0 }),
    });
    return { before, trained: history.loss };
  };
  const plain = await losses({});
  expect(new Set(plain.trained).size).toBe(1);
  for (const options of [{ recurrentDropout: 0.5 }, { candidateDropout: 0.5 }]) {
    const dropped = await losses(options);
    expect(dropped.before).toBe(plain.before);
    expect(new Set([...plain.trained, ...dropped.trained]).size).toBe(3);
  }
});

test('dropout is off in prediction, evaluation and sessions', async () => {
  const dropped = model(everything);
  const { data } = await dropped.predict(x);
  expect((await dropped.predict(x)).data).toEqual(data);
  const { bidirectional: _two, ...oneWay } = everything;
  const stream = model(oneWay);
  const rows = (await stream.predict(x)).data;
  using session = stream.session();
  for (let t = 0; t < 5; t++) {
    const row = session.stepSync(x.data.subarray(t * 3, t * 3 + 3));
    row.forEach((value, j) => expect(value).toBeCloseTo(rows[t * 2 + j]!, 5));
  }
});

test('masks are the same for any number of threads, and others in the next step', async () => {
  const after = async (threads: number, batches = 1) => {
    const made = model(everything);
    const losses: number[] = [];
    await made.fit(x, y, {
      loss,
      lengths,
      threads,
      batchSize: 6,
      epochs: batches,
      shuffle: false,
      optimizer: optimizers.sgd({ learningRate: 0 }),
      onBatch: (event) => losses.push(event.loss),
    });
    return losses;
  };
  const losses = await after(1, 3);
  expect(new Set(losses).size).toBe(3);
  expect(await after(2, 3)).toEqual(losses);
  expect(await after(7, 3)).toEqual(losses);
});

test.each([false, true])(
  'a run goes on exactly where it was left (carried states: %p)',
  async (stateful) => {
    await inTemporaryDirectory(async (directory) => {
      const make = () =>
        stateful ? model({ ...everything, bidirectional: false }) : model(everything);
      const options = { loss, batchSize: 2, epochs: 3, stateful, shuffle: !stateful } as const;
      const whole = make();
      const wanted = await whole.fit(x, y, options);
      const first = make();
      const stop = {
        onBatchEnd: ({ step }: { step: number }) => void (step === 4 && first.stop()),
      };
      await first.fit(x, y, {
        ...options,
        callbacks: [callbacks.modelCheckpoint({ directory, everySteps: 1 }), stop],
      });
      const second = make();
      const history = await second.fit(x, y, { ...options, resume: directory });
      expect(history.loss).toEqual(wanted.loss);
      expect(weightsOf(second)).toEqual(weightsOf(whole));
    });
  },
);

test('configurations hold the options', () => {
  const config = JSON.parse(JSON.stringify(model(everything).getConfig())) as ReturnType<
    Model['getConfig']
  >;
  expect(config.layers[0]).toMatchObject({ type: 'spatialDropout1d', rate: 0.25 });
  expect(config.layers[1]).toMatchObject(everything);
  expect(fromConfig(config).getConfig()).toEqual(config);
});

describe('refused', () => {
  const { lstm, spatialDropout1d } = layers as unknown as Record<string, (o: object) => unknown>;
  test.each<[string, () => unknown, 'TypeError' | 'RangeError', RegExp]>([
    [
      'penalties of one step',
      () => lstm!({ units: 1, activationRegularization: 1 }),
      'TypeError',
      /returnSequences/,
    ],
    [
      'negative penalties',
      () => lstm!({ units: 1, returnSequences: true, temporalActivationRegularization: -1 }),
      'RangeError',
      /at least 0/,
    ],
    [
      'variational without dropout',
      () => lstm!({ units: 1, variationalDropout: true }),
      'TypeError',
      /without dropout/,
    ],
    [
      'weights that are all dropped',
      () => lstm!({ units: 1, weightDrop: 1 }),
      'RangeError',
      /weightDrop/,
    ],
    [
      'zoneout of 1',
      () => lstm!({ units: 1, zoneout: 1 }),
      'RangeError',
      /below 1 for "lstm\.zoneout"/,
    ],
    [
      'zoneout of a state below 0',
      () => lstm!({ units: 1, zoneout: { c: -0.1 } }),
      'RangeError',
      /at least 0 and below 1 for "lstm\.zoneout\.c"/,
    ],
    [
      'zoneout of a state that the cell does not have',
      () => (layers.gru as (o: object) => unknown)({ units: 1, zoneout: { c: 0.1 } }),
      'TypeError',
      /gru\.zoneout/,
    ],
    [
      'zoneout that is a word',
      () => lstm!({ units: 1, zoneout: 'much' }),
      'TypeError',
      /a number, or one for each state/,
    ],
    [
      'states that are always hidden',
      () => lstm!({ units: 1, recurrentDropout: 1 }),
      'RangeError',
      /below 1 for "lstm\.recurrentDropout"/,
    ],
    [
      'dropout of a candidate that the cell does not have',
      () =>
        (layers.simpleRnn as unknown as (o: object) => unknown)({
          units: 1,
          candidateDropout: 0.1,
        }),
      'TypeError',
      /candidateDropout/,
    ],
    ['rates of 1', () => spatialDropout1d!({ rate: 1 }), 'RangeError', /below 1/],
    ['rates that are missing', () => spatialDropout1d!({}), 'TypeError', /rate/],
  ])('%s', (_name, call, name, message) => {
    expect(thrownBy(call)).toEqual(argumentError(name, message));
  });

  test('locked dropout without a time axis', () => {
    const make = () =>
      sequential([
        layers.lstm({ units: 2, inputFeatures: 1 }),
        layers.spatialDropout1d({ rate: 0.5 }),
      ]);
    expect(thrownBy(make)).toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
  });
});
