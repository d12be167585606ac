/** Losses by name, what targets they take, and what they need from the last layer. */
import { wrongKind } from './errors';
import type { Layer } from './layers/layer';
import type { NativeLossConfig } from './native';
import { checkOneOf, flag, isRecord, number, oneOf, optional, parseOptions } from './validate';

const KINDS = [
  'sparseCategoricalCrossentropy',
  'categoricalCrossentropy',
  'binaryCrossentropy',
  'meanSquaredError',
  'meanAbsoluteError',
  'huber',
] as const;

/**
 * Losses. A row is one sample, or one step of one when the output has a time axis.
 *
 * - `sparseCategoricalCrossentropy`: targets are class ids, [batch] or [batch, time]
 * - `categoricalCrossentropy`: targets are distributions over the classes, as the output
 * - `binaryCrossentropy`: targets are probabilities, as the output; mean over the features
 * - `meanSquaredError`, `meanAbsoluteError`: targets as the output; mean over the features
 * - `huber` (Huber 1964): quadratic up to `delta`, then linear; mean over the features
 *
 * A loss value is the mean over the rows.
 */
export type LossName = (typeof KINDS)[number];

/** A loss with its options. */
export interface LossOptions {
  /** Required. */
  kind: LossName;
  /** Whether the output is logits; see `FitOptions.fromLogits`. Default: as the last layer says. */
  fromLogits?: boolean;
  /** Of `huber`. Default 1. */
  delta?: number;
}

/** What a loss compares predictions with. */
export interface LossTargets {
  /** Class ids, not numbers. */
  labels: boolean;
  /** How messages call them. Default `y`. */
  name?: string;
}

/** A checked loss. */
export interface Loss {
  native: NativeLossConfig;
  targets: LossTargets;
  /** A cross-entropy over classes, for which accuracy means something. */
  categorical: boolean;
  /** Any cross-entropy. */
  entropy: boolean;
}

const schema = {
  kind: oneOf(KINDS),
  fromLogits: optional(flag(true)),
  delta: number({ above: 0 }, 1),
};

/** How a layer's activation must be for the loss to read probabilities. */
const PROBABILITIES: Partial<Record<LossName, string>> = {
  sparseCategoricalCrossentropy: 'softmax',
  categoricalCrossentropy: 'softmax',
  binaryCrossentropy: 'sigmoid',
};

function settleLogits(
  kind: LossName,
  asked: boolean | undefined,
  last: Layer,
  name: string,
): boolean {
  const squash = PROBABILITIES[kind];
  if (squash === undefined) {
    if (asked === true) {
      throw wrongKind(`nothing with the loss "${kind}"`, 'fromLogits', asked, 'it has no logits');
    }
    return false;
  }
  const probabilities = last.activation === squash;
  if (asked === true && probabilities) {
    throw wrongKind(
      'false',
      'fromLogits',
      asked,
      `the last layer, "${name}", already applies ${squash}; take its activation away (faster and more exact) or leave fromLogits out`,
    );
  }
  if (asked === false && !probabilities) {
    throw wrongKind(
      'true',
      'fromLogits',
      asked,
      `the last layer, "${name}", gives logits; leave fromLogits out or set activation: "${squash}" on it`,
    );
  }
  return !probabilities;
}

/**
 * Checks a loss against the last layer of a model.
 *
 * @param given a name, or `{ kind, fromLogits, delta }`
 * @param fromLogits as given beside a name
 * @throws TypeError, RangeError for an unknown loss or one that contradicts the last layer
 */
export function resolveLoss(
  given: unknown,
  fromLogits: boolean | undefined,
  last: Layer,
  lastName: string,
): Loss {
  let options;
  if (isRecord(given)) {
    options = parseOptions('loss', given, schema);
  } else {
    options = { kind: checkOneOf(given, 'loss', KINDS), fromLogits: undefined, delta: 1 };
  }
  const { kind, delta } = options;
  const logits = settleLogits(kind, options.fromLogits ?? fromLogits, last, lastName);
  const entropy = PROBABILITIES[kind] !== undefined;
  return {
    native: { kind, fromLogits: logits, delta },
    targets: { labels: kind === 'sparseCategoricalCrossentropy' },
    categorical: PROBABILITIES[kind] === 'softmax',
    entropy,
  };
}
