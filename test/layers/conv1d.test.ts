import { join } from 'node:path';
import { layers, load, sequential } from '../../lib';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { conv1d, dense, depthwiseConv1d, globalMaxPooling1d, gru } = layers;

const makers = {
  conv1d: (inputFeatures?: number) =>
    conv1d({
      filters: 5,
      kernelSize: 3,
      dilation: 2,
      activation: 'relu',
      ...(inputFeatures === undefined ? {} : { inputFeatures }),
    }),
  depthwiseConv1d: (inputFeatures?: number) =>
    depthwiseConv1d({ kernelSize: 4, ...(inputFeatures === undefined ? {} : { inputFeatures }) }),
};

const samples = [6, 0, 1, 9].map((length, i) =>
  Array.from({ length }, (_value, t) => [...numbers(3, 1 + 20 * i + t)]),
);

describe.each(['conv1d', 'depthwiseConv1d'] as const)('%s', (kind) => {
  const build = (seed = 2) =>
    sequential([makers[kind](3), gru({ units: 4, returnSequences: true }), makers[kind]()], {
      seed,
    });

  test('rows do not depend on their company, and nothing on later steps', async () => {
    using model = build();
    const { data, shape } = await model.predict(samples);
    const width = shape[2]!;
    samples.forEach((sample, i) => {
      for (const length of [sample.length, sample.length - 2]) {
        if (length <= 0) continue;
        const one = model.predictSync([sample.slice(0, length)]).data;
        const at = i * 9 * width;
        expect([...data.subarray(at, at + length * width)]).toEqual([...one]);
      }
    });
  });

  test('steps of a session are those of a prediction, bit for bit at the first layer', () => {
    using model = sequential([makers[kind](3)], { seed: 2 });
    const whole = model.predictSync([samples[3]!]);
    const width = whole.shape[2]!;
    using session = model.session();
    let copy = session.clone();
    samples[3]!.forEach((step, t) => {
      copy.dispose();
      copy = session.clone();
      const out = [...session.stepSync(step)];
      expect(out).toEqual([...whole.data.subarray(t * width, (t + 1) * width)]);
      expect([...copy.stepSync(step)]).toEqual(out);
    });
    copy.dispose();
    session.reset();
    expect([...session.stepSync(samples[3]![0]!)]).toEqual([...whole.data.subarray(0, width)]);
  });

  test('states join the pieces of a sequence', async () => {
    using model = build();
    const whole = await model.predict([samples[3]!]);
    const first = await model.predict([samples[3]!.slice(0, 2)], { returnState: true });
    const history = kind === 'conv1d' ? 4 : 3;
    expect(first.states![kind]!['inputs']!.shape).toEqual([history, 1, 3]);
    const rest = await model.predict([samples[3]!.slice(2)], { initialState: first.states! });
    expect(rest.data.length).toBe((whole.data.length / 9) * 7);
    rest.data.forEach((value, i) =>
      expect(value).toBeCloseTo(whole.data[(whole.data.length / 9) * 2 + i]!, 5),
    );
  });

  test('training gives the same bits on any number of threads', async () => {
    const x = { data: numbers(24 * 7 * 3), shape: [24, 7, 3] };
    const y = { data: numbers(24 * 2, 3), shape: [24, 2] };
    const runs: unknown[] = [];
    for (const threads of [1, 2, 7]) {
      using model = sequential(
        [makers[kind](3), makers[kind](), globalMaxPooling1d(), dense({ units: 2 })],
        { seed: 2 },
      );
      const history = await model.fit(x, y, {
        epochs: 8,
        batchSize: 12,
        loss: 'meanSquaredError',
        threads,
      });
      expect(history.loss.at(-1)).toBeLessThan(history.loss[0]!);
      runs.push(Object.values(model.getWeights()).map((weight) => [...weight.data]));
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });

  test('is saved and loaded', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      using model = build();
      await model.save(path);
      using back = await load(path);
      expect(back.getConfig()).toEqual(model.getConfig());
      expect([...back.predictSync(samples).data]).toEqual([...model.predictSync(samples).data]);
    });
  });
});

test('parameters have the shapes of PyTorch', () => {
  using model = sequential([makers.conv1d(3), makers.depthwiseConv1d()]);
  const weights = model.getWeights();
  expect(weights['conv1d.weight']!.shape).toEqual([5, 3, 3]);
  expect(weights['conv1d.bias']!.shape).toEqual([5]);
  expect(weights['depthwiseConv1d.weight']!.shape).toEqual([5, 1, 4]);
});

test('a kernel of one step is a dense layer, and has no state', () => {
  using conv = sequential([conv1d({ filters: 2, kernelSize: 1, inputFeatures: 3 })], { seed: 1 });
  const weights = conv.getWeights();
  const [w, b] = [weights['conv1d.weight']!.data, weights['conv1d.bias']!.data];
  const { data } = conv.predictSync([[[1, -2, 3]]]);
  [0, 1].forEach((f) =>
    expect(data[f]).toBeCloseTo(w[3 * f]! - 2 * w[3 * f + 1]! + 3 * w[3 * f + 2]! + b[f]!, 5),
  );
  using session = conv.session();
  expect(session.state).toEqual({});
});

test('wrong use says what to change', async () => {
  const cases: [() => unknown, string][] = [
    [() => conv1d({ filters: 2 } as never), '"conv1d.kernelSize"'],
    [() => conv1d({ kernelSize: 2 } as never), '"conv1d.filters"'],
    [() => conv1d({ filters: 2, kernelSize: 0 }), '"conv1d.kernelSize"'],
    [() => conv1d({ filters: 2, kernelSize: 2, dilation: 1.5 }), '"conv1d.dilation"'],
    [() => conv1d({ filters: 2, kernelSize: 9e6, dilation: 9e6 }), '(kernelSize - 1) * dilation'],
    [
      () => conv1d({ filters: 2, kernelSize: 2, dilationRate: 2 } as never),
      'did you mean "dilation"?',
    ],
    [
      () => conv1d({ filters: 2, kernelSize: 2, padding: 'same' } as never),
      'convolutions are causal',
    ],
    [() => depthwiseConv1d({ filters: 2, kernelSize: 2 } as never), '"depthwiseConv1d"'],
  ];
  for (const [make, message] of cases) expect(thrownBy(make).message).toContain(message);
  const flat = thrownBy(() =>
    sequential([gru({ units: 2, inputFeatures: 1 }), conv1d({ filters: 2, kernelSize: 2 })]),
  );
  expect(flat.message).toContain('set returnSequences: true on it');
  using model = sequential([makers.conv1d(3)]);
  const state = { conv1d: { inputs: { data: numbers(9), shape: [3, 1, 3] } } };
  const error = await rejectionOf(() => model.predict([samples[0]!], { initialState: state }));
  expect(error.message).toContain('Expected shape [4, 1, 3]');
});
