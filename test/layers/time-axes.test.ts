import { join } from 'node:path';
import { fromConfig, input, layers, load, model, optimizers, sequential } from '../../lib';
import type { FitOptions, Model, ModelConfig } from '../../lib';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const SOURCE = [3, 1, 4, 2];
const TARGET = [2, 5, 0, 3];
const rows = (lengths: readonly number[], features: number, seed: number): number[][][] =>
  lengths.map((length, i) =>
    Array.from({ length }, (_value, t) => [...numbers(features, seed + 31 * i + t)]),
  );
const classes = (lengths: readonly number[], count: number): number[][] =>
  lengths.map((length) => Array.from({ length }, (_value, t) => t % count));
const x = { source: rows(SOURCE, 3, 1), target: rows(TARGET, 2, 500) };
const y = {
  match: SOURCE.map((length, i) => [(length - TARGET[i]!) / 4]),
  label: classes(TARGET, 3),
  mark: classes(SOURCE, 2),
};

/** Two sequences: a number for both of them, a class for each step of the second, of the first. */
function readers(seed = 3): Model {
  const source = input({ shape: [null, 3], timeAxis: 'source', name: 'source' });
  const target = input({ shape: [null, 2], timeAxis: 'target', name: 'target' });
  const read = layers.gru({ units: 6, returnSequences: true }).apply(source);
  const written = layers.lstm({ units: 5, returnSequences: true }).apply(target);
  const last = [read, written].map((tensor) => layers.lastStep().apply(tensor));
  const match = layers.dense({ units: 1 }).apply(layers.concat().apply(last));
  const label = layers.dense({ units: 3 }).apply(written);
  const mark = layers.dense({ units: 2 }).apply(read);
  return model({ inputs: [source, target], outputs: { match, label, mark }, seed });
}

const CLASSES = 'sparseCategoricalCrossentropy';
const LOSS = { match: 'meanSquaredError', label: CLASSES, mark: CLASSES } as const;
const OPTIONS: FitOptions = { loss: LOSS, epochs: 3, batchSize: 3, optimizer: 'adam' };
const bits = (made: Model): string => JSON.stringify(made.getWeights());

describe('sequences of different lengths', () => {
  test('are read side by side, and learned from', async () => {
    using made = readers();
    expect(made.inputs).toMatchObject({ source: { axis: 'source' }, target: { axis: 'target' } });
    expect(made.outputs).toMatchObject({ label: { axis: 'target' }, mark: { axis: 'source' } });
    expect(made.summary()).toContain('[batch, target, 3]');
    const history = await made.fit(x, y, {
      ...OPTIONS,
      epochs: 80,
      optimizer: optimizers.adam({ learningRate: 0.02 }),
      metrics: ['accuracy'],
      validationData: { x, y },
    });
    expect(history.loss.at(-1)).toBeLessThan(0.5 * history.loss[0]!);
    const scores = await made.evaluate(x, y, { metrics: ['accuracy'] });
    expect(scores['labelAccuracy']).toBeGreaterThan(0.5);
    expect(scores['markAccuracy']).toBe((history['valMarkAccuracy'] as number[]).at(-1));
    expect(scores.loss).toBeCloseTo((history['valLoss'] as number[]).at(-1)!, 10);
  });

  test('give the same in any batches, and alone', async () => {
    using made = readers();
    const whole = await made.predict(x);
    const { match, label, mark } = whole.outputs!;
    expect([match!.shape, label!.shape, mark!.shape]).toEqual([
      [4, 1],
      [4, 5, 3],
      [4, 4, 2],
    ]);
    for (const batchSize of [1, 2, 3]) {
      expect(await made.predict(x, { batchSize })).toEqual(whole);
    }
    const alone = made.predictSync({ source: [x.source[3]!], target: [x.target[3]!] }).outputs!;
    expect(alone['label']!.shape).toEqual([1, 3, 3]);
    expect(alone['label']!.data).toEqual(label!.data.slice(3 * 15, 3 * 15 + 9));
    expect(alone['mark']!.data).toEqual(mark!.data.slice(3 * 8, 3 * 8 + 4));
    expect(alone['match']!.data).toEqual(match!.data.slice(3));
  });

  test('are scored over the steps of their own axis', async () => {
    using made = readers();
    const { outputs } = await made.predict(x);
    const meanLoss = (name: 'label' | 'mark', counted: (i: number, t: number) => boolean) => {
      const { data, shape } = outputs![name]!;
      const [, steps, width] = shape as [number, number, number];
      const losses = y[name].flatMap((sample, i) =>
        sample.flatMap((label, t) => {
          if (!counted(i, t)) return [];
          const logits = [...data.subarray((i * steps + t) * width, (i * steps + t + 1) * width)];
          const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
          return [Math.log(total) - logits[label]!];
        }),
      );
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    };
    const mask = { mark: y.mark.map((sample) => sample.map((_label, t) => Number(t !== 1))) };
    const scores = await made.evaluate(x, y, { loss: LOSS, mask, batchSize: 3 });
    expect(scores['labelLoss']).toBeCloseTo(
      meanLoss('label', () => true),
      5,
    );
    expect(scores['markLoss']).toBeCloseTo(
      meanLoss('mark', (_i, t) => t !== 1),
      5,
    );
  });

  test('take lengths by the name of their time axis', async () => {
    using made = readers();
    const pad = (samples: number[][][], steps: number, features: number): number[][][] =>
      samples.map((sample) => [
        ...sample,
        ...Array.from({ length: steps - sample.length }, () => Array<number>(features).fill(9)),
      ]);
    const padded = { source: pad(x.source, 4, 3), target: pad(x.target, 5, 2) };
    const lengths = { source: SOURCE, target: TARGET };
    expect(await made.predict(padded, { lengths })).toEqual(await made.predict(x));
    const { loss } = await made.evaluate(padded, y, { loss: LOSS, lengths });
    expect(loss).toBe((await made.evaluate(x, y, { loss: LOSS })).loss);
    const some = await made.predict(padded, { lengths: { source: SOURCE } });
    expect(some.outputs!['mark']).toEqual((await made.predict(x)).outputs!['mark']);
  });

  test('have gradients over each axis', async () => {
    using made = readers();
    const { inputs, loss } = await made.gradients(x, y, { loss: LOSS });
    expect(inputs!['source']!.shape).toEqual([4, 4, 3]);
    expect(inputs!['target']!.shape).toEqual([4, 5, 2]);
    const step = 1e-2;
    for (const [name, i, t, j] of [
      ['source', 2, 1, 0],
      ['target', 1, 3, 1],
      ['source', 0, 2, 2],
    ] as const) {
      const moved = async (change: number): Promise<number> => {
        const changed = structuredClone(x);
        changed[name][i]![t]![j]! += change;
        return (await made.gradients(changed, y, { loss: LOSS })).loss;
      };
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
      const { data, shape } = inputs![name]!;
      expect(data[(i * shape[1]! + t) * shape[2]! + j]).toBeCloseTo(slope, 3);
    }
    expect(loss).toBeGreaterThan(0);
  });

  test('are saved with their time axes, and drawn again', async () => {
    using made = readers();
    const config = JSON.parse(JSON.stringify(made.getConfig())) as ModelConfig;
    expect(config).toMatchObject({ format: 3, inputs: [{ axis: 'source' }, { axis: 'target' }] });
    using again = fromConfig(config);
    expect(bits(again)).toBe(bits(made));
    await inTemporaryDirectory(async (path) => {
      await made.save(join(path, 'model.safetensors'));
      using loaded = await load(join(path, 'model.safetensors'));
      expect(await loaded.predict(x)).toEqual(await made.predict(x));
      expect(loaded.summary()).toBe(made.summary());
    });
  });

  test('go on from a checkpoint as if nothing had happened, with the same lengths only', async () => {
    await inTemporaryDirectory(async (folder) => {
      const path = join(folder, 'run.safetensors');
      using whole = readers();
      const history = await whole.fit(x, y, OPTIONS);
      using first = readers();
      await first.fit(x, y, {
        ...OPTIONS,
        callbacks: [
          {
            everySteps: 3,
            onSafePoint: async (context) => {
              if (context.steps === 3) await context.saveCheckpoint(path);
            },
          },
        ],
      });
      using resumed = readers();
      const later = await resumed.fit(x, y, { ...OPTIONS, resume: path });
      expect(bits(resumed)).toBe(bits(whole));
      expect({ ...later, seconds: [] }).toEqual({ ...history, seconds: [] });
      using other = readers();
      const lengths = { target: [2, 4, 0, 3] };
      const longer = {
        ...x,
        target: x.target.map((sample) => [...sample, ...rows([6 - sample.length], 2, 9)[0]!]),
      };
      const labels = { ...y, label: classes(lengths.target, 3) };
      await expect(
        other.fit(longer, labels, { ...OPTIONS, lengths, resume: path }),
      ).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT',
        message: expect.stringMatching(/target/) as string,
      });
    });
  });
});

describe('repeatVector', () => {
  test('gives a decoder its vector at each of n steps', async () => {
    using made = sequential(
      [
        layers.lstm({ units: 8, inputFeatures: 3 }),
        layers.repeatVector({ n: 2 }),
        layers.lstm({ units: 8, returnSequences: true }),
        layers.dense({ units: 1 }),
      ],
      { seed: 2 },
    );
    expect(made.output).toEqual({ features: 1, timed: true, tokens: false, axis: 2 });
    const targets = x.source.map((sample) => [[sample.length / 4], [sample[0]![0]!]]);
    const history = await made.fit(x.source, targets, {
      loss: 'meanSquaredError',
      epochs: 80,
      batchSize: 4,
      optimizer: optimizers.adam({ learningRate: 0.02 }),
    });
    expect(history.loss.at(-1)).toBeLessThan(0.3 * history.loss[0]!);
    expect((await made.predict(x.source, { batchSize: 3 })).shape).toEqual([4, 2, 1]);
    await expect(
      made.fit(x.source, [[[1]], [[1]], [[1]], [[1]]], { loss: 'meanSquaredError', epochs: 1 }),
    ).rejects.toThrow('Expected 2 steps for "y[0]"');
    using again = fromConfig(JSON.parse(JSON.stringify(made.getConfig())) as ModelConfig);
    expect(again.output).toEqual(made.output);
    expect(() => made.session()).toThrow('needs whole sequences');
  });

  test('begins a model without a time axis, and refuses sequences', () => {
    using made = sequential([
      layers.dense({ units: 4, inputFeatures: 3 }),
      layers.repeatVector({ n: 3 }),
      layers.gru({ units: 2 }),
    ]);
    expect(made.input.timed).toBe(false);
    const sequence = input({ shape: [null, 3] });
    expect(() => layers.repeatVector({ n: 3 }).apply(sequence)).toThrow('take the last step');
    expect(() => layers.repeatVector({ n: 0 })).toThrow('repeatVector.n');
  });
});

describe('reshape', () => {
  test('makes steps of a row, and a row of steps', () => {
    const row = input({ shape: [6] });
    const steps = layers.reshape({ shape: [3, 2] }).apply(row);
    const back = layers.reshape({ shape: [6] }).apply(steps);
    using made = model({ inputs: row, outputs: { steps, back } });
    const given = [...numbers(12)];
    const { outputs } = made.predictSync([given.slice(0, 6), given.slice(6)]);
    expect(outputs!['steps']!.shape).toEqual([2, 3, 2]);
    expect([...outputs!['steps']!.data]).toEqual(given);
    expect(outputs!['back']!.shape).toEqual([2, 6]);
    expect([...outputs!['back']!.data]).toEqual(given);
  });

  test('refuses sequences of any length, and other sizes', () => {
    const sequence = input({ shape: [null, 3] });
    expect(() => layers.reshape({ shape: [6] }).apply(sequence)).toThrow('may have any lengths');
    const row = input({ shape: [6] });
    expect(() => layers.reshape({ shape: [4, 2] }).apply(row)).toThrow(
      'makes 8 numbers a sample, [4, 2], but receives 6',
    );
    expect(() => layers.reshape({ shape: [1, 2, 3] })).toThrow('reshape.shape');
    expect(() => layers.reshape({})).toThrow('reshape.features');
    expect(() => layers.reshape({ shape: [2], features: 2 })).toThrow('reshape.features');
  });
});
