import { layers, sequential } from '../../../lib';
import { expectClose } from '../close';
import { Vector, pathOf } from '../vectors';

interface Fields {
  weights: string;
  model: {
    vocabulary: number;
    embedding: number;
    units: number;
    layers: number;
    bidirectional: boolean;
    outputs: number;
  };
  modules: { embedding: string; rnn: string; head: string };
}

/** The weights of a PyTorch module, read from its own file, make its own output. */
export async function stateDictRun(vector: Vector<Fields>): Promise<void> {
  const { weights, model: sizes, modules } = vector.fields;
  using model = sequential([
    layers.embedding({ name: 'emb', inputDim: sizes.vocabulary, units: sizes.embedding }),
    layers.lstm({
      units: sizes.units,
      layers: sizes.layers,
      bidirectional: sizes.bidirectional,
      returnSequences: true,
    }),
    layers.dense({ name: 'tag', units: sizes.outputs }),
  ]);
  const map = { [modules.embedding]: 'emb', [modules.rnn]: 'lstm', [modules.head]: 'tag' };
  const report = await model.loadWeights(pathOf(weights), { map });
  expect(report).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
  expectClose(await model.predict(vector.integers('tokens')), vector.floats('y'), 'y');
}

/** Every tensor of a state dict arrives bit by bit, under its new name. */
export async function stateDict(vector: Vector, file: string): Promise<void> {
  const shapeOf = (name: string) => vector.floats(name).shape;
  const [vocabulary, width] = shapeOf('encoder.emb.weight');
  const [, units] = shapeOf('encoder.rnn.weight_hh_l0');
  const [outputs] = shapeOf('head.weight');
  using model = sequential([
    layers.embedding({ inputDim: vocabulary!, units: width! }),
    layers.lstm({ units: units!, layers: 2, bidirectional: true, returnSequences: true }),
    layers.dense({ units: outputs! }),
  ]);
  const map = { 'encoder.emb': 'embedding', 'encoder.rnn': 'lstm', head: 'dense' };
  const report = await model.loadWeights(pathOf(file), { map });
  expect(report.loaded).toHaveLength(vector.names.length);
  const loaded = model.getWeights();
  for (const name of vector.names) {
    const [prefix, here] = Object.entries(map).find(([key]) => name.startsWith(`${key}.`))!;
    const { data, shape } = vector.floats(name);
    expect(loaded[here + name.slice(prefix.length)]).toEqual({ data, shape });
  }
}
