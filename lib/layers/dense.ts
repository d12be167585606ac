import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { MAX_DIMENSION, flag, integer, oneOf, optional, parseOptions } from '../validate';
import { ACTIVATIONS } from './activation';
import type { ActivationName } from './activation';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';
import { weightRuleSchema } from './weight-rules';
import type { WeightRuleOptions } from './weight-rules';

/** Options of {@link dense}. */
export interface DenseOptions extends LayerOptions, WeightRuleOptions {
  /** Size of the output. Required. */
  units: number;
  /** Default `linear`. */
  activation?: ActivationName;
  /** Whether there is a bias. Default true. */
  useBias?: boolean;
  /** Default `glorotUniform`. */
  kernelInitializer?: Initializer;
  /** Default `zeros`. */
  biasInitializer?: Initializer;
  /** `torch`: weights and bias uniform in ±1/√inputs, as PyTorch draws them. */
  init?: 'torch';
}

const schema = {
  ...layerSchema,
  units: integer(1, MAX_DIMENSION),
  activation: oneOf(ACTIVATIONS, 'linear'),
  useBias: flag(true),
  kernelInitializer: optional(initializer('glorotUniform')),
  biasInitializer: optional(initializer('zeros')),
  init: optional(oneOf(['torch'] as const)),
  ...weightRuleSchema,
};

/** A product with a matrix, applied to every row; of a sequence, to every step. */
export class Dense extends Layer {
  static readonly type = 'dense';
  readonly type = Dense.type;

  constructor(options: DenseOptions) {
    const { init, ...rest } = parseOptions(Dense.type, options, schema);
    super({
      ...rest,
      kernelInitializer: rest.kernelInitializer ?? init ?? 'glorotUniform',
      biasInitializer: rest.biasInitializer ?? init ?? 'zeros',
    });
  }

  override get activation(): string {
    return this.options['activation'] as string;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return { features: this.options['units'] as number, timed: input.timed, tokens: false };
  }
}
registerLayer(Dense.type, (options) => new Dense(options as unknown as DenseOptions));

/**
 * Makes a {@link Dense}: activation(W x + b). Input [batch, features] or [batch, time, features];
 * output the same with `units` features.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function dense(options: DenseOptions): Dense {
  return new Dense(options);
}
