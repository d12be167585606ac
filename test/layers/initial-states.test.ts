import { join } from 'node:path';
import { defineCell, fromConfig, input, layers, load, model } from '../../lib';
import type { Model, ModelConfig, SymbolicTensor } from '../../lib';
import { inTemporaryDirectory, numbers } from '../helpers/models';

const SOURCE = [3, 1, 4, 2];
const TARGET = [2, 5, 1, 3];
const rows = (lengths: readonly number[], features: number, seed: number): number[][][] =>
  lengths.map((length, i) =>
    Array.from({ length }, (_value, t) => [...numbers(features, seed + 31 * i + t)]),
  );
const x = { source: rows(SOURCE, 3, 1), target: rows(TARGET, 2, 500) };

/** A reader whose final states a writer begins with. */
function writer(seed = 3): Model {
  const source = input({ shape: [null, 3], timeAxis: 'source', name: 'source' });
  const target = input({ shape: [null, 2], timeAxis: 'target', name: 'target' });
  const read = layers.lstm({ units: 4, name: 'reader' }).apply(source);
  const states = ['h', 'c'].map((state) => layers.finalState({ state }).apply(read));
  const written = layers.lstm({ units: 4, returnSequences: true, name: 'writer' });
  return model({
    inputs: [source, target],
    outputs: written.apply([target, ...states]),
    seed,
  });
}

describe('initial states from another layer', () => {
  test('are those that can be given to a model of the layer alone', async () => {
    using whole = writer();
    const target = input({ shape: [null, 2] });
    const alone = layers.lstm({ units: 4, returnSequences: true, name: 'writer' }).apply(target);
    using second = model({ inputs: target, outputs: alone });
    const source = input({ shape: [null, 3] });
    using first = model({
      inputs: source,
      outputs: layers.lstm({ units: 4, name: 'reader' }).apply(source),
    });
    const weights = whole.getWeights();
    const of = (name: string) =>
      Object.fromEntries(Object.entries(weights).filter(([key]) => key.startsWith(`${name}.`)));
    first.setWeights(of('reader'));
    second.setWeights(of('writer'));
    const { states } = await first.predict(x.source, { returnState: true });
    const wanted = await second.predict(x.target, { initialState: { writer: states!['reader']! } });
    const got = await whole.predict(x, { batchSize: 3, returnState: true });
    expect(got.shape).toEqual([4, 5, 4]);
    expect(got.data).toEqual(wanted.data);
    expect(got.states!['reader']).toEqual(states!['reader']);
  });

  test('are learned through', async () => {
    using made = writer();
    // Nothing in the target's input says what the source began with.
    const y = TARGET.map((length, i) =>
      Array.from({ length }, () => [x.source[i]![0]![0]! > 0 ? 0.5 : -0.5, 0, 0, 0]),
    );
    const history = await made.fit(x, y, {
      loss: 'meanSquaredError',
      epochs: 150,
      optimizer: 'adam',
    });
    expect(history.loss.at(-1)).toBeLessThan(0.5 * history.loss[0]!);
    expect(made.summary()).toContain('finalState');
  });

  test('are saved, and drawn again', async () => {
    using made = writer();
    using again = fromConfig(JSON.parse(JSON.stringify(made.getConfig())) as ModelConfig);
    expect(JSON.stringify(again.getWeights())).toBe(JSON.stringify(made.getWeights()));
    await inTemporaryDirectory(async (path) => {
      await made.save(join(path, 'model.safetensors'));
      using loaded = await load(join(path, 'model.safetensors'));
      expect(await loaded.predict(x)).toEqual(await made.predict(x));
    });
  });

  test('of a defined cell have its names', () => {
    const cell = defineCell({
      name: 'slow',
      gates: ['a'],
      states: ['h', 'm'],
      step: ({ gates, states, ops: { add, mul, tanh } }) => {
        const m = add(mul(0.9, states.m), tanh(gates.a));
        return { h: tanh(m), m };
      },
    });
    const source = input({ shape: [null, 3] });
    const read = layers.custom({ cell, units: 2, layers: 2 }).apply(source);
    const m = layers.finalState({ state: 'm' }).apply(read);
    expect(m.shape).toEqual({ features: 4, timed: false, tokens: false });
    const h = layers.finalState().apply(read);
    const written = layers.custom({ cell, units: 2, layers: 2, name: 'w' }).apply([source, h, m]);
    using made = model({ inputs: source, outputs: written });
    expect(made.predictSync(x.source).shape).toEqual([4, 2]);
  });

  test('must fit the layer, and come from one that has them', async () => {
    const source = input({ shape: [null, 3] });
    const vector = input({ shape: [5], name: 'vector' });
    const read = layers.gru({ units: 4 }).apply(source);
    const h: SymbolicTensor = layers.finalState().apply(read);
    expect(() => layers.finalState({ state: 'c' }).apply(read)).toThrow(
      'state "c", but "gru" has "h"',
    );
    expect(() => layers.finalState().apply(source)).toThrow('has no states');
    expect(() => layers.finalState({ state: 1 as unknown as string })).toThrow('finalState.state');
    expect(() => layers.lstm({ units: 4 }).apply([source, h])).toThrow('[x, h, c]');
    expect(() => layers.gru({ units: 4 }).apply([source, vector])).toThrow('[batch, 4]');
    expect(() => layers.gru({ units: 4 }).apply([source, source])).toThrow('[batch, 4]');
    using whole = writer();
    const initialState = { writer: { h: numbers(16) } };
    await expect(whole.predict(x, { initialState })).rejects.toThrow('initial states are inputs');
    expect(() => whole.session()).toThrow('needs whole sequences');
    const begun = layers.gru({ units: 4, name: 'begun' }).apply([source, h]);
    using single = model({ inputs: source, outputs: begun });
    expect(() => single.session()).toThrow('needs whole sequences');
  });
});
