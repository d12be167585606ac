/**
 * How often a decoder is fed the true token in training, not its own guess: schedules of scheduled
 * sampling (Bengio, Vinyals, Jaitly and Shazeer 2015, section 2.4). Pure functions of the step, step 0
 * first.
 */
import { wrongValue } from '../errors';
import { checkNumber, integer, number, parseOptions } from '../validate';

/** The probability of the true token at a step; steps are batches, counted from 0 over all epochs. */
export type TeacherForcing = (step: number) => number;

const share = { min: 0, max: 1 };

/** The same probability at every step: 1 is teacher forcing, 0 feeds the model's guesses alone. */
export function constant(probability: number): TeacherForcing {
  checkNumber(probability, 'probability', share);
  return () => probability;
}

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Steps from the first probability to the last. Required. */
  steps: number;
  /** The first probability. Default 1. */
  from?: number;
  /** The last, and that of all further steps. Default 0. */
  to?: number;
}

/** from - (from - to) · step / steps, then `to`. */
export function linear(options: LinearOptions): TeacherForcing {
  const { steps, from, to } = parseOptions('teacherForcing.linear', options, {
    steps: integer(1, Number.MAX_SAFE_INTEGER),
    from: number(share, 1),
    to: number(share, 0),
  });
  if (to > from) {
    throw wrongValue(`at most from, ${from},`, 'teacherForcing.linear.to', to);
  }
  return (step) => (step < steps ? from - ((from - to) * step) / steps : to);
}

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  /** What the probability is multiplied by from step to step: above 0, below 1. Required. */
  k: number;
}

/** k^step. */
export function exponential(options: ExponentialOptions): TeacherForcing {
  const { k } = parseOptions('teacherForcing.exponential', options, {
    k: number({ above: 0, below: 1 }),
  });
  return (step) => k ** step;
}

/** Options of {@link inverseSigmoid}. */
export interface InverseSigmoidOptions {
  /** Speed: at 1 or above; the probability is 1/2 at step k · ln k. Required. */
  k: number;
}

/** k / (k + exp(step / k)). */
export function inverseSigmoid(options: InverseSigmoidOptions): TeacherForcing {
  const { k } = parseOptions('teacherForcing.inverseSigmoid', options, { k: number({ min: 1 }) });
  return (step) => k / (k + Math.exp(step / k));
}
