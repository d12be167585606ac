import { layers, sequential } from '../../../lib';
import type { Layer } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';
import { rowModel } from './rows';

/** Rows of a table, and the sum of the gradients of equal ids. */
export async function embedding(
  vector: Vector<{ inputDim: number; units: number }>,
): Promise<void> {
  const { inputDim, units } = vector.fields;
  using model = sequential([layers.embedding({ name: 'table', inputDim, units })]);
  model.setWeights({ 'table.weight': vector.floats('weight') });
  // Ids without a time axis are sequences of one step.
  const timed = <T extends { shape: number[] }>(tensor: T, rank: number): T => {
    const [batch, ...others] = tensor.shape;
    return tensor.shape.length === rank ? tensor : { ...tensor, shape: [batch!, 1, ...others] };
  };
  const ids = timed(vector.integers('ids'), 2);
  const outputGradient = timed(vector.floats('dy'), 3);
  const result = await model.gradients(ids, null, { outputGradient });
  expectClose(result.output, timed(vector.floats('y'), 3), 'y');
  expectClose(result.parameters['table.weight'], vector.floats('grad.weight'), 'grad.weight');
}

interface DenseFields {
  units: number;
  activation: 'linear' | 'tanh' | 'relu' | 'sigmoid' | 'softmax' | 'gelu' | 'silu';
  useBias: boolean;
}

/** A dense layer with each activation, on rows and on steps. */
export async function dense(vector: Vector<DenseFields>): Promise<void> {
  const { units, activation, useBias } = vector.fields;
  await rowLayer(
    vector,
    layers.dense({ name: 'layer', units, activation, useBias }),
    useBias ? ['weight', 'bias'] : ['weight'],
  );
}

/** A layer norm, on rows and on steps. */
export async function layerNorm(vector: Vector<{ epsilon: number }>): Promise<void> {
  const { epsilon } = vector.fields;
  await rowLayer(vector, layers.layerNorm({ name: 'layer', epsilon }), ['weight', 'bias']);
}

/** Outputs and gradients of a layer called `layer`, of which `parameters` are in the file. */
export async function rowLayer(
  vector: Vector<unknown>,
  layer: Layer,
  parameters: string[],
): Promise<void> {
  using rows = rowModel(vector.floats('x'), layer);
  rows.model.setWeights(
    Object.fromEntries(parameters.map((p) => [`layer.${p}`, vector.floats(p)])),
  );
  const y = vector.floats('y');
  expectClose(await rows.model.predict(rows.x), y, 'y');
  const result = await rows.model.gradients(rows.x, null, { outputGradient: vector.floats('dy') });
  expectClose(result.output, y, 'y of gradients()');
  expectClose(rows.inputGradient(result), vector.floats('grad.x'), 'grad.x');
  for (const p of parameters) {
    expectClose(result.parameters[`layer.${p}`], vector.floats(`grad.${p}`), `grad.${p}`);
  }
}
