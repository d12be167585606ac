import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link rmsNorm}. */
export interface RmsNormOptions extends LayerOptions {
  /** Added to the mean square. Default 1e-6 as in Keras. */
  epsilon?: number;
}

const schema = { ...layerSchema, epsilon: number({ above: 0, max: 1 }, 1e-6) };

/** Divides each row by the root of the mean of its squares, then scales it (Zhang and Sennrich 2019). */
export class RmsNorm extends Layer {
  static readonly type = 'rmsNorm';
  readonly type = RmsNorm.type;

  constructor(options: RmsNormOptions = {}) {
    super(parseOptions(RmsNorm.type, options, schema));
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(RmsNorm.type, (options) => new RmsNorm(options));

/**
 * Makes an {@link RmsNorm}. Output as the input.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function rmsNorm(options: RmsNormOptions = {}): RmsNorm {
  return new RmsNorm(options);
}
