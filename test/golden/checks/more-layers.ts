/** The layers that stand between recurrent ones. */
import { layers, sequential } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';
import { rowLayer } from './layers';

/** An RMS norm, on rows and on steps. */
export async function rmsNorm(vector: Vector<{ epsilon: number }>): Promise<void> {
  const { epsilon } = vector.fields;
  await rowLayer(vector, layers.rmsNorm({ name: 'layer', epsilon }), ['weight']);
}

/** A gated linear unit, with a product and without. */
export async function glu(
  vector: Vector<{ units: number | null; useBias: boolean }>,
): Promise<void> {
  const { units, useBias } = vector.fields;
  const parameters = units === null ? [] : useBias ? ['weight', 'bias'] : ['weight'];
  const layer = layers.glu({ name: 'layer', useBias, ...(units === null ? {} : { units }) });
  await rowLayer(vector, layer, parameters);
}

/** A highway layer with the names of two linear modules. */
export async function highway(vector: Vector<{ activation: 'tanh' | 'gelu' }>): Promise<void> {
  const { activation } = vector.fields;
  const parameters = ['h.weight', 'h.bias', 't.weight', 't.bias'];
  await rowLayer(vector, layers.highway({ name: 'layer', activation }), parameters);
}

/** The mean or the maximum over each row's own steps. */
export async function pooling(vector: Vector<{ pooling: 'average' | 'max' }>): Promise<void> {
  const x = vector.floats('x');
  const options = { inputFeatures: x.shape[2]! };
  using model = sequential([
    vector.fields.pooling === 'max'
      ? layers.globalMaxPooling1d(options)
      : layers.globalAveragePooling1d(options),
  ]);
  const lengths = vector.integers('lengths').data;
  const y = vector.floats('y');
  expectClose(await model.predict(x, { lengths }), y, 'y');
  const outputGradient = vector.floats('dy');
  const result = await model.gradients(x, null, { lengths, outputGradient });
  expectClose(result.output, y, 'y of gradients()');
  expectClose(result.input, vector.floats('grad.x'), 'grad.x');
}
