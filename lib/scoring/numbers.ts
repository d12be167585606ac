/** Metrics of losses that predict numbers. */
import { symmetricError } from '../measures/forecast';
import { crpsOf, pointOf } from './parameters';
import type { OutputRow } from './parameters';
import type { ScoredBatch, Scorer } from './scorer';

/** The mean over all numbers of the targets, then `finish`. */
function meanScorer(
  part: (batch: ScoredBatch, row: OutputRow, j: number, actual: number) => number,
  finish: (mean: number) => number = (mean) => mean,
): Scorer {
  let [sum, count] = [0, 0];
  return {
    add(batch) {
      const { output, features, rows, targets } = batch;
      rows.output.forEach((row, i) => {
        const place = { output, at: row * features, targets: targets.features };
        for (let j = 0; j < targets.features; j++) {
          sum += part(batch, place, j, targets.values[rows.target[i]! * targets.features + j]!);
          count++;
        }
      });
    },
    result: () => finish(count === 0 ? 0 : sum / count),
  };
}

const error = ({ loss }: ScoredBatch, row: OutputRow, j: number, actual: number): number =>
  pointOf(loss, row, j) - actual;
const square: typeof error = (...of) => error(...of) ** 2;
const size: typeof error = (...of) => Math.abs(error(...of));

export const maeScorer = (): Scorer => meanScorer(size);
export const mseScorer = (): Scorer => meanScorer(square);
export const rmseScorer = (): Scorer => meanScorer(square, Math.sqrt);
/** @param scale the error of the forecast that it is measured by */
export const maseScorer = (scale: number): Scorer => meanScorer(size, (mean) => mean / scale);
export const smapeScorer = (): Scorer =>
  meanScorer(({ loss }, row, j, actual) => symmetricError(actual, pointOf(loss, row, j)));
export const crpsScorer = (): Scorer =>
  meanScorer(({ loss }, row, j, actual) => crpsOf(loss, row, j, actual));
