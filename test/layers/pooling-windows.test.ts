import { join } from 'node:path';
import { input, layers, load, model, optimizers, sequential } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const kinds = { average: layers.averagePooling1d, max: layers.maxPooling1d } as const;
type Kind = keyof typeof kinds;

const LENGTHS = [5, 2, 7, 0, 4, 1];
const rowsOf = (length: number, seed: number): number[][] =>
  Array.from({ length }, (_value, t) => [...numbers(3, seed + 10 * t)]);
const x = LENGTHS.map((length, i) => rowsOf(length, 1 + 100 * i));

function windows(kind: Kind, steps: number[][], size: number, stride: number): number[][] {
  const pooled: number[][] = [];
  for (let begin = 0; begin + size <= steps.length; begin += stride) {
    const own = steps.slice(begin, begin + size);
    pooled.push(
      own[0]!.map((_value, j) => {
        const column = own.map((step) => step[j]!);
        if (kind === 'max') return Math.max(...column);
        return column.reduce((sum, value) => sum + value, 0) / size;
      }),
    );
  }
  return pooled;
}

describe.each(['average', 'max'] as const)('%s pooling over windows', (kind) => {
  test.each([
    [2, undefined],
    [3, 2],
    [2, 3],
    [1, 2],
  ])('of %j steps, %j apart, takes the whole ones of each row', async (poolSize, strides) => {
    const layer = kinds[kind]({ inputFeatures: 3, poolSize, ...(strides && { strides }) });
    using made = sequential([layer]);
    const { data, shape } = await made.predict(x, { batchSize: 4 });
    const stride = strides ?? poolSize;
    const steps = Math.floor((7 - poolSize) / stride) + 1;
    expect(shape).toEqual([6, steps, 3]);
    x.forEach((sample, i) => {
      const wanted = windows(kind, sample, poolSize, stride).flat();
      const row = data.subarray(i * steps * 3, (i + 1) * steps * 3);
      row.forEach((value, j) => expect(value).toBeCloseTo(wanted[j] ?? 0, 6));
    });
  });

  test('has targets, masks and scores by its own steps, and is trained through', async () => {
    using made = sequential(
      [
        layers.gru({ units: 6, inputFeatures: 3, returnSequences: true }),
        kinds[kind]({ poolSize: 2 }),
        layers.lstm({ units: 6, returnSequences: true }),
        layers.dense({ units: 1 }),
      ],
      { seed: 3 },
    );
    expect(made.output).toEqual({ features: 1, timed: true, tokens: false, axis: 'time/2' });
    expect(made.summary()).toContain('[batch, time/2, 6]');
    const y = x.map((sample) => windows(kind, sample, 2, 2).map((row) => [row[0]!]));
    const loss = 'meanSquaredError' as const;
    const optimizer = optimizers.adam({ learningRate: 0.02 });
    const history = await made.fit(x, y, { epochs: 150, loss, batchSize: 6, optimizer });
    expect(history.loss.at(-1)).toBeLessThan(0.2 * history.loss[0]!);
    const tooMany = y.map((sample, i) => (i === 1 ? [...sample, [1]] : sample));
    await expect(made.fit(x, tooMany, { epochs: 1, loss })).rejects.toThrow(
      'Expected 1 steps for "y[1]", as many as "lstm" gives, but received 2',
    );
    await inTemporaryDirectory(async (folder) => {
      await made.save(join(folder, 'pooled.safetensors'));
      using loaded = await load(join(folder, 'pooled.safetensors'));
      expect(await loaded.predict(x)).toEqual(await made.predict(x));
    });
    expect(() => made.session()).toThrow('needs whole sequences');
  });

  test('NaN stays in its window and feature', () => {
    using made = sequential([kinds[kind]({ inputFeatures: 2 })]);
    const steps = [
      [1, NaN],
      [2, 5],
      [3, 4],
      [0, 1],
    ];
    const { data } = made.predictSync([steps]);
    expect([...data].map(Number.isNaN)).toEqual([false, true, false, false]);
  });
});

describe('windows of steps', () => {
  test('of two branches with equal lengths meet', () => {
    const series = input({ shape: [null, 3] });
    const halves = layers.maxPooling1d().apply(series);
    const quarters = layers.averagePooling1d().apply(halves);
    const same = layers.maxPooling1d({ poolSize: 4 }).apply(series);
    expect([quarters.shape.axis, same.shape.axis]).toEqual(['time/4', 'time/4']);
    const outputs = layers.add().apply([quarters, same]);
    using made = model({ inputs: series, outputs });
    const { data, shape } = made.predictSync([x[2]!, x[1]!]);
    expect(shape).toEqual([2, 1, 3]);
    const wanted = windows('average', windows('max', x[2]!, 2, 2), 2, 2)[0]!.map(
      (value, j) => value + windows('max', x[2]!, 4, 4)[0]![j]!,
    );
    wanted.forEach((value, j) => expect(data[j]).toBeCloseTo(value, 6));
    expect(thrownBy(() => layers.add().apply([halves, same])).message).toContain(
      'they are on "time/2" and "time/4"',
    );
    expect(layers.maxPooling1d({ poolSize: 3, strides: 1 }).apply(halves).shape.axis).toBe(
      'time/2:6',
    );
    expect(layers.maxPooling1d({ poolSize: 1 }).apply(series).shape).toEqual(series.shape);
  });

  test('of steps that a layer made are as many in all samples', () => {
    const vector = input({ shape: [6] });
    const steps = layers.reshape({ shape: [6, 1] }).apply(vector);
    const pooled = layers.maxPooling1d({ poolSize: 3, strides: 1 }).apply(steps);
    expect(pooled.shape.axis).toBe(4);
    const back = layers.reshape({ shape: [4] }).apply(pooled);
    using made = model({ inputs: vector, outputs: back });
    expect([...made.predictSync([[1, 5, 2, 3, 0, 4]]).data]).toEqual([5, 5, 3, 4]);
  });

  test('on a named axis follow its lengths', async () => {
    const source = input({ shape: [null, 3], timeAxis: 'source', name: 'source' });
    const other = input({ shape: [null, 3], name: 'other' });
    const pooled = layers.maxPooling1d({ poolSize: 2 }).apply(source);
    const outputs = layers.attention({ score: 'general' }).apply([other, pooled]);
    using made = model({ inputs: [other, source], outputs: { context: outputs, pooled } });
    const reversed = [...x].reverse();
    const given = { source: x, other: reversed };
    const whole = (await made.predict(given)).outputs!;
    expect(whole['pooled']!.shape).toEqual([6, 3, 3]);
    const lengths = {
      source: LENGTHS.map((length) => Math.min(length, 4)),
      time: [1, 4, 0, 7, 2, 5],
    };
    const cut = (await made.predict(given, { lengths })).outputs!;
    const asCut = x.map((sample) => sample.slice(0, 4));
    const same = await made.predict({ source: asCut, other: reversed });
    x.forEach((_sample, i) => {
      const row = cut['pooled']!.data.subarray(i * 9, i * 9 + 6);
      expect(row).toEqual(same.outputs!['pooled']!.data.subarray(i * 6, i * 6 + 6));
    });
    expect(cut['context']!.data).toEqual(same.outputs!['context']!.data);
  });

  test('are refused where there are none', () => {
    const { maxPooling1d, averagePooling1d, repeatVector } = layers;
    const made = repeatVector({ n: 3 }).apply(input({ shape: [2] }));
    expect(thrownBy(() => maxPooling1d({ poolSize: 4 }).apply(made)).message).toContain(
      'maxPooling1d: expects sequences of 4 steps or more but receives [batch, 3, 2]',
    );
    expect(thrownBy(() => maxPooling1d().apply(input({ shape: [2] }))).message).toContain(
      'maxPooling1d: expects a sequence',
    );
    expect(thrownBy(() => maxPooling1d().apply(input({ tokens: true }))).message).toContain(
      'token ids',
    );
    expect(thrownBy(() => averagePooling1d({ poolSize: 0 })).message).toContain(
      'an integer from 1 to 16777216 for "averagePooling1d.poolSize"',
    );
    expect(thrownBy(() => averagePooling1d({ stride: 2 } as never)).message).toContain(
      'did you mean "strides"',
    );
    const wide = maxPooling1d({ poolSize: 2 ** 20 }).apply(input({ shape: [null, 2] }));
    expect(thrownBy(() => maxPooling1d({ poolSize: 2 ** 20 }).apply(wide)).message).toContain(
      'makes a step of 1099511627776 steps of the data',
    );
  });
});
