/** Scores that follow from counts and from orders: what functions and streaming metrics share. */

/** Precision, recall and their harmonic mean. */
export interface F1Scores {
  precision: number;
  recall: number;
  f1: number;
}

/** How scores of classes become one; see `metrics.f1`. */
export type Average = 'macro' | 'weighted' | 'micro' | 'binary';

export const AVERAGES = ['macro', 'weighted', 'micro', 'binary'] as const;

/** By class: predictions that are right, all predictions of it, and its targets. */
export interface ClassCounts {
  right: ArrayLike<number>;
  taken: ArrayLike<number>;
  support: ArrayLike<number>;
}

/** 0 where nothing could be counted, as in scikit-learn. */
export function ratios(right: number, taken: number, support: number): F1Scores {
  const precision = taken === 0 ? 0 : right / taken;
  const recall = support === 0 ? 0 : right / support;
  const f1 = taken + support === 0 ? 0 : (2 * right) / (taken + support);
  return { precision, recall, f1 };
}

/** Scores over all classes; `binary` is that of class 1. */
export function averaged({ right, taken, support }: ClassCounts, average: Average): F1Scores {
  const of = (k: number) => ratios(right[k] ?? 0, taken[k] ?? 0, support[k] ?? 0);
  if (average === 'binary') return of(1);
  const sum = { precision: 0, recall: 0, f1: 0 };
  const totals = { right: 0, taken: 0, support: 0, weight: 0 };
  for (let k = 0; k < support.length; k++) {
    totals.right += right[k]!;
    totals.taken += taken[k]!;
    totals.support += support[k]!;
    // Classes that neither occur nor were given say nothing.
    const weight = average === 'weighted' ? support[k]! : Number(support[k]! + taken[k]! > 0);
    const { precision, recall, f1 } = of(k);
    sum.precision += precision * weight;
    sum.recall += recall * weight;
    sum.f1 += f1 * weight;
    totals.weight += weight;
  }
  if (average === 'micro') return ratios(totals.right, totals.taken, totals.support);
  const { weight } = totals;
  if (weight === 0) return sum;
  return { precision: sum.precision / weight, recall: sum.recall / weight, f1: sum.f1 / weight };
}

/**
 * The area under the ROC curve: the share of pairs of a positive and a negative that are in order,
 * ties counting half (Mann and Whitney 1947). Sorts both arrays; NaN where one is empty.
 */
export function areaUnderCurve(
  positives: Float32Array | Float64Array,
  negatives: Float32Array | Float64Array,
): number {
  positives.sort();
  negatives.sort();
  let [below, upTo, pairs] = [0, 0, 0];
  for (const score of positives) {
    while (below < negatives.length && negatives[below]! < score) below++;
    while (upTo < negatives.length && negatives[upTo]! <= score) upTo++;
    pairs += (below + upTo) / 2;
  }
  return pairs / (positives.length * negatives.length);
}
