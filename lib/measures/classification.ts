/** How well classes were told apart. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import type { NDArray } from '../data/arrays';
import { checkInteger, integer, isRecord, oneOf, optional, parseOptions } from '../validate';
import { AVERAGES, areaUnderCurve, averaged, ratios } from './counts';
import type { Average, F1Scores } from './counts';

/** Class ids, or scores of each class, [rows, classes], of which the first largest is meant. */
export type Predictions = ArrayLike<number> | NDArray;

const MAX_CLASSES = 2 ** 24;

function rowsOf(scores: NDArray, count: number): { classes: number; data: ArrayLike<number> } {
  const { data, shape } = scores;
  const [rows = 0, classes = 0] = shape;
  if (shape.length !== 2 || data.length !== rows * classes || rows !== count || classes === 0) {
    throw shapeMismatch(
      `Expected [${count}, classes] for "predictions", as many rows as targets, but received [${shape.join(', ')}]`,
    );
  }
  return { classes, data };
}

function isScores(value: unknown): value is NDArray {
  return isRecord(value) && ArrayBuffer.isView(value['data']) && Array.isArray(value['shape']);
}

function checkList(value: unknown, name: string): ArrayLike<number> {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return value as ArrayLike<number>;
  throw wrongKind('an array of numbers', name, value);
}

function checkLabels(value: unknown, name: string): number[] {
  const list = checkList(value, name);
  if (list.length === 0) throw wrongValue('at least one number', name, value);
  return Array.from(list, (label, i) => checkInteger(label, `${name}[${i}]`, 0, MAX_CLASSES));
}

function labelsOf(predictions: Predictions, count: number): number[] {
  if (isScores(predictions)) {
    const { classes, data } = rowsOf(predictions, count);
    return Array.from({ length: count }, (_value, row) => {
      let best = 0;
      for (let k = 1; k < classes; k++) {
        if (data[row * classes + k]! > data[row * classes + best]!) best = k;
      }
      return best;
    });
  }
  const labels = checkLabels(predictions, 'predictions');
  if (labels.length !== count) {
    throw shapeMismatch(
      `Expected ${count} numbers for "predictions", as many as targets, but received ${labels.length}`,
    );
  }
  return labels;
}

/**
 * The share of rows whose class is right.
 *
 * @param targets class ids
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` for wrong arguments
 */
export function accuracy(targets: ArrayLike<number>, predictions: Predictions): number {
  const wanted = checkLabels(targets, 'targets');
  const given = labelsOf(predictions, wanted.length);
  return wanted.filter((label, i) => label === given[i]).length / wanted.length;
}

/**
 * The share of rows in which fewer than `k` classes have a higher score than the right one.
 *
 * @param targets class ids
 * @param scores [rows, classes]
 * @throws as {@link accuracy}
 */
export function topKAccuracy(targets: ArrayLike<number>, scores: NDArray, k = 5): number {
  const wanted = checkLabels(targets, 'targets');
  if (!isScores(scores)) throw wrongKind('{ data, shape }', 'scores', scores);
  const { classes, data } = rowsOf(scores, wanted.length);
  checkInteger(k, 'k', 1, MAX_CLASSES);
  const right = wanted.filter((label, row) => {
    checkInteger(label, `targets[${row}]`, 0, classes - 1);
    const own = data[row * classes + label]!;
    let higher = 0;
    for (let j = 0; j < classes; j++) {
      // NaN is no score, and what stands beside it cannot be ranked.
      if (!(data[row * classes + j]! <= own)) higher++;
    }
    return higher < k;
  });
  return right.length / wanted.length;
}

/** Options of {@link confusionMatrix}. */
export interface ConfusionOptions {
  /** Default: one more than the largest id. */
  classes?: number;
}

/**
 * How often a class (row) was taken for a class (column).
 *
 * @param targets class ids
 * @throws as {@link accuracy}
 */
export function confusionMatrix(
  targets: ArrayLike<number>,
  predictions: Predictions,
  options?: ConfusionOptions,
): number[][] {
  const wanted = checkLabels(targets, 'targets');
  const given = labelsOf(predictions, wanted.length);
  const needed = 1 + [...wanted, ...given].reduce((most, label) => Math.max(most, label), 0);
  const read = parseOptions('confusionMatrix', options, {
    classes: optional(integer(1, MAX_CLASSES)),
  });
  const classes = read.classes ?? needed;
  if (classes < needed) {
    throw wrongValue(
      `at least ${needed}, for the ids that occur,`,
      'confusionMatrix.classes',
      classes,
    );
  }
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  wanted.forEach((label, i) => matrix[label]![given[i]!]!++);
  return matrix;
}

/** Options of {@link f1}. */
export interface F1Options extends ConfusionOptions {
  /**
   * `macro`: the mean over the classes; `weighted`: the same by their numbers of targets; `micro`:
   * of all rows together; `binary`: of class 1 alone. Default `macro`.
   */
  average?: Average;
}

/** Of each class, in the order of ids; 0 where nothing could be counted, as in scikit-learn. */
export function f1ByClass(
  targets: ArrayLike<number>,
  predictions: Predictions,
  options?: ConfusionOptions,
): (F1Scores & { support: number })[] {
  const matrix = confusionMatrix(targets, predictions, options);
  return matrix.map((row, k) => {
    const support = row.reduce((sum, count) => sum + count, 0);
    const taken = matrix.reduce((sum, other) => sum + other[k]!, 0);
    return { ...ratios(row[k]!, taken, support), support };
  });
}

/**
 * Precision, recall and F1 over all classes.
 *
 * @param targets class ids
 * @throws as {@link accuracy}
 */
export function f1(
  targets: ArrayLike<number>,
  predictions: Predictions,
  options?: F1Options,
): F1Scores {
  const { average, classes } = parseOptions('f1', options, {
    classes: optional(integer(1, MAX_CLASSES)),
    average: oneOf(AVERAGES, 'macro'),
  });
  const matrix = confusionMatrix(targets, predictions, classes === undefined ? {} : { classes });
  if (average === 'binary' && matrix.length > 2) {
    throw wrongValue('two classes', 'f1.average', average, 'use "macro"');
  }
  const sum = (list: readonly number[]) => list.reduce((total, count) => total + count, 0);
  return averaged(
    {
      right: matrix.map((row, k) => row[k]!),
      taken: matrix.map((_row, k) => sum(matrix.map((row) => row[k]!))),
      support: matrix.map(sum),
    },
    average,
  );
}

/**
 * The area under the ROC curve: the probability that a row of class 1 has a higher score than one of
 * class 0, ties counting half (Mann and Whitney 1947).
 *
 * @param targets 0 or 1
 * @param scores any numbers
 * @throws RangeError unless both classes occur; otherwise as {@link accuracy}
 */
export function auc(targets: ArrayLike<number>, scores: ArrayLike<number>): number {
  const wanted = checkLabels(targets, 'targets');
  const given = Array.from(checkList(scores, 'scores'));
  if (given.length !== wanted.length) {
    throw shapeMismatch(
      `Expected ${wanted.length} numbers for "scores" but received ${given.length}`,
    );
  }
  const wrong = given.findIndex((score) => typeof score !== 'number' || Number.isNaN(score));
  if (wrong >= 0) throw wrongValue('a number', `scores[${wrong}]`, given[wrong]);
  wanted.forEach((label, i) => checkInteger(label, `targets[${i}]`, 0, 1));
  const ofLabel = (label: number) =>
    Float64Array.from(given.filter((_score, i) => wanted[i] === label));
  const positives = ofLabel(1);
  const negatives = ofLabel(0);
  if (positives.length === 0 || negatives.length === 0) {
    throw wrongValue('both 0 and 1', 'targets', targets);
  }
  return areaUnderCurve(positives, negatives);
}

/** e to the power of a mean cross-entropy, as `evaluate` gives it for one. */
export function perplexity(crossentropy: number): number {
  return Math.exp(crossentropy);
}

/** A mean cross-entropy in bits: for a character model, bits per character. */
export function bits(crossentropy: number): number {
  return crossentropy / Math.LN2;
}
