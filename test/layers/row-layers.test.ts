import { join } from 'node:path';
import { layers, load, sequential } from '../../lib';
import type { Layer } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const { dense, glu, gru, highway, rmsNorm } = layers;

/** Layers that see one row at a time, each between layers with a time axis. */
const stacks: Record<string, () => Layer[]> = {
  rmsNorm: () => [rmsNorm({ epsilon: 1e-3 })],
  glu: () => [glu({ units: 3 })],
  'glu of halves': () => [glu()],
  highway: () => [highway(), highway({ activation: 'tanh', transformBias: -1 })],
};

describe.each(Object.entries(stacks))('%s', (_name, middle) => {
  const build = (seed = 5) =>
    sequential(
      [
        gru({ units: 6, inputFeatures: 2, returnSequences: true }),
        ...middle(),
        dense({ units: 2 }),
      ],
      { seed },
    );

  test('rows of any length, a session, and a file agree', async () => {
    using model = build();
    const samples = [3, 0, 5].map((length, i) =>
      Array.from({ length }, (_value, t) => [...numbers(2, 1 + i * 10 + t)]),
    );
    const { data } = await model.predict(samples);
    samples.forEach((sample, i) => {
      using session = model.session();
      sample.forEach((step, t) =>
        session
          .stepSync(step)
          .forEach((value, j) => expect(value).toBeCloseTo(data[(i * 5 + t) * 2 + j]!, 5)),
      );
    });
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      await model.save(path);
      using back = await load(path);
      expect(back.getConfig()).toEqual(model.getConfig());
      expect([...back.predictSync(samples).data]).toEqual([...data]);
    });
  });

  test('training gives the same bits on any number of threads', async () => {
    const x = { data: numbers(40 * 6 * 2), shape: [40, 6, 2] };
    const y = { data: numbers(40 * 6 * 2, 3), shape: [40, 6, 2] };
    const runs: unknown[] = [];
    for (const threads of [1, 2, 7]) {
      using model = build();
      await model.fit(x, y, { epochs: 2, batchSize: 20, loss: 'meanSquaredError', threads });
      runs.push(Object.values(model.getWeights()).map((weight) => [...weight.data]));
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });
});

test('a highway begins as nearly the identity', () => {
  using model = sequential([highway({ inputFeatures: 4, transformBias: -20 })], { seed: 1 });
  const x = [[1, -2, 3, 0.5]];
  model.predictSync(x).data.forEach((value, j) => expect(value).toBeCloseTo(x[0]![j]!, 6));
  expect([...model.getWeights()['highway.t.bias']!.data]).toEqual([-20, -20, -20, -20]);
});

test('wrong use says what to change', () => {
  const cases: [() => unknown, string][] = [
    [() => glu({ units: 0 }), '"glu.units"'],
    [() => glu({ unit: 3 } as never), 'did you mean "units"?'],
    [() => highway({ units: 3 } as never), '"highway"'],
    [() => highway({ activation: 'rellu' as never }), '"highway.activation"'],
    [() => highway({ transformBias: NaN }), '"highway.transformBias"'],
    [() => rmsNorm({ eps: 1 } as never), 'did you mean "epsilon"?'],
    [() => rmsNorm({ epsilon: 0 }), '"rmsNorm.epsilon"'],
  ];
  for (const [make, message] of cases) expect(thrownBy(make).message).toContain(message);
  const odd = thrownBy(() => sequential([dense({ units: 3, inputFeatures: 1 }), glu()]));
  expect(odd).toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
  expect(odd.message).toContain('the input has 3 features; give it an even number, or set units');
});
