/** Models that pass golden rows to a layer or a loss and give back the gradient of the rows. */
import { layers, sequential } from '../../../lib';
import type { Gradients, Layer, Model, NDArray } from '../../../lib';
import type { Tensor } from '../vectors';

/** A model that is fed with rows, and how. */
export interface RowModel extends Disposable {
  model: Model;
  /** What to give as x. */
  x: { data: Float32Array | Int32Array; shape: number[] };
  /** The gradient of the rows, in their shape. */
  inputGradient(gradients: Gradients<number | null>): NDArray;
}

/**
 * A model of layers over rows [batch, features] or steps [batch, time, features]. Without a
 * recurrent layer only token ids bring a time axis, so steps come out of an embedding: each has an
 * id of its own, and the table's gradient is that of the steps.
 */
export function rowModel(rows: Tensor, ...rest: Layer[]): RowModel {
  const features = rows.shape.at(-1)!;
  if (rows.shape.length === 2) {
    const input = layers.activation({ activation: 'linear', inputFeatures: features });
    const model = sequential([input, ...rest]);
    return {
      model,
      x: rows,
      inputGradient: ({ input: gradient }) => gradient!,
      [Symbol.dispose]: () => model.dispose(),
    };
  }
  const count = rows.data.length / features;
  const table = layers.embedding({ name: 'steps', inputDim: count, units: features });
  const model = sequential([table, ...rest]);
  model.setWeights({ 'steps.weight': { data: rows.data, shape: [count, features] } });
  return {
    model,
    x: {
      data: Int32Array.from({ length: count }, (_value, i) => i),
      shape: rows.shape.slice(0, 2),
    },
    inputGradient: ({ parameters }) => ({
      data: parameters['steps.weight']!.data,
      shape: rows.shape,
    }),
    [Symbol.dispose]: () => model.dispose(),
  };
}
