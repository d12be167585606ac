/** Losses by name, what targets they take, and what they need from the last layer. */
import { shapeMismatch, wrongKind, wrongValue } from './errors';
import type { NativeLossConfig } from './native';
import type { NamedLayer } from './model-core';
import {
  MAX_DIMENSION,
  checkNumber,
  checkOneOf,
  custom,
  flag,
  integer,
  isRecord,
  number,
  oneOf,
  optional,
  parseOptions,
} from './validate';

const KINDS = [
  'sparseCategoricalCrossentropy',
  'categoricalCrossentropy',
  'binaryCrossentropy',
  'sparseCategoricalFocalCrossentropy',
  'categoricalFocalCrossentropy',
  'binaryFocalCrossentropy',
  'klDivergence',
  'meanSquaredError',
  'meanAbsoluteError',
  'huber',
  'cosine',
  'quantile',
  'gaussian',
  'studentT',
  'negativeBinomial',
  'ctc',
] as const;

/**
 * Losses. A row is one sample, or one step of one when the output has a time axis.
 *
 * - `sparseCategoricalCrossentropy`: targets are class ids, [batch] or [batch, time]
 * - `categoricalCrossentropy`: targets are distributions over the classes, as the output
 * - `binaryCrossentropy`: targets are probabilities, as the output; mean over the features
 * - `sparseCategoricalFocalCrossentropy`, `categoricalFocalCrossentropy`,
 *   `binaryFocalCrossentropy` (Lin et al. 2017): the same times (1 - p)^gamma, p being the
 *   probability of what is right, so that hard rows count more; from logits
 * - `klDivergence`: Σ t log(t / p), targets are distributions over the classes, as the output
 * - `meanSquaredError`, `meanAbsoluteError`: targets as the output; mean over the features
 * - `huber` (Huber 1964): quadratic up to `delta`, then linear; mean over the features
 * - `cosine`: 1 - the cosine of the angle between output and target; targets as the output
 *
 * The others predict a distribution of each target. With F features a target, the output of the
 * last layer, which must be linear, has blocks of F numbers; a row's loss is the mean over them:
 *
 * - `quantile` (pinball; Koenker and Bassett 1978): a block for each of `quantiles`
 * - `gaussian`: negative log-likelihood; blocks of means and of deviations, the latter as
 *   softplus(x) + 1e-6
 * - `studentT`: blocks of locations, of scales, softplus(x) + 1e-6, and of degrees of freedom,
 *   2 + softplus(x)
 * - `negativeBinomial` (for counts; Salinas et al. 2017): blocks of means m and of dispersions a,
 *   both softplus(x) + 1e-6; the variance is m + a m²
 *
 * And for label sequences that are not aligned to the steps of their inputs:
 *
 * - `ctc` (connectionist temporal classification; Graves et al. 2006): - log of the probability of
 *   the labels, summed over all alignments. The output is logits of the classes and of the `blank`
 *   for each step; targets are labels without blanks, [batch, labels], ragged, or padded by blanks or
 *   negative numbers; `lengths` are those of the inputs; `sampleWeights` are by sample. A row is a
 *   sample: the mean is over samples, whatever the number of their labels. `ctc` decodes.
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
  /**
   * Of the cross-entropies but the focal ones: how much of a target is spread evenly over the
   * classes (binary: over 0 and 1), as in PyTorch and Keras. Default 0.
   */
  labelSmoothing?: number;
  /**
   * Of the cross-entropies: what a target of each class is multiplied by, [classes]; of the binary
   * ones: of 0 and of 1 (a `pos_weight` w of PyTorch is [1, w]; an alpha of focal losses is
   * [1 - alpha, alpha]). The mean is over the number of rows all the same, not over their weights.
   * Default: all 1.
   */
  classWeights?: ArrayLike<number>;
  /** Of the focal losses. Default 2. */
  gamma?: number;
  /** Of `quantile`: above 0 and below 1. Default [0.5]. */
  quantiles?: ArrayLike<number>;
  /** Of `ctc`: the class that stands for no label. Default 0, as in PyTorch. */
  blank?: number;
}

/** A loss for each output of a model of several, by its name. */
export type LossByOutput = Record<string, LossName | LossOptions>;

/** What a loss compares predictions with. */
export interface LossTargets {
  /** Class ids, not numbers. */
  labels: boolean;
  /** Numbers a row. Default: as many as the output has. */
  features?: number;
  /** The least value. Default: none. */
  min?: number;
  /** They are sequences of labels for whole samples, and this class is none of them. */
  blank?: number;
  /** How messages call them. Default `y`. */
  name?: string;
  /** Whether there may be none. Default false. */
  optional?: boolean;
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

function numbersField(bounds: { min?: number; above?: number; below?: number }) {
  return optional(
    custom<Float32Array>((value, label) => {
      const list = value as ArrayLike<unknown>;
      if (!Array.isArray(value) && !ArrayBuffer.isView(value)) {
        throw wrongKind('an array of numbers', label, value);
      }
      if (list.length === 0) throw wrongValue('at least one number', label, value);
      return Float32Array.from(list, (item, i) => checkNumber(item, `${label}[${i}]`, bounds));
    }),
  );
}

const schema = {
  kind: oneOf(KINDS),
  fromLogits: optional(flag(true)),
  delta: optional(number({ above: 0 })),
  labelSmoothing: optional(number({ min: 0, below: 1 })),
  classWeights: numbersField({ min: 0 }),
  gamma: optional(number({ min: 0 })),
  quantiles: numbersField({ above: 0, below: 1 }),
  blank: optional(integer(0, MAX_DIMENSION)),
};

type Options = ReturnType<typeof parseOptions<typeof schema>>;

const CROSSENTROPIES: readonly LossName[] = [
  'sparseCategoricalCrossentropy',
  'categoricalCrossentropy',
  'binaryCrossentropy',
];
const FOCAL: readonly LossName[] = [
  'sparseCategoricalFocalCrossentropy',
  'categoricalFocalCrossentropy',
  'binaryFocalCrossentropy',
];

/** Which losses have an option. */
const OWNERS: Partial<Record<keyof Options, readonly LossName[]>> = {
  delta: ['huber'],
  labelSmoothing: CROSSENTROPIES,
  classWeights: [...CROSSENTROPIES, ...FOCAL],
  gamma: FOCAL,
  quantiles: ['quantile'],
  blank: ['ctc'],
};

/** How a layer's activation must be for the loss to read probabilities. */
const PROBABILITIES: Partial<Record<LossName, string>> = {
  sparseCategoricalCrossentropy: 'softmax',
  categoricalCrossentropy: 'softmax',
  binaryCrossentropy: 'sigmoid',
  sparseCategoricalFocalCrossentropy: 'softmax',
  categoricalFocalCrossentropy: 'softmax',
  binaryFocalCrossentropy: 'sigmoid',
  klDivergence: 'softmax',
};

function settleLogits(kind: LossName, asked: boolean | undefined, last: NamedLayer): boolean {
  const { layer, name } = last;
  const squash = PROBABILITIES[kind];
  if (squash === undefined) {
    if (asked === true) {
      throw wrongKind(`nothing with the loss "${kind}"`, 'fromLogits', asked, 'it has no logits');
    }
    return false;
  }
  const probabilities = layer.activation === squash;
  if (probabilities && FOCAL.includes(kind)) {
    throw wrongKind(
      'a loss that reads probabilities',
      'loss',
      kind,
      `the last layer, "${name}", applies ${squash}; take its activation away`,
    );
  }
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

/** How many predictions a loss takes for each number of the targets. */
function predictionsPerTarget(kind: LossName, quantiles: Float32Array): number {
  if (kind === 'quantile') return quantiles.length;
  if (kind === 'studentT') return 3;
  return kind === 'gaussian' || kind === 'negativeBinomial' ? 2 : 1;
}

function settleTargets(native: NativeLossConfig, last: NamedLayer): LossTargets {
  const { kind, quantiles, classWeights, blank } = native;
  const { features, timed } = last.output;
  if (kind === 'ctc') {
    if (!timed) {
      throw shapeMismatch(
        `Expected an output for each step for the loss "ctc", but the last layer, "${last.name}", gives one for each sample; set returnSequences: true`,
      );
    }
    if (blank >= features) {
      throw wrongValue(`a class below ${features}, as "${last.name}" gives`, 'loss.blank', blank);
    }
    if (last.layer.activation === 'softmax') {
      throw wrongKind(
        'a loss that reads probabilities',
        'loss',
        kind,
        `the last layer, "${last.name}", applies softmax; take its activation away`,
      );
    }
    return { labels: true, blank };
  }
  const share = predictionsPerTarget(kind, quantiles);
  if (features % share !== 0) {
    throw shapeMismatch(
      `Expected a multiple of ${share} features from the last layer, "${last.name}", for the loss ` +
        `"${kind}", which has ${share} predictions for each target, but it has ${features}`,
    );
  }
  const classes = PROBABILITIES[kind] === 'sigmoid' ? 2 : features;
  if (classWeights.length !== 0 && classWeights.length !== classes) {
    const what = classes === features ? `the last layer, "${last.name}", gives` : 'are 0 and 1';
    throw shapeMismatch(
      `Expected ${classes} numbers for "loss.classWeights", one for each class (${what}), but ` +
        `received ${classWeights.length}`,
    );
  }
  return {
    labels: kind.startsWith('sparse'),
    features: features / share,
    ...(kind === 'negativeBinomial' ? { min: 0 } : {}),
  };
}

/**
 * Checks a loss against the last layer of a model.
 *
 * @param given a name, or {@link LossOptions}
 * @param fromLogits as given beside a name
 * @throws TypeError, RangeError for an unknown loss or one that contradicts the last layer
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` for a last layer or class weights of the wrong size
 */
export function resolveLoss(
  given: unknown,
  fromLogits: boolean | undefined,
  last: NamedLayer,
): Loss {
  const options: Partial<Options> & { kind: LossName } = isRecord(given)
    ? parseOptions('loss', given, schema)
    : { kind: checkOneOf(given, 'loss', KINDS) };
  const { kind } = options;
  for (const [name, owners] of Object.entries(OWNERS) as [keyof Options, LossName[]][]) {
    if (options[name] !== undefined && !owners.includes(kind)) {
      throw wrongKind(`nothing with the loss "${kind}"`, `loss.${name}`, options[name]);
    }
  }
  const native: NativeLossConfig = {
    kind,
    fromLogits: settleLogits(kind, options.fromLogits ?? fromLogits, last),
    delta: options.delta ?? 1,
    labelSmoothing: options.labelSmoothing ?? 0,
    gamma: options.gamma ?? 2,
    classWeights: options.classWeights ?? new Float32Array(),
    quantiles:
      options.quantiles ?? (kind === 'quantile' ? Float32Array.of(0.5) : new Float32Array()),
    blank: options.blank ?? 0,
  };
  return {
    native,
    targets: settleTargets(native, last),
    categorical: PROBABILITIES[kind] === 'softmax',
    entropy: CROSSENTROPIES.includes(kind),
  };
}
