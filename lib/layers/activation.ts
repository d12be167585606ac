import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { oneOf, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Names of activations. */
export const ACTIVATIONS = [
  'linear',
  'tanh',
  'relu',
  'sigmoid',
  'softmax',
  'gelu',
  'silu',
] as const;

/**
 * An activation: `linear` (none), `tanh`, `relu`, `sigmoid`, `softmax` over the features, `gelu`
 * (Hendrycks and Gimpel 2016) or `silu`, x · sigmoid(x) (Elfwing et al. 2017).
 */
export type ActivationName = (typeof ACTIVATIONS)[number];

/** Options of {@link activation}. */
export interface ActivationOptions extends LayerOptions {
  /** Required. */
  activation: ActivationName;
}

const schema = { ...layerSchema, activation: oneOf(ACTIVATIONS) };

/** A function of each row, without weights. */
export class Activation extends Layer {
  static readonly type = 'activation';
  readonly type = Activation.type;

  constructor(options: ActivationOptions) {
    super(parseOptions(Activation.type, options, schema));
  }

  override get activation(): string {
    return this.options['activation'] as string;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(
  Activation.type,
  (options) => new Activation(options as unknown as ActivationOptions),
);

/**
 * Makes an {@link Activation}. Output as the input.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function activation(options: ActivationOptions): Activation {
  return new Activation(options);
}
