import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link layerNorm}. */
export interface LayerNormOptions extends LayerOptions {
  /** Added to the variance. Default 1e-3 as in Keras; PyTorch's is 1e-5. */
  epsilon?: number;
}

const schema = { ...layerSchema, epsilon: number({ above: 0, max: 1 }, 1e-3) };

/** Normalises each row to mean 0 and variance 1, then scales and shifts it (Ba et al. 2016). */
export class LayerNorm extends Layer {
  static readonly type = 'layerNorm';
  readonly type = LayerNorm.type;

  constructor(options: LayerNormOptions = {}) {
    super(parseOptions(LayerNorm.type, options, schema));
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(LayerNorm.type, (options) => new LayerNorm(options));

/**
 * Makes a {@link LayerNorm}. Output as the input.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function layerNorm(options: LayerNormOptions = {}): LayerNorm {
  return new LayerNorm(options);
}
