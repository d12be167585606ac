import { shapeMismatch } from '../errors';
import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { MAX_DIMENSION, flag, integer, oneOf, optional, parseOptions } from '../validate';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link glu}. */
export interface GluOptions extends LayerOptions {
  /**
   * Size of the output, of a product to twice as many numbers. Left out: no product, and the two
   * halves of the input are what is gated, as in PyTorch's `GLU`.
   */
  units?: number;
  /** Whether the product has a bias. Default true. */
  useBias?: boolean;
  /** Of the product. Default `glorotUniform`. */
  kernelInitializer?: Initializer;
  /** Of the product. Default `zeros`. */
  biasInitializer?: Initializer;
  /** `torch`: weights and bias uniform in ±1/√inputs, as PyTorch draws those of a linear layer. */
  init?: 'torch';
}

const schema = {
  ...layerSchema,
  units: optional(integer(1, MAX_DIMENSION)),
  useBias: flag(true),
  kernelInitializer: optional(initializer('glorotUniform')),
  biasInitializer: optional(initializer('zeros')),
  init: optional(oneOf(['torch'] as const)),
};

/** The gated linear unit a · sigmoid(b) of two halves (Dauphin et al. 2017). */
export class Glu extends Layer {
  static readonly type = 'glu';
  readonly type = Glu.type;

  constructor(options: GluOptions = {}) {
    const { init, ...rest } = parseOptions(Glu.type, options, schema);
    super({
      ...rest,
      kernelInitializer: rest.kernelInitializer ?? init ?? 'glorotUniform',
      biasInitializer: rest.biasInitializer ?? init ?? 'zeros',
    });
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    const units = this.options['units'] as number | undefined;
    if (units === undefined && input.features % 2 !== 0) {
      throw shapeMismatch(
        `${place.name}: without units it gates one half of its input by the other, but the input has ${input.features} features; give it an even number, or set units`,
      );
    }
    return { features: units ?? input.features / 2, timed: input.timed, tokens: false };
  }
}
registerLayer(Glu.type, (options) => new Glu(options));

/**
 * Makes a {@link Glu}: a · sigmoid(b) with [a, b] = W x + b₀, or the two halves of x without
 * `units`. Input [batch, features] or [batch, time, features]; output the same with `units`
 * features, or half as many. Parameters, in PyTorch's layout for a linear layer before its `GLU`:
 * `weight` [2 · units, inputs], `bias` [2 · units], the rows of a first.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function glu(options: GluOptions = {}): Glu {
  return new Glu(options);
}
