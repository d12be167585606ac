import { join } from 'node:path';
import { fromConfig, input, layers, load, model, optimizers } from '../../lib';
import type { FitOptions, Model } from '../../lib';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const SOURCE = [3, 1, 4, 0];
const TARGET = [2, 5, 0, 3];
const rows = (lengths: readonly number[], features: number, seed: number): number[][][] =>
  lengths.map((length, i) =>
    Array.from({ length }, (_value, t) => [...numbers(features, seed + 31 * i + t)]),
  );
const x = { source: rows(SOURCE, 3, 1), target: rows(TARGET, 2, 500) };
const y = TARGET.map((length) => Array.from({ length }, (_value, t) => t % 3));

/** An encoder and a decoder that attends to it; a class for each step of the target. */
function translator(seed = 3): Model {
  const source = input({ shape: [null, 3], timeAxis: 'source', name: 'source' });
  const target = input({ shape: [null, 2], timeAxis: 'target', name: 'target' });
  const read = layers.gru({ units: 6, returnSequences: true }).apply(source);
  const written = layers.lstm({ units: 5, returnSequences: true }).apply(target);
  const context = layers.attention({ score: 'additive', units: 4 }).apply([written, read]);
  const both = layers.concat().apply([written, context]);
  const outputs = layers.dense({ units: 3 }).apply(both);
  return model({ inputs: [source, target], outputs, seed });
}

const OPTIONS: FitOptions = {
  loss: 'sparseCategoricalCrossentropy',
  epochs: 3,
  batchSize: 3,
  optimizer: 'adam',
};
const bits = (made: Model): string => JSON.stringify(made.getWeights());

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, j) => sum + value * b[j]!, 0);

/** The mean of the values under the softmax of the scores. */
function mean(scores: readonly number[], values: readonly number[][], width: number): number[] {
  const weights = scores.map((score) => Math.exp(score));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: width }, (_value, j) =>
    values.reduce((sum, value, t) => sum + (weights[t]! / total) * value[j]!, 0),
  );
}

/** A parameter as rows. */
function matrix(made: Model, name: string): number[][] {
  const { data, shape } = made.getWeights()[name]!;
  const width = shape.at(-1)!;
  return Array.from({ length: data.length / width }, (_value, i) => [
    ...data.subarray(i * width, (i + 1) * width),
  ]);
}

function expectNumbers(got: ArrayLike<number>, wanted: readonly number[]): void {
  expect(got).toHaveLength(wanted.length);
  wanted.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 5));
}

describe('attention', () => {
  test('of a decoder to its encoder is learned', async () => {
    using made = translator();
    expect(made.summary()).toMatch(/attention +attention +\[batch, target, 6\]/);
    const optimizer = optimizers.adam({ learningRate: 0.02 });
    const history = await made.fit(x, y, { ...OPTIONS, epochs: 60, optimizer });
    expect(history.loss.at(-1)).toBeLessThan(0.7 * history.loss[0]!);
    const scores = await made.evaluate(x, y, { metrics: ['accuracy'] });
    expect(scores['accuracy']).toBeGreaterThan(0.5);
  });

  test('is the same in any batches, in files, and after an interruption', async () => {
    using made = translator();
    const whole = await made.predict(x);
    for (const batchSize of [1, 3]) expect(await made.predict(x, { batchSize })).toEqual(whole);
    using again = fromConfig(JSON.parse(JSON.stringify(made.getConfig())) as never);
    expect(bits(again)).toBe(bits(made));
    await inTemporaryDirectory(async (folder) => {
      const path = join(folder, 'model.safetensors');
      await made.save(path);
      using loaded = await load(path);
      expect(await loaded.predict(x)).toEqual(whole);

      const run = join(folder, 'run.safetensors');
      using straight = translator();
      await straight.fit(x, y, OPTIONS);
      using stopped = translator();
      await stopped.fit(x, y, {
        ...OPTIONS,
        callbacks: [
          {
            everySteps: 3,
            onSafePoint: async (context) => {
              if (context.steps === 3) await context.saveCheckpoint(run);
            },
          },
        ],
      });
      using resumed = translator();
      await resumed.fit(x, y, { ...OPTIONS, resume: run });
      expect(bits(resumed)).toBe(bits(straight));
    });
  });

  test('of a vector over the sequence that it is the last step of', () => {
    const sequence = input({ shape: [null, 3] });
    const last = layers.lastStep().apply(sequence);
    const outputs = layers.attention({ score: 'dot' }).apply([last, sequence]);
    using made = model({ inputs: sequence, outputs });
    const { data, shape } = made.predictSync(x.source);
    expect(shape).toEqual([4, 3]);
    const wanted = x.source.flatMap((sample) =>
      mean(
        sample.map((key) => dot(sample.at(-1)!, key)),
        sample,
        3,
      ),
    );
    expectNumbers(data, wanted);
  });

  test('of an input without a time axis, to values of another width', () => {
    const query = input({ shape: [2], name: 'query' });
    const keys = input({ shape: [null, 3], name: 'keys' });
    const values = layers.dense({ units: 4 }).apply(keys);
    const outputs = layers
      .attention({ score: 'additive', units: 5, name: 'match' })
      .apply([query, keys, values]);
    using made = model({ inputs: [query, keys], outputs, seed: 2 });
    const queries = SOURCE.map((_length, i) => [...numbers(2, 70 + i)]);
    const { data, shape } = made.predictSync({ query: queries, keys: x.source });
    expect(shape).toEqual([4, 4]);
    const [W, U] = [matrix(made, 'match.weight_query'), matrix(made, 'match.weight_key')];
    const [[w], V] = [matrix(made, 'match.weight_score'), matrix(made, 'dense.weight')];
    expect(matrix(made, 'match.bias')).toEqual([[0, 0, 0, 0, 0]]);
    const wanted = x.source.flatMap((sample, i) => {
      const scores = sample.map((key) =>
        dot(
          w!,
          W.map((row, k) => Math.tanh(dot(row, queries[i]!) + dot(U[k]!, key))),
        ),
      );
      const own = sample.map((key) => V.map((row) => dot(row, key)));
      return mean(scores, own, 4);
    });
    expectNumbers(data, wanted);
  });

  test.each(['dot', 'general', 'additive'] as const)(
    'of a sequence to itself: one tensor as queries, keys and values (%s)',
    async (score) => {
      const sequence = input({ shape: [null, 3] });
      const layer = layers.attention(
        score === 'additive' ? { score, units: 4, name: 'self' } : { score, name: 'self' },
      );
      const outputs = layer.apply([sequence, sequence, sequence]);
      using made = model({ inputs: sequence, outputs, seed: 5 });
      using twice = model({
        inputs: sequence,
        outputs: layer.apply([sequence, sequence]),
        seed: 5,
      });
      const got = made.predictSync(x.source);
      expect(twice.predictSync(x.source)).toEqual(got);
      if (score === 'general') {
        const W = matrix(made, 'self.weight_query');
        const sample = x.source[2]!;
        const wanted = sample.flatMap((query) => {
          const projected = W.map((row) => dot(row, query));
          return mean(
            sample.map((key) => dot(projected, key)),
            sample,
            3,
          );
        });
        expectNumbers(got.data.subarray(2 * 12, 2 * 12 + 12), wanted);
      }
      const dy = { data: numbers(48, 9), shape: [4, 4, 3] };
      const { input: gradient } = await made.gradients(x.source, null, { outputGradient: dy });
      const same = await twice.gradients(x.source, null, { outputGradient: dy });
      expectNumbers(same.input!.data, [...gradient!.data]);
      const sum = (samples: number[][][]): number =>
        made.predictSync(samples).data.reduce((total, value, i) => total + value * dy.data[i]!, 0);
      const step = 1e-2;
      for (const [i, t, j] of [
        [0, 1, 0],
        [2, 3, 2],
        [1, 0, 1],
      ] as const) {
        const moved = (change: number): number => {
          const changed = structuredClone(x.source);
          changed[i]![t]![j]! += change;
          return sum(changed);
        };
        const slope = (moved(step) - moved(-step)) / (2 * step);
        expect(gradient!.data[(i * 4 + t) * 3 + j]).toBeCloseTo(slope, 2);
      }
    },
  );

  test('tells how much each step counted, in batch order', async () => {
    using made = translator();
    const whole = await made.predict(x, { returnAttention: true });
    expect(Object.keys(whole.attention!)).toEqual(['attention']);
    const { data, shape } = whole.attention!['attention']!;
    expect(shape).toEqual([4, 5, 4]);
    TARGET.forEach((queries, i) => {
      for (let t = 0; t < 5; t++) {
        const row = [...data.subarray((i * 5 + t) * 4, (i * 5 + t + 1) * 4)];
        const counted = t < queries ? SOURCE[i]! : 0;
        const total = row.reduce((sum, weight) => sum + weight, 0);
        expect(total).toBeCloseTo(counted > 0 ? 1 : 0, 6);
        expect(row.slice(counted).every((weight) => weight === 0)).toBe(true);
        expect(row.slice(0, counted).every((weight) => weight > 0)).toBe(true);
      }
    });
    for (const batchSize of [1, 3]) {
      expect(await made.predict(x, { batchSize, returnAttention: true })).toEqual(whole);
    }
    expect(made.predictSync(x, { returnAttention: true })).toEqual(whole);
    expect((await made.predict(x)).attention).toBeUndefined();
  });

  test('tells the weights of each call, and those of a vector', async () => {
    const sequence = input({ shape: [null, 3] });
    const last = layers.lastStep().apply(sequence);
    const look = layers.attention({ score: 'dot', name: 'look' });
    const again = look.apply([look.apply([last, sequence]), sequence]);
    using made = model({ inputs: sequence, outputs: again });
    const { attention, data } = await made.predict(x.source, { returnAttention: true });
    expect(Object.keys(attention!)).toEqual(['look', 'look:2']);
    expect(attention!['look']!.shape).toEqual([4, 4]);
    // The output is the mean under the weights.
    const weights = attention!['look:2']!.data;
    const wanted = x.source.flatMap((sample, i) =>
      [0, 1, 2].map((j) => sample.reduce((sum, key, t) => sum + weights[i * 4 + t]! * key[j]!, 0)),
    );
    expectNumbers(data, wanted);
    using plain = model({ inputs: sequence, outputs: last });
    await expect(plain.predict(x.source, { returnAttention: true })).rejects.toThrow(
      'Expected false for a model without attention for "model.predict.returnAttention"',
    );
  });

  test('refuses what it cannot read', () => {
    const vector = input({ shape: [3] });
    const sequence = input({ shape: [null, 4] });
    const { attention } = layers;
    expect(() => attention({ score: 'dot' }).apply([vector, sequence])).toThrow('equal features');
    expect(() => attention({ score: 'general' }).apply([sequence, vector])).toThrow('expects keys');
    expect(() => attention({ score: 'general' }).apply(sequence)).toThrow('array of tensors');
    const elsewhere = input({ shape: [null, 4], timeAxis: 'other' });
    expect(() => attention({ score: 'general' }).apply([vector, sequence, elsewhere])).toThrow(
      'expects keys and values on one time axis, but they are on "time" and "other"',
    );
    const four = [vector, sequence, sequence, sequence];
    expect(() => attention({ score: 'general' }).apply(four)).toThrow('receives 4 inputs');
    expect(() => attention({ score: 'additive' })).toThrow('attention.units');
    expect(() => attention({ score: 'dot', units: 3 })).toThrow('attention.units');
    expect(() => attention({ score: 'cosine' as 'dot' })).toThrow('attention.score');
  });
});
