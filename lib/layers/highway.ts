import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, oneOf, optional, parseOptions } from '../validate';
import { ACTIVATIONS } from './activation';
import type { ActivationName } from './activation';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link highway}. */
export interface HighwayOptions extends LayerOptions {
  /** Of the transformed row. Default `relu`. */
  activation?: ActivationName;
  /**
   * What the bias of the gate begins with. Below zero, rows pass nearly unchanged at first, which
   * is what lets many such layers stand on each other. Default -2.
   */
  transformBias?: number;
  /** Of both matrices. Default `glorotUniform`. */
  kernelInitializer?: Initializer;
  /** Of the bias of the transformed row. Default `zeros`. */
  biasInitializer?: Initializer;
  /** `torch`: all but the gate's bias uniform in ±1/√features, as PyTorch draws linear layers. */
  init?: 'torch';
}

const schema = {
  ...layerSchema,
  activation: oneOf(ACTIVATIONS, 'relu'),
  transformBias: number({}, -2),
  kernelInitializer: optional(initializer('glorotUniform')),
  biasInitializer: optional(initializer('zeros')),
  init: optional(oneOf(['torch'] as const)),
};

/** A gate between a row and its transform (Srivastava, Greff and Schmidhuber 2015). */
export class Highway extends Layer {
  static readonly type = 'highway';
  readonly type = Highway.type;

  constructor(options: HighwayOptions = {}) {
    const { init, ...rest } = parseOptions(Highway.type, options, schema);
    super({
      ...rest,
      kernelInitializer: rest.kernelInitializer ?? init ?? 'glorotUniform',
      biasInitializer: rest.biasInitializer ?? init ?? 'zeros',
    });
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(Highway.type, (options) => new Highway(options));

/**
 * Makes a {@link Highway}: t · h + (1 - t) · x with h = activation(Wₕ x + bₕ) and
 * t = sigmoid(Wₜ x + bₜ). Output as the input. Parameters, in PyTorch's layout for two linear layers:
 * `h.weight` and `t.weight` [features, features], `h.bias` and `t.bias` [features].
 *
 * @throws TypeError, RangeError for wrong options
 */
export function highway(options: HighwayOptions = {}): Highway {
  return new Highway(options);
}
