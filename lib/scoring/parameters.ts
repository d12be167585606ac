/** What the outputs of a loss say of each target: a number, quantiles, or a distribution. */
import type { Loss } from '../losses';
import { negativeBinomial, normal, quantileScore, studentT } from '../measures/distributions';
import type { Distribution } from '../measures/distributions';

const LEAST = 1e-6;
const softplus = (x: number): number => (x > 30 ? x : Math.log1p(Math.exp(x)));

/** A row of output. */
export interface OutputRow {
  output: ArrayLike<number>;
  /** Where it begins. */
  at: number;
  /** Numbers of a target row. */
  targets: number;
}

/** Losses whose outputs are distributions with parameters. */
const DISTRIBUTIONS = ['gaussian', 'studentT', 'negativeBinomial'];

/** Whether a loss predicts more of a target than one number. */
export function isProbabilistic({ native }: Loss): boolean {
  return native.kind === 'quantile' || DISTRIBUTIONS.includes(native.kind);
}

/** The distribution of target j, as the loss reads it; undefined for losses without one. */
export function distributionOf(
  { native }: Loss,
  { output, at, targets }: OutputRow,
  j: number,
): Distribution | undefined {
  const block = (index: number): number => output[at + index * targets + j]!;
  switch (native.kind) {
    case 'gaussian':
      return normal(block(0), softplus(block(1)) + LEAST);
    case 'studentT':
      return studentT(block(0), softplus(block(1)) + LEAST, 2 + softplus(block(2)));
    case 'negativeBinomial':
      return negativeBinomial(softplus(block(0)) + LEAST, softplus(block(1)) + LEAST);
    default:
      return undefined;
  }
}

/** The one number that is predicted of target j: of quantiles that nearest to the median. */
export function pointOf(loss: Loss, row: OutputRow, j: number): number {
  const { output, at, targets } = row;
  const { kind, quantiles } = loss.native;
  if (kind === 'quantile') {
    let middle = 0;
    quantiles.forEach((level, i) => {
      if (Math.abs(level - 0.5) < Math.abs(quantiles[middle]! - 0.5)) middle = i;
    });
    return output[at + middle * targets + j]!;
  }
  // The first block of Gaussian and Student-t outputs is their center.
  return kind === 'negativeBinomial' ? softplus(output[at + j]!) + LEAST : output[at + j]!;
}

/** The CRPS of target j; of a single number it is the absolute error. */
export function crpsOf(loss: Loss, row: OutputRow, j: number, outcome: number): number {
  const { quantiles } = loss.native;
  if (loss.native.kind === 'quantile') {
    const own = Array.from(quantiles, (_level, i) => row.output[row.at + i * row.targets + j]!);
    return quantileScore(outcome, own, quantiles);
  }
  const distribution = distributionOf(loss, row, j);
  return distribution?.crps(outcome) ?? Math.abs(outcome - pointOf(loss, row, j));
}
