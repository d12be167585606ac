import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromConfig, input, layers, load, model, sequential } from '../../lib';
import type { FitOptions, Model } from '../../lib';
import { numbers } from '../helpers/models';

/** Two sequences of three numbers, a shared GRU, a residual; a number a sample, a class a step. */
function twoHeads(seed = 3): Model {
  const a = input({ shape: [null, 3], name: 'a' });
  const b = input({ shape: [null, 3], name: 'b' });
  const reader = layers.gru({ units: 4, returnSequences: true });
  const both = layers.add().apply([reader.apply(a), reader.apply(b)]);
  const mixed = layers.dense({ units: 4, activation: 'tanh' }).apply(both);
  const residual = layers.add().apply([both, mixed]);
  const price = layers.dense({ units: 1 }).apply(layers.lastStep().apply(residual));
  const label = layers.dense({ units: 3 }).apply(layers.concat().apply([residual, a]));
  return model({ inputs: [a, b], outputs: { price, label }, seed });
}

const LENGTHS = [4, 1, 0, 3, 2, 4];
const rows = (seed: number): number[][][] =>
  LENGTHS.map((length, i) =>
    Array.from({ length }, (_value, t) => [...numbers(3, seed + 31 * i + t)]),
  );
const x = { a: rows(1), b: rows(500) };
const y = {
  price: LENGTHS.map((length) => [length / 4]),
  label: LENGTHS.map((length) => Array.from({ length }, (_value, t) => t % 3)),
};
const LOSS = { price: 'meanSquaredError', label: 'sparseCategoricalCrossentropy' } as const;
const OPTIONS: FitOptions = { loss: LOSS, epochs: 3, batchSize: 2, optimizer: 'adam' };

const bits = (made: Model): string => JSON.stringify(made.getWeights());

describe('a graph', () => {
  test('of layers in a row is sequential, bit for bit', async () => {
    const stack = () => [
      layers.lstm({ units: 5, returnSequences: true }),
      layers.dropout({ rate: 0.3 }),
      layers.dense({ units: 1 }),
    ];
    using row = sequential(
      [layers.lstm({ units: 5, returnSequences: true, inputFeatures: 3 }), ...stack().slice(1)],
      { seed: 7 },
    );
    const from = input({ shape: [null, 3] });
    const outputs = stack().reduce((tensor, layer) => layer.apply(tensor), from);
    using drawn = model({ inputs: from, outputs, seed: 7 });
    expect(bits(drawn)).toBe(bits(row));
    const targets = LENGTHS.map((length) => Array.from({ length }, () => 0.5));
    const options = { loss: 'meanSquaredError', epochs: 2, batchSize: 3 } as const;
    const [one, other] = [
      await row.fit(x.a, targets, options),
      await drawn.fit(x.a, targets, options),
    ];
    expect(other.loss).toEqual(one.loss);
    expect(bits(drawn)).toBe(bits(row));
    using session = drawn.session();
    using same = row.session();
    expect(session.stepSync([1, 2, 3])).toEqual(same.stepSync([1, 2, 3]));
  });

  test('trains on the weighted sum of its losses, and reports each', async () => {
    using made = twoHeads();
    const history = await made.fit(x, y, {
      ...OPTIONS,
      epochs: 40,
      lossWeights: { label: 0.25 },
      metrics: ['accuracy'],
      validationData: { x, y },
    });
    expect(Object.keys(history).sort()).toEqual(
      [
        'epoch',
        ...['loss', 'priceLoss', 'labelLoss', 'labelAccuracy'],
        ...['valLoss', 'valPriceLoss', 'valLabelLoss', 'valLabelAccuracy'],
        ...['learningRate', 'seconds'],
      ].sort(),
    );
    const [price, label] = [history['priceLoss'], history['labelLoss']] as [number[], number[]];
    history.loss.forEach((loss, i) => expect(loss).toBeCloseTo(price[i]! + 0.25 * label[i]!, 10));
    expect(history.loss.at(-1)).toBeLessThan(history.loss[0]!);
    const scores = await made.evaluate(x, y, { metrics: { label: ['accuracy'] } });
    expect(scores.loss).toBeCloseTo((history['valLoss'] as number[]).at(-1)!, 10);
    expect(scores['labelAccuracy']).toBe((history['valLabelAccuracy'] as number[]).at(-1));
  });

  test('predicts what its parts do, by name and in order, in any batches', async () => {
    using made = twoHeads();
    const whole = await made.predict(x);
    expect(whole.outputs!['price']!.shape).toEqual([6, 1]);
    expect(whole.outputs!['label']!.shape).toEqual([6, 4, 3]);
    expect(whole.data).toEqual(whole.outputs!['price']!.data);
    expect((await made.predict([x.a, x.b], { batchSize: 4 })).outputs).toEqual(whole.outputs);
    expect(made.predictSync(x).outputs).toEqual(whole.outputs);
    const { states } = await made.predict(x, { returnState: true });
    expect(Object.keys(states!)).toEqual(['gru', 'gru:2']);
  });

  test('goes step by step with all its inputs, as a prediction does', async () => {
    using made = twoHeads();
    const streams = [0, 5]; // of four steps each
    const { outputs } = await made.predict({
      a: streams.map((i) => x.a[i]!),
      b: streams.map((i) => x.b[i]!),
    });
    using session = made.session({ streams: 2 });
    let price: Float32Array;
    for (let t = 0; t < 4; t++) {
      const step = { a: streams.map((i) => x.a[i]![t]!), b: streams.map((i) => x.b[i]![t]!) };
      const got = t % 2 === 0 ? session.stepAllSync(step) : await session.stepAll(step);
      expect(Object.keys(got)).toEqual(['price', 'label']);
      const label = outputs!['label']!.data;
      [0, 1].forEach((i) => {
        const wanted = label.subarray((i * 4 + t) * 3, (i * 4 + t + 1) * 3);
        wanted.forEach((value, j) => expect(got['label']![i * 3 + j]).toBeCloseTo(value, 6));
      });
      price = got['price']!;
    }
    outputs!['price']!.data.forEach((value, i) => expect(price[i]).toBeCloseTo(value, 6));
    expect(Object.keys(session.state)).toEqual(['gru', 'gru:2']);
    using copy = session.clone();
    const more = { a: [1, 2, 3, 4, 5, 6], b: new Float32Array(6) };
    expect(copy.stepAllSync(more)).toEqual(session.stepAllSync(more));
  });

  test('goes step by step on several time axes, with ids and a vector that stays', () => {
    const words = input({ tokens: true, name: 'words' });
    const series = input({ shape: [null, 2], timeAxis: 'other', name: 'series' });
    const traits = input({ shape: [3], name: 'traits' });
    const read = layers
      .lstm({ units: 4 })
      .apply(layers.embedding({ inputDim: 5, units: 3 }).apply(words));
    const seen = layers.globalMaxPooling1d().apply(series);
    const outputs = layers.dense({ units: 2 }).apply(layers.concat().apply([read, seen, traits]));
    using made = model({ inputs: [words, series, traits], outputs, seed: 6 });
    const ids = [4, 0, 2];
    const steps = ids.map((_id, t) => [...numbers(2, t + 1)]);
    const vector = [...numbers(3, 4)];
    using session = made.session();
    ids.forEach((id, t) => {
      const got = session.stepAllSync({ words: id, series: steps[t]!, traits: vector });
      const wanted = made.predictSync({
        words: [ids.slice(0, t + 1)],
        series: [steps.slice(0, t + 1)],
        traits: [vector],
      });
      got['dense']!.forEach((value, j) => expect(value).toBeCloseTo(wanted.data[j]!, 6));
    });
    expect(() => session.stepAllSync({ words: 5, series: [0, 0], traits: [0, 0, 0] })).toThrow(
      'Expected a token id from 0 to 4 for "inputs[0][0]" but received 5',
    );
  });

  test('has gradients that add up over the calls of a shared layer', async () => {
    using made = twoHeads();
    const result = await made.gradients(x, y, { loss: LOSS });
    expect(result.inputs!['b']!.shape).toEqual([6, 4, 3]);
    const step = 1e-3;
    const name = 'gru.weight_hh_l0';
    const { data, shape } = made.getWeights()[name]!;
    for (const at of [0, 17, 40]) {
      const loss = async (change: number): Promise<number> => {
        const moved = Float32Array.from(data);
        moved[at]! += change;
        made.setWeights({ [name]: { data: moved, shape } });
        return (await made.evaluate(x, y, { loss: LOSS })).loss;
      };
      const slope = ((await loss(step)) - (await loss(-step))) / (2 * step);
      expect(result.parameters[name]!.data[at]).toBeCloseTo(slope, 3);
    }
  });

  test('inputs without a time axis stand beside sequences', async () => {
    const series = input({ shape: [null, 3], name: 'series' });
    const traits = input({ shape: [2], name: 'traits' });
    const last = layers.gru({ units: 4 }).apply(series);
    const out = layers.dense({ units: 2 }).apply(layers.concat().apply([traits, last]));
    using made = model({ inputs: [traits, series], outputs: out });
    const given = { series: x.a, traits: LENGTHS.map((length) => [length, 1]) };
    const { data } = await made.predict(given);
    for (const i of [0, 2, 4]) {
      const alone = { series: [x.a[i]!], traits: [given.traits[i]!] };
      const one = (await made.predict(alone)).data;
      one.forEach((value, j) => expect(data[2 * i + j]).toBeCloseTo(value, 6));
    }
  });
});

describe('a graph in files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'graph-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('comes back with its names, calls and outputs', async () => {
    using made = twoHeads();
    const path = join(folder, 'two-heads.safetensors');
    await made.save(path);
    using loaded = await load(path);
    expect((await loaded.predict(x)).outputs).toEqual((await made.predict(x)).outputs);
    expect(loaded.getConfig()).toEqual(made.getConfig());
    expect(loaded.summary()).toBe(made.summary());
    using fresh = fromConfig(JSON.parse(JSON.stringify(made.getConfig())) as never);
    expect(bits(fresh)).toBe(bits(made));
  });

  test('goes on from a checkpoint as if it had not been interrupted', async () => {
    using whole = twoHeads();
    const history = await whole.fit(x, y, OPTIONS);
    using first = twoHeads();
    const path = join(folder, 'run.safetensors');
    await first.fit(x, y, {
      ...OPTIONS,
      callbacks: [
        {
          everySteps: 4,
          onSafePoint: async (context) => {
            if (context.steps === 4) await context.saveCheckpoint(path);
          },
        },
      ],
    });
    using second = twoHeads(8);
    using resumed = twoHeads();
    await expect(second.fit(x, y, { ...OPTIONS, resume: path })).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
    });
    const later = await resumed.fit(x, y, { ...OPTIONS, resume: path });
    expect(bits(resumed)).toBe(bits(whole));
    expect({ ...later, seconds: [] }).toEqual({ ...history, seconds: [] });
  });

  test('a summary tells what reads what, and counts shared weights once', () => {
    using made = twoHeads();
    const text = made.summary();
    expect(text).toMatch(/gru:2 +gru +\[batch, time, 4\] +b +shared/);
    expect(text).toMatch(/add_1 +add +\[batch, time, 4\] +add, dense +0/);
    const parameters = Object.values(made.getWeights()).reduce(
      (sum, { data }) => sum + data.length,
      0,
    );
    expect(made.parameterCount).toBe(parameters);
  });
});
