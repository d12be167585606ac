import { shapeMismatch } from '../errors';
import type { Place, ValueShape } from '../shapes';
import { MAX_DIMENSION, integer, parseOptions } from '../validate';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';
import { constraint, regularizer } from './weight-rules';
import type { Regularizer, WeightConstraint } from './weight-rules';

/** Options of {@link embedding}. */
export interface EmbeddingOptions extends Omit<LayerOptions, 'inputFeatures'> {
  /** Number of different ids: they run from 0 to `inputDim - 1`. Required. */
  inputDim: number;
  /** Size of the vector of an id. Required. */
  units: number;
  /** Default `uniform` (±0.05); `torch` is normal with deviation 1. */
  embeddingsInitializer?: Initializer;
  /**
   * On all vectors, also those of tokens that a batch does not have: an update then takes time in
   * proportion to the vocabulary. Default none.
   */
  embeddingsRegularizer?: Regularizer;
  /** Of the vectors. Default none. */
  embeddingsConstraint?: WeightConstraint;
}

const { inputFeatures: _unused, ...common } = layerSchema;
const schema = {
  ...common,
  inputDim: integer(1, MAX_DIMENSION),
  units: integer(1, MAX_DIMENSION),
  embeddingsInitializer: initializer('uniform'),
  embeddingsRegularizer: regularizer(),
  embeddingsConstraint: constraint(),
};

/** A learned vector for each token id. Must be the first layer. */
export class Embedding extends Layer {
  static readonly type = 'embedding';
  readonly type = Embedding.type;

  constructor(options: EmbeddingOptions) {
    super(parseOptions(Embedding.type, options, schema));
  }

  override get takesTokens(): boolean {
    return true;
  }

  override get temporal(): boolean {
    return true;
  }

  outputShape(input: ValueShape, { name, before }: Place): ValueShape {
    if (!input.tokens) {
      throw shapeMismatch(
        `${name}: takes token ids, so it must be the first layer, but it stands after "${before?.name}"`,
      );
    }
    return { features: this.options['units'] as number, timed: input.timed, tokens: false };
  }
}
registerLayer(Embedding.type, (options) => new Embedding(options as unknown as EmbeddingOptions));

/**
 * Makes an {@link Embedding}. Input: ids [batch, time]; output [batch, time, units].
 *
 * @throws TypeError, RangeError for wrong options
 */
export function embedding(options: EmbeddingOptions): Embedding {
  return new Embedding(options);
}
