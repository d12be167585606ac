/** Metrics of losses that tell classes apart. */
import { AVERAGES, areaUnderCurve, averaged } from '../measures/counts';
import type { Average } from '../measures/counts';
import type { ScoredBatch, Scorer } from './scorer';

/** Which of precision, recall and F1. */
export type Ratio = 'precision' | 'recall' | 'f1';

export { AVERAGES };

/** Counts by class; of a binary loss by feature, each of which is a class of its own. */
class Counts {
  readonly right: Float64Array;
  readonly taken: Float64Array;
  readonly support: Float64Array;
  /** Decisions that were made, and those that were right. */
  decisions = 0;
  correct = 0;

  constructor(classes: number) {
    this.right = new Float64Array(classes);
    this.taken = new Float64Array(classes);
    this.support = new Float64Array(classes);
  }

  add(batch: ScoredBatch): void {
    if (batch.loss.categorical) {
      const { predicted, wanted } = batch.classes;
      predicted.forEach((k, i) => this.count(k, wanted[i]!));
      return;
    }
    eachBinary(batch, (feature, score, threshold, label) => {
      const predicted = score >= threshold;
      const wanted = label >= 0.5;
      if (predicted) this.taken[feature]!++;
      if (wanted) this.support[feature]!++;
      if (predicted && wanted) this.right[feature]!++;
      if (predicted === wanted) this.correct++;
      this.decisions++;
    });
  }

  private count(predicted: number, wanted: number): void {
    this.taken[predicted]!++;
    this.support[wanted]!++;
    this.decisions++;
    if (predicted !== wanted) return;
    this.right[wanted]!++;
    this.correct++;
  }
}

type BinaryVisit = (feature: number, score: number, threshold: number, label: number) => void;

/** Visits each number of a binary loss' outputs; the threshold is probability one half. */
function eachBinary({ loss, output, features, rows, targets }: ScoredBatch, visit: BinaryVisit) {
  const threshold = loss.native.fromLogits ? 0 : 0.5;
  rows.output.forEach((row, i) => {
    for (let j = 0; j < features; j++) {
      const label = targets.values[rows.target[i]! * features + j]!;
      visit(j, output[row * features + j]!, threshold, label);
    }
  });
}

/** The share of decisions that are right. */
export function accuracyScorer(classes: number): Scorer {
  const counts = new Counts(classes);
  return {
    add: (batch) => counts.add(batch),
    result: () => (counts.decisions === 0 ? 0 : counts.correct / counts.decisions),
  };
}

/** Precision, recall or F1. */
export function ratioScorer(classes: number, ratio: Ratio, average: Average): Scorer {
  const counts = new Counts(classes);
  return { add: (batch) => counts.add(batch), result: () => averaged(counts, average)[ratio] };
}

/** The share of rows in which fewer than k classes have a higher score than the right one. */
export function topKScorer(k: number): Scorer {
  let [right, count] = [0, 0];
  return {
    add({ output, features, rows, classes }) {
      rows.output.forEach((row, i) => {
        const own = output[row * features + classes.wanted[i]!]!;
        let higher = 0;
        for (let j = 0; j < features; j++) {
          // NaN is no score, and what stands beside it cannot be ranked.
          if (!(output[row * features + j]! <= own)) higher++;
        }
        if (higher < k) right++;
        count++;
      });
    },
    result: () => (count === 0 ? 0 : right / count),
  };
}

/** How often a class (row) was taken for a class (column); of one binary output, 0 and 1. */
export function confusionScorer(classes: number): Scorer {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  return {
    add(batch) {
      if (batch.loss.categorical) {
        const { predicted, wanted } = batch.classes;
        predicted.forEach((k, i) => matrix[wanted[i]!]![k]!++);
        return;
      }
      eachBinary(batch, (_feature, score, threshold, label) => {
        matrix[Number(label >= 0.5)]![Number(score >= threshold)]!++;
      });
    },
    result: () => matrix,
  };
}

/** Numbers without a known end. */
class Growing {
  #values = new Float32Array(1024);
  #count = 0;

  push(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float32Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = value;
  }

  values(): Float32Array {
    return this.#values.slice(0, this.#count);
  }
}

/** The probability of a class, or what orders rows as it does. */
function scoreOf({ loss, output, features }: ScoredBatch, row: number, k: number): number {
  const from = row * features;
  if (!loss.categorical || !loss.native.fromLogits) return output[from + k]!;
  // The log-odds order rows as the probability does, without its rounding near 0 and 1.
  let highest = -Infinity;
  for (let j = 0; j < features; j++) {
    if (j !== k) highest = Math.max(highest, output[from + j]!);
  }
  let sum = 0;
  for (let j = 0; j < features; j++) {
    if (j !== k) sum += Math.exp(output[from + j]! - highest);
  }
  return output[from + k]! - highest - Math.log(sum);
}

/**
 * The area under the ROC curve. Of two classes that of class 1; of more, or of several binary
 * outputs, the mean over those of which there are both positives and negatives (one against the
 * rest). Exact: it keeps the scores of all rows, 4 bytes for each of a row.
 */
export function aucScorer(classes: number, categorical: boolean): Scorer {
  const first = categorical && classes === 2 ? 1 : 0;
  const lists = Array.from({ length: classes }, () => [new Growing(), new Growing()] as const);
  return {
    add(batch) {
      const { rows, targets, features } = batch;
      rows.output.forEach((row, i) => {
        for (let k = first; k < classes; k++) {
          const wanted = categorical
            ? batch.classes.wanted[i] === k
            : targets.values[rows.target[i]! * features + k]! >= 0.5;
          lists[k]![Number(wanted)]!.push(scoreOf(batch, row, k));
        }
      });
    },
    result() {
      const areas = lists
        .slice(first)
        .map(([negatives, positives]) => areaUnderCurve(positives.values(), negatives.values()))
        .filter((area) => !Number.isNaN(area));
      return areas.reduce((sum, area) => sum + area, 0) / areas.length;
    },
  };
}
