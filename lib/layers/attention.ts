import { shapeMismatch, wrongKind } from '../errors';
import { axisName, requireNumbers, shapeText } from '../shapes';
import type { Place, TimeAxis, ValueShape } from '../shapes';
import { MAX_DIMENSION, flag, integer, oneOf, optional, parseOptions } from '../validate';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** How well a key matches a query. */
export type AttentionScore = 'additive' | 'dot' | 'general';

/** Options of {@link attention}. */
export interface AttentionOptions extends Pick<LayerOptions, 'name'> {
  /**
   * `dot`: q · k, of equal features. `general`: (W q) · k. `additive`: w · tanh(W q + U k + b).
   * Required.
   */
  score: AttentionScore;
  /** Length of the vector under the tanh; required for `additive`, and only there. */
  units?: number;
  /** Whether there is a b; only for `additive`. Default true. */
  useBias?: boolean;
  /** Of all matrices, and of w. Default `glorotUniform`. */
  kernelInitializer?: Initializer;
}

const schema = {
  name: layerSchema.name,
  score: oneOf(['additive', 'dot', 'general'] as const),
  units: optional(integer(1, MAX_DIMENSION)),
  useBias: optional(flag(true)),
  kernelInitializer: optional(initializer('glorotUniform')),
};

/** A weighted mean of a sequence's values for each query. */
export class Attention extends Layer {
  static readonly type = 'attention';
  readonly type = Attention.type;

  constructor(options: AttentionOptions) {
    const parsed = parseOptions(Attention.type, options, schema);
    super(parsed);
    if (parsed.score === 'additive') {
      if (parsed.units === undefined) {
        throw wrongKind('the length of the vector under the tanh', 'attention.units', undefined);
      }
      return;
    }
    for (const name of ['units', 'useBias'] as const) {
      if (parsed[name] === undefined) continue;
      throw wrongKind(`nothing with score "${parsed.score}"`, `attention.${name}`, parsed[name]);
    }
  }

  override get attends(): boolean {
    return true;
  }

  outputShape(_input: ValueShape, { name }: Place): ValueShape {
    throw shapeMismatch(
      `${name}: expects queries and keys, and perhaps values, but receives one input; call it on an array of tensors, as in layers.attention({ score: 'dot' }).apply([query, keys]), and build with model({ inputs, outputs })`,
    );
  }

  override outputShapeOf(inputs: readonly ValueShape[], place: Place): ValueShape {
    if (inputs.length < 2) return this.outputShape(inputs[0]!, place);
    if (inputs.length > 3) {
      throw shapeMismatch(
        `${place.name}: expects queries, keys and perhaps values but receives ${inputs.length} inputs`,
      );
    }
    const text = (i: number): string => `${place.inputs?.[i] ?? i} gives ${shapeText(inputs[i]!)}`;
    inputs.forEach((shape, i) => {
      requireNumbers(shape, place);
      if (i === 0 || shape.timed) return;
      throw shapeMismatch(
        `${place.name}: expects ${i === 1 ? 'keys' : 'values'} for each step of a sequence, but ${text(i)}; set returnSequences: true on it`,
      );
    });
    const [query, keys] = inputs as [ValueShape, ValueShape];
    if (this.options['score'] === 'dot' && query.features !== keys.features) {
      throw shapeMismatch(
        `${place.name}: expects queries and keys of equal features for score "dot", but ${text(0)} and ${text(1)}; take "general" or "additive"`,
      );
    }
    return { features: inputs.at(-1)!.features, timed: query.timed, tokens: false };
  }

  override outputAxis(inputs: readonly ValueShape[], place: Place): TimeAxis {
    const [query, keys, values] = inputs;
    if (values !== undefined && values.axis !== keys!.axis) {
      throw shapeMismatch(
        `${place.name}: expects keys and values on one time axis, but they are on "${axisName(keys!)}" and "${axisName(values)}"`,
      );
    }
    return query!.axis;
  }
}
registerLayer(Attention.type, (options) => new Attention(options as unknown as AttentionOptions));

/**
 * Makes an {@link Attention}: `layers.attention({ score }).apply([query, keys])`, or with values of
 * their own `[query, keys, values]`. The weights of a query are the softmax of its scores over the
 * steps of its sample's keys; the result is the mean of the values (by default the keys) under these
 * weights, zeros for a sequence without steps.
 *
 * Queries [batch, Q] or [batch, time, Q]; keys [batch, source, K] and values [batch, source, V] on one
 * time axis, any other than the queries' or the same. Output [batch, V] or [batch, time, V], on the
 * time axis of the queries. Scores `dot` and `general` are those of Luong, Pham and Manning,
 * "Effective Approaches to Attention-based Neural Machine Translation" (2015), `additive` that of
 * Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate"
 * (2015). Parameters: `weight_query` [K, Q] or [units, Q]; of `additive` also `weight_key`
 * [units, K], `weight_score` [units] and `bias` [units]. A model with this layer has no sessions.
 *
 * `model.predict(x, { returnAttention: true })` tells the weights.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function attention(options: AttentionOptions): Attention {
  return new Attention(options);
}
