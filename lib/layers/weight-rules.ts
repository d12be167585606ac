/** Penalties and constraints of a layer's weights. What they do is the core's. */
import { wrongKind, wrongValue } from '../errors';
import {
  checkNumber,
  custom,
  isRecord,
  nearest,
  number,
  optional,
  parseOptions,
} from '../validate';
import type { Field } from '../validate';

/** A penalty on weights: l1 · sum |w| + l2 · sum w². */
export type WeightPenalty = {
  /** Default 0. */
  l1?: number;
  /** Default 0. */
  l2?: number;
};

/**
 * A penalty that is added to the loss, as in Keras: in what `fit` and `evaluate` report as loss, but
 * in no other metric; its gradient is added before clipping. A name stands for a factor of 0.01.
 */
export type Regularizer = 'l1' | 'l2' | WeightPenalty;

/**
 * Where weights are put back to after every update, as in Keras:
 * - `maxAbs`: each weight into ±`max` (clipped)
 * - `maxNorm`: the weights into each unit of a gate to a length of at most `max` (Srebro and
 *   Shraibman 2005)
 * - `unitNorm`: the same to a length of 1
 * - `nonNeg`: each weight to 0 or more
 *
 * Of biases, the length is that of the whole vector; of an embedding, that of each token's vector.
 */
export type WeightConstraint =
  | 'unitNorm'
  | 'nonNeg'
  | { kind: 'maxAbs' | 'maxNorm'; max: number }
  | { kind: 'unitNorm' | 'nonNeg' };

/** What Keras' names stand for. */
const NAMED_FACTOR = 0.01;

const penaltySchema = { l1: number({ min: 0 }, 0), l2: number({ min: 0 }, 0) };

/** A field for a {@link Regularizer}: both factors. */
export function regularizer(): Field<WeightPenalty | undefined> {
  return optional(
    custom<WeightPenalty>((value, label) => {
      if (value === 'l1' || value === 'l2') return { l1: 0, l2: 0, [value]: NAMED_FACTOR };
      const expected = '"l1", "l2" or { l1, l2 }';
      if (typeof value === 'string') throw wrongValue(expected, label, value);
      if (!isRecord(value)) throw wrongKind(expected, label, value);
      return parseOptions(label, value, penaltySchema);
    }),
  );
}

const PLAIN: readonly string[] = ['unitNorm', 'nonNeg'];
const BOUNDED: readonly string[] = ['maxAbs', 'maxNorm'];

/** A field for a {@link WeightConstraint}. */
export function constraint(): Field<WeightConstraint | undefined> {
  return optional(
    custom<WeightConstraint>((value, label) => {
      const kinds = [...BOUNDED, ...PLAIN];
      const expected = `a constraint (${kinds.join(', ')})`;
      const kind: unknown = isRecord(value) ? value['kind'] : value;
      if (typeof kind !== 'string') throw wrongKind(expected, label, value);
      if (!kinds.includes(kind)) {
        const near = nearest(kind, kinds);
        throw wrongValue(expected, label, kind, near && `did you mean "${near}"?`);
      }
      const name = { kind: custom((given) => given, kind) };
      if (PLAIN.includes(kind)) {
        if (isRecord(value)) parseOptions(label, value, name);
        return kind as WeightConstraint;
      }
      if (!isRecord(value)) throw wrongKind(`{ kind: "${kind}", max: … }`, label, value);
      const { max } = parseOptions(label, value, { ...name, max: number({ above: 0 }) });
      return { kind, max: checkNumber(max, `${label}.max`, { above: 0 }) } as WeightConstraint;
    }),
  );
}

/** Rules for the weights on the input and for the biases. */
export interface WeightRuleOptions {
  /** On the weights. Default none. */
  kernelRegularizer?: Regularizer;
  /**
   * On the biases; of a recurrent layer, on both of them, and on the learned vectors of a defined
   * cell. Default none.
   */
  biasRegularizer?: Regularizer;
  /** Of the weights. Default none. */
  kernelConstraint?: WeightConstraint;
  /** Of the biases and learned vectors. Default none. */
  biasConstraint?: WeightConstraint;
}

/** The schema of {@link WeightRuleOptions}. */
export const weightRuleSchema = {
  kernelRegularizer: regularizer(),
  biasRegularizer: regularizer(),
  kernelConstraint: constraint(),
  biasConstraint: constraint(),
};
