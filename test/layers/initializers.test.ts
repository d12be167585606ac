/** Initialisers of layers: values, files, and what is refused. Distributions are tested natively. */
import { layers, sequential } from '../../lib';
import type { Model } from '../../lib';
import { argumentError, thrownBy } from '../helpers/errors';

type LstmOptions = Parameters<typeof layers.lstm>[0];

function weights(
  layer: Parameters<typeof sequential>[0][number],
  seed = 1,
): Record<string, number[]> {
  const model = sequential([layer], { seed });
  return values(model);
}

function values(model: Model): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(model.getWeights()).map(([name, { data }]) => [
      name.slice(name.indexOf('.') + 1),
      Array.from(data),
    ]),
  );
}

const lstm = (options: Partial<LstmOptions>) =>
  layers.lstm({ units: 3, inputFeatures: 2, ...options });

test('chrono sets the gates that keep and that write, and nothing else', () => {
  const { bias_ih_l0: ih, bias_hh_l0: hh } = weights(
    lstm({ biasInitializer: { kind: 'chrono', tMax: 20 } }),
  );
  const keep = ih!.slice(3, 6);
  for (const bias of keep) {
    expect(bias).toBeGreaterThanOrEqual(0);
    expect(bias).toBeLessThanOrEqual(Math.log(19));
  }
  expect(new Set(keep).size).toBe(3);
  expect(ih!.slice(0, 3)).toEqual(keep.map((bias) => -bias));
  expect([...ih!.slice(6), ...hh!].every((bias) => bias === 0)).toBe(true);
});

test.each([true, false])('chrono of a GRU (resetAfter %p) sets the update gate', (resetAfter) => {
  const { bias_ih_l0: ih } = weights(
    layers.gru({
      units: 4,
      inputFeatures: 2,
      resetAfter,
      biasInitializer: { kind: 'chrono', tMax: 1000 },
    }),
  );
  expect(ih!.slice(4, 8).every((bias) => bias > 0 && bias <= Math.log(999))).toBe(true);
  expect([...ih!.slice(0, 4), ...ih!.slice(8)].every((bias) => bias === 0)).toBe(true);
});

test('the forget bias of 1 is the default, and stands back for chrono and torch', () => {
  expect(weights(lstm({})).bias_ih_l0!.slice(3, 6)).toEqual([1, 1, 1]);
  expect(weights(lstm({ unitForgetBias: false })).bias_ih_l0!.every((b) => b === 0)).toBe(true);
  expect(weights(lstm({ init: 'torch' })).bias_ih_l0!.slice(3, 6)).not.toEqual([1, 1, 1]);
});

test('identity makes an IRNN', () => {
  const options = { units: 2, inputFeatures: 1, activation: 'relu' } as const;
  const plain = layers.simpleRnn({ ...options, recurrentInitializer: 'identity' });
  expect(weights(plain).weight_hh_l0).toEqual([1, 0, 0, 1]);
  const recurrentInitializer = { kind: 'identity', gain: 0.5 } as const;
  const scaled = layers.simpleRnn({ ...options, recurrentInitializer });
  expect(weights(scaled).weight_hh_l0).toEqual([0.5, 0, 0, 0.5]);
});

test('numbers of initialisers arrive', () => {
  const dense = layers.dense({
    units: 30,
    inputFeatures: 40,
    kernelInitializer: { kind: 'uniform', limit: 3 },
    biasInitializer: { kind: 'constant', value: -2 },
  });
  const { weight, bias } = weights(dense);
  expect(bias!.every((value) => value === -2)).toBe(true);
  const largest = Math.max(...weight!.map(Math.abs));
  expect(largest).toBeGreaterThan(2.9);
  expect(largest).toBeLessThanOrEqual(3);
  const embedding = layers.embedding({
    inputDim: 50,
    units: 20,
    embeddingsInitializer: { kind: 'truncatedNormal', stddev: 2 },
  });
  const most = Math.max(...weights(embedding).weight!.map(Math.abs));
  expect(most).toBeGreaterThan(3.5);
  expect(most).toBeLessThanOrEqual(4);
});

test('every name draws something of its own', () => {
  const names = [
    'glorotUniform',
    'glorotNormal',
    'heUniform',
    'heNormal',
    'lecunUniform',
    'lecunNormal',
    'orthogonal',
    'uniform',
    'normal',
    'truncatedNormal',
    'torch',
  ] as const;
  const drawn = names.map((kernelInitializer) =>
    weights(layers.dense({ units: 4, inputFeatures: 5, kernelInitializer })).weight!.join(),
  );
  expect(new Set(drawn).size).toBe(names.length);
});

test('configurations hold initialisers, and give equal layers again', () => {
  const layer = lstm({
    recurrentInitializer: { kind: 'orthogonal', gain: 2 },
    biasInitializer: { kind: 'chrono', tMax: 9 },
  });
  const config = JSON.parse(JSON.stringify(layer.getConfig())) as ReturnType<
    typeof layer.getConfig
  >;
  expect(config['recurrentInitializer']).toEqual({ kind: 'orthogonal', gain: 2 });
  expect(config['biasInitializer']).toEqual({ kind: 'chrono', tMax: 9 });
  const again = layers.fromConfig(config);
  expect(again.getConfig()).toEqual(config);
  expect(weights(again)).toEqual(weights(layer));
});

describe('refused', () => {
  const {
    lstm: make,
    simpleRnn,
    dense,
  } = layers as unknown as Record<string, (options: object) => unknown>;
  test.each<[string, () => unknown, 'TypeError' | 'RangeError', RegExp]>([
    [
      'unknown names',
      () => dense!({ units: 1, kernelInitializer: 'lecunUnifrom' }),
      'RangeError',
      /did you mean "lecunUniform"/,
    ],
    [
      'unknown kinds',
      () => dense!({ units: 1, kernelInitializer: { kind: 'gauss' } }),
      'RangeError',
      /an initialiser \(.*constant\)/,
    ],
    [
      'constants without a value',
      () => dense!({ units: 1, biasInitializer: 'constant' }),
      'TypeError',
      /\{ kind: "constant", value: … \}/,
    ],
    [
      'unknown parts',
      () => dense!({ units: 1, kernelInitializer: { kind: 'normal', stdev: 1 } }),
      'TypeError',
      /did you mean "stddev"/,
    ],
    [
      'parts that a kind lacks',
      () => dense!({ units: 1, kernelInitializer: { kind: 'zeros', gain: 1 } }),
      'TypeError',
      /gain/,
    ],
    [
      'chrono for kernels',
      () => make!({ units: 1, kernelInitializer: { kind: 'chrono', tMax: 9 } }),
      'RangeError',
      /an initialiser/,
    ],
    [
      'chrono for times that are too short',
      () => make!({ units: 1, biasInitializer: { kind: 'chrono', tMax: 2 } }),
      'RangeError',
      /above 2/,
    ],
    [
      'chrono without biases',
      () => make!({ units: 1, useBias: false, biasInitializer: { kind: 'chrono', tMax: 9 } }),
      'TypeError',
      /lstm\.useBias/,
    ],
    [
      'chrono beside a forget bias',
      () => make!({ units: 1, unitForgetBias: true, biasInitializer: { kind: 'chrono', tMax: 9 } }),
      'TypeError',
      /unitForgetBias/,
    ],
    [
      'chrono without gates',
      () => simpleRnn!({ units: 1, biasInitializer: { kind: 'chrono', tMax: 9 } }),
      'RangeError',
      /simpleRnn\.biasInitializer/,
    ],
  ])('%s', (_name, call, name, message) => {
    expect(thrownBy(call)).toEqual(argumentError(name, message));
  });
});

// Householder reflections take seconds at this size; a bound ten times what is needed is safe.
test('a large model is built without a long stop of the event loop', () => {
  const start = performance.now();
  sequential([layers.lstm({ units: 1024, inputFeatures: 64 })]).dispose();
  expect(performance.now() - start).toBeLessThan(1000);
});
