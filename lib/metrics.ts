/** Numbers beside the loss that `fit` and `evaluate` report. */
import { wrongKind, wrongValue } from './errors';
import type { Loss } from './losses';
import { checkOneOf } from './validate';

const METRICS = ['accuracy', 'perplexity', 'bits'] as const;

/**
 * - `accuracy`: share of rows whose most probable class is right (categorical losses)
 * - `perplexity`: e to the power of the cross-entropy, as it is: with label smoothing and class
 *   weights, if the loss has them
 * - `bits`: the cross-entropy in bits; for a character model, bits per character
 */
export type MetricName = (typeof METRICS)[number];

/** Sums over rows from which all metrics follow. */
export interface Totals {
  lossSum: number;
  count: number;
  correct: number;
}

/** A loss and the metrics that were asked for. */
export type Scores = { loss: number } & Partial<Record<MetricName, number>>;

/**
 * @throws TypeError, RangeError for an unknown metric, or one that the loss does not have
 */
export function resolveMetrics(given: unknown, loss: Loss): MetricName[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw wrongKind('an array of metrics', 'metrics', given);
  return given.map((value: unknown, i) => {
    const metric = checkOneOf(value, `metrics[${i}]`, METRICS);
    const fits = metric === 'accuracy' ? loss.categorical : loss.entropy;
    if (!fits) {
      throw wrongValue(`a metric that the loss "${loss.native.kind}" has`, `metrics[${i}]`, value);
    }
    return metric;
  });
}

/** The mean loss over the rows, and the metrics. */
export function scores(totals: Totals, metrics: readonly MetricName[]): Scores {
  const { lossSum, count, correct } = totals;
  const loss = count === 0 ? 0 : lossSum / count;
  const result: Scores = { loss };
  for (const metric of metrics) {
    if (metric === 'accuracy') result.accuracy = count === 0 ? 0 : correct / count;
    else if (metric === 'perplexity') result.perplexity = Math.exp(loss);
    else result.bits = loss / Math.LN2;
  }
  return result;
}
