/** Numbers beside the loss that `fit` and `evaluate` report. */
import { wrongKind, wrongValue } from './errors';
import type { Loss, LossName } from './losses';
import type { Average } from './measures/counts';
import { seasonalScale } from './measures/forecast';
import {
  AVERAGES,
  accuracyScorer,
  aucScorer,
  confusionScorer,
  ratioScorer,
  topKScorer,
} from './scoring/classes';
import {
  crpsScorer,
  maeScorer,
  maseScorer,
  mseScorer,
  rmseScorer,
  smapeScorer,
} from './scoring/numbers';
import type { Scorer } from './scoring/scorer';
import { editScorer } from './scoring/sequences';
import {
  anything,
  checkOneOf,
  checkText,
  custom,
  integer,
  isRecord,
  oneOf,
  optional,
  parseOptions,
} from './validate';

const METRICS = [
  'accuracy',
  'perplexity',
  'bits',
  'topKAccuracy',
  'precision',
  'recall',
  'f1',
  'confusionMatrix',
  'auc',
  'mae',
  'mse',
  'rmse',
  'smape',
  'mase',
  'crps',
  'editDistance',
  'characterErrorRate',
  'wordErrorRate',
] as const;

/**
 * Metrics. The first three come from the passes that training and evaluation make anyway:
 *
 * - `accuracy`: share of rows whose most probable class is right (categorical losses)
 * - `perplexity`: e to the power of the cross-entropy, as it is: with label smoothing and class
 *   weights, if the loss has them
 * - `bits`: the cross-entropy in bits; for a character model, bits per character
 *
 * The others compare predictions with targets. `evaluate` reports them, and `fit` for the validation
 * data, after each epoch; for the training data it would cost a copy of every output. They count
 * every row once, whatever the batches, without rows that a mask leaves out; sample weights do not
 * matter. Of categorical losses:
 *
 * - `topKAccuracy`: share of rows in which fewer than `k` classes have a higher score than the right
 *   one
 * - `precision`, `recall`, `f1`: by class, then `average`d, as `metrics.f1` does
 * - `confusionMatrix`: rows by class (row) and prediction (column); a matrix, which the history and
 *   JSON logs have and other loggers leave out
 * - `auc`: the area under the ROC curve; of more than two classes the mean of one against the rest.
 *   Keeps the scores of all rows
 *
 * Of binary losses `accuracy`, `precision`, `recall`, `f1`, `auc`, where a decision is a probability
 * of one half or more, and each output is a class of its own; of one output also `confusionMatrix`.
 *
 * Of losses that predict numbers, from their point forecasts (of distributions the mean or location,
 * of quantiles that nearest to the median):
 *
 * - `mae`, `mse`, `rmse`: absolute and squared error, and the root of the latter
 * - `smape`: as `metrics.smape`
 * - `mase`: as `metrics.mase`, with `history` and `season`
 * - `crps`: as `metrics.crps`, of the predicted distribution; a single number counts as one
 *
 * And of `ctc`, decoded by the best path:
 *
 * - `editDistance`: edits of labels, mean over the sequences
 * - `characterErrorRate`: edits of labels per label of the targets
 * - `wordErrorRate`: the same by words, which the label `separator` parts
 */
export type MetricName = (typeof METRICS)[number];

/** A metric with its options. */
export interface MetricOptions {
  /** Required. */
  kind: MetricName;
  /** Under which it is reported. Default: its kind. */
  name?: string;
  /** Of `topKAccuracy`. Default 5. */
  k?: number;
  /** Of `precision`, `recall` and `f1`. Default `macro`. */
  average?: Average;
  /** Of `mase`, required: what was known before, in the unit of the targets. */
  history?: ArrayLike<number>;
  /** Of `mase`: steps of a season. Default 1. */
  season?: number;
  /** Of `wordErrorRate`, required: the label between words. */
  separator?: number;
}

/** Metrics of a call: of its output, or of several outputs by name. */
export type MetricsOption =
  readonly (MetricName | MetricOptions)[] | Record<string, readonly (MetricName | MetricOptions)[]>;

/** Sums over rows from which the first metrics follow. */
export interface Totals {
  lossSum: number;
  /** What regularisers add to the loss of each row, which no metric but the loss itself counts. */
  penaltySum: number;
  count: number;
  correct: number;
  /** Of each output, where there are several: then `lossSum` and `correct` are 0. */
  outputs?: Totals[];
}

/**
 * A loss and the metrics that were asked for, by their names. With several outputs: the total loss,
 * and the scores of each output under its name, `priceLoss`, `labelAccuracy`.
 */
export interface Scores extends Partial<Record<Exclude<MetricName, 'confusionMatrix'>, number>> {
  loss: number;
  confusionMatrix?: number[][];
  /** Under names of the user's own. */
  [name: string]: number | number[][] | undefined;
}

/** A checked metric. */
export interface Metric {
  kind: MetricName;
  name: string;
  /** What must be the same for a run to go on: plain values. */
  identity: unknown;
  /** Makes what adds up predictions; undefined for metrics that follow from {@link Totals}. */
  scorer: (() => Scorer) | undefined;
}

const DEFAULT_K = 5;
/** A matrix of more classes is nothing to look at. */
const MOST_CONFUSED = 1024;

const schema = {
  kind: oneOf(METRICS),
  name: optional(custom(checkText)),
  k: optional(integer(1, 2 ** 24)),
  average: optional(oneOf(AVERAGES)),
  history: anything(),
  season: optional(integer(1, 2 ** 31)),
  separator: optional(integer(0, 2 ** 24)),
};

type Options = Partial<ReturnType<typeof parseOptions<typeof schema>>> & { kind: MetricName };

const RATIOS: readonly MetricName[] = ['precision', 'recall', 'f1'];

/** Which metrics have an option. */
const OWNERS: Partial<Record<keyof Options, readonly MetricName[]>> = {
  k: ['topKAccuracy'],
  average: RATIOS,
  history: ['mase'],
  season: ['mase'],
  separator: ['wordErrorRate'],
};

const OF_CLASSES: readonly MetricName[] = [
  'accuracy',
  'topKAccuracy',
  ...RATIOS,
  'confusionMatrix',
  'auc',
];
const OF_BINARY: readonly MetricName[] = ['accuracy', ...RATIOS, 'confusionMatrix', 'auc'];
const OF_NUMBERS: readonly MetricName[] = ['mae', 'mse', 'rmse', 'smape', 'mase', 'crps'];
const OF_SEQUENCES: readonly MetricName[] = ['editDistance', 'characterErrorRate', 'wordErrorRate'];
const BINARY: readonly LossName[] = ['binaryCrossentropy', 'binaryFocalCrossentropy'];

/** The metrics that mean something for a loss. */
export function metricsOf(loss: Loss): readonly MetricName[] {
  const entropies: MetricName[] = loss.entropy ? ['perplexity', 'bits'] : [];
  if (loss.categorical) return [...OF_CLASSES, ...entropies];
  if (BINARY.includes(loss.native.kind)) return [...OF_BINARY, ...entropies];
  return loss.native.kind === 'ctc' ? OF_SEQUENCES : OF_NUMBERS;
}

function requireOption(value: unknown, what: string, label: string): void {
  if (value === undefined) throw wrongKind(what, label, value, 'the option is required');
}

/** How a metric adds up predictions. */
function scorerOf(
  options: Options,
  loss: Loss,
  classes: number,
  label: string,
): (() => Scorer) | undefined {
  const { kind } = options;
  const { categorical } = loss;
  switch (kind) {
    case 'perplexity':
    case 'bits':
      return undefined;
    case 'accuracy':
      return categorical ? undefined : () => accuracyScorer(classes);
    case 'topKAccuracy':
      return () => topKScorer(options.k ?? DEFAULT_K);
    case 'precision':
    case 'recall':
    case 'f1': {
      const { average = 'macro' } = options;
      if (average === 'binary' && classes !== (categorical ? 2 : 1)) {
        throw wrongValue('an average for more than two classes', `${label}.average`, average);
      }
      // One binary output has no other class to count.
      const settled = average === 'binary' && !categorical ? 'micro' : average;
      return () => ratioScorer(classes, kind, settled);
    }
    case 'confusionMatrix':
      if (categorical ? classes > MOST_CONFUSED : classes > 1) {
        const what = categorical ? `at most ${MOST_CONFUSED} classes` : 'one binary output';
        throw wrongValue(`a metric that ${classes} outputs have`, label, kind, `it needs ${what}`);
      }
      return () => confusionScorer(categorical ? classes : 2);
    case 'auc':
      return () => aucScorer(classes, categorical);
    case 'mae':
      return maeScorer;
    case 'mse':
      return mseScorer;
    case 'rmse':
      return rmseScorer;
    case 'smape':
      return smapeScorer;
    case 'crps':
      return crpsScorer;
    case 'mase': {
      requireOption(options.history, 'the numbers before the forecasts', `${label}.history`);
      const scale = seasonalScale(options.history, options.season ?? 1, `${label}.`);
      return () => maseScorer(scale);
    }
    case 'editDistance':
      return () => editScorer('sample');
    case 'characterErrorRate':
      return () => editScorer('item');
    case 'wordErrorRate':
      requireOption(options.separator, 'the label between words', `${label}.separator`);
      return () => editScorer('item', options.separator);
  }
}

/** What makes a metric what it is, in plain values. */
function identityOf({ history, ...rest }: Options): unknown {
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  if (history === undefined && given.length === 1) return rest.kind;
  return {
    ...Object.fromEntries(given),
    ...(history === undefined ? {} : { history: Array.from(history as ArrayLike<number>) }),
  };
}

/** Names that mean something else in what a run reports. */
const TAKEN = ['loss', 'epoch', 'batch', 'batches', 'step', 'rows', 'seconds', 'learningRate'];

/**
 * @param outputs numbers of an output row
 * @throws TypeError, RangeError for an unknown metric, or one that the loss does not have
 */
export function resolveMetrics(given: unknown, loss: Loss, outputs: number): Metric[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw wrongKind('an array of metrics', 'metrics', given);
  const names = new Set<string>();
  return given.map((value: unknown, i) => {
    const label = `metrics[${i}]`;
    const options: Options = isRecord(value)
      ? parseOptions(label, value, schema)
      : { kind: checkOneOf(value, label, METRICS) };
    const { kind } = options;
    const fitting = metricsOf(loss);
    if (!fitting.includes(kind)) {
      const expected = `a metric that the loss "${loss.native.kind}" has`;
      throw wrongValue(expected, label, kind, `it has ${fitting.join(', ')}`);
    }
    for (const [name, owners] of Object.entries(OWNERS) as [keyof Options, MetricName[]][]) {
      if (options[name] !== undefined && !owners.includes(kind)) {
        throw wrongKind(`nothing with the metric "${kind}"`, `${label}.${name}`, options[name]);
      }
    }
    const name = options.name ?? kind;
    if (names.has(name) || TAKEN.includes(name) || /^val[A-Z]/.test(name)) {
      throw wrongValue('a name of its own', `${label}.name`, name, 'give it another "name"');
    }
    names.add(name);
    const scorer = scorerOf(options, loss, outputs, label);
    return { kind, name, identity: identityOf(options), scorer };
  });
}

/** `valLoss` for `loss`. */
export function validationName(name: string): string {
  return `val${name[0]!.toUpperCase()}${name.slice(1)}`;
}

/**
 * The names of the numbers that epochs of `fit` report.
 *
 * @throws RangeError for metrics that need validation where there is none
 */
export function scoreNames(metrics: readonly Metric[], validates: boolean): string[] {
  const training = ['loss', ...metrics.filter(({ scorer }) => !scorer).map(({ name }) => name)];
  if (!validates) {
    const i = metrics.findIndex(({ scorer }) => scorer !== undefined);
    if (i < 0) return training;
    throw wrongValue(
      'a metric of the training passes',
      `metrics[${i}]`,
      metrics[i]!.kind,
      'it is computed on validation data: give validationData or validationSplit, or use evaluate()',
    );
  }
  const numbers = metrics.filter(({ kind }) => kind !== 'confusionMatrix');
  return [...training, ...['loss', ...numbers.map(({ name }) => name)].map(validationName)];
}

/** Sums over no rows. */
export function noTotals(): Totals {
  return { lossSum: 0, penaltySum: 0, count: 0, correct: 0 };
}

/** Adds to sums. */
export function addTotals(totals: Totals, more: Totals): void {
  totals.lossSum += more.lossSum;
  totals.penaltySum += more.penaltySum;
  totals.count += more.count;
  totals.correct += more.correct;
  more.outputs?.forEach((sums, i) => addTotals(totals.outputs![i]!, sums));
}

/** The mean loss over the rows, penalties included, and the metrics that follow from the sums. */
export function scores(totals: Totals, metrics: readonly Metric[]): Scores {
  const { lossSum, penaltySum, count, correct } = totals;
  const loss = count === 0 ? 0 : lossSum / count;
  const result: Scores = { loss: count === 0 ? 0 : loss + penaltySum / count };
  for (const { kind, name, scorer } of metrics) {
    if (scorer !== undefined) continue;
    if (kind === 'accuracy') result[name] = count === 0 ? 0 : correct / count;
    else result[name] = kind === 'perplexity' ? Math.exp(loss) : loss / Math.LN2;
  }
  return result;
}
