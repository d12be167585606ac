import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link dropout}. */
export interface DropoutOptions extends LayerOptions {
  /** Probability with which a number becomes 0; the others are divided by 1 - rate. Required. */
  rate: number;
}

const schema = { ...layerSchema, rate: number({ min: 0, below: 1 }) };

/** Drops numbers at random in training (Srivastava et al. 2014); otherwise passes its input on. */
export class Dropout extends Layer {
  static readonly type = 'dropout';
  readonly type = Dropout.type;

  constructor(options: DropoutOptions) {
    super(parseOptions(Dropout.type, options, schema));
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(Dropout.type, (options) => new Dropout(options as unknown as DropoutOptions));

/**
 * Makes a {@link Dropout}. Output as the input.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function dropout(options: DropoutOptions): Dropout {
  return new Dropout(options);
}
