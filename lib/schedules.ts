/** Learning rates that change with the step: pure functions, step 0 first. */
import { checkInteger, checkNumber, integer, number, parseOptions } from './validate';

/** The learning rate of a step; steps count from 0 over all epochs. */
export type Schedule = (step: number) => number;

const MAX_STEPS = Number.MAX_SAFE_INTEGER;
const rate = number({ min: 0 });

/** The same rate at every step. */
export function constant(learningRate: number): Schedule {
  checkNumber(learningRate, 'learningRate', { min: 0 });
  return () => learningRate;
}

/** Options of {@link step}. */
export interface StepOptions {
  /** The first rate. Required. */
  learningRate: number;
  /** Steps between drops. Required. */
  every: number;
  /** What the rate is multiplied by. Default 0.1. */
  factor?: number;
}

/** learningRate · factor^⌊step / every⌋. */
export function step(options: StepOptions): Schedule {
  const { learningRate, every, factor } = parseOptions('schedules.step', options, {
    learningRate: rate,
    every: integer(1, MAX_STEPS),
    factor: number({ above: 0 }, 0.1),
  });
  return (at) => learningRate * factor ** Math.floor(at / every);
}

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  /** The first rate. Required. */
  learningRate: number;
  /** What the rate is multiplied by over `decaySteps`. Required. */
  decayRate: number;
  /** Default 1. */
  decaySteps?: number;
}

/** learningRate · decayRate^(step / decaySteps). */
export function exponential(options: ExponentialOptions): Schedule {
  const { learningRate, decayRate, decaySteps } = parseOptions('schedules.exponential', options, {
    learningRate: rate,
    decayRate: number({ above: 0 }),
    decaySteps: integer(1, MAX_STEPS, 1),
  });
  return (at) => learningRate * decayRate ** (at / decaySteps);
}

/** Options of {@link cosine}. */
export interface CosineOptions {
  /** The highest rate. Required. */
  learningRate: number;
  /** Steps until the rate stands at `minimum`, warm-up included. Required. */
  totalSteps: number;
  /** Steps over which the rate rises. Default 0. */
  warmupSteps?: number;
  /** The last rate, and that of all further steps. Default 0. */
  minimum?: number;
}

/**
 * A linear rise, then half a cosine wave down (Loshchilov and Hutter 2017). With w = warmupSteps:
 * learningRate · (s + 1) / w for s < w, then
 * minimum + (learningRate - minimum) · (1 + cos(π (s - w) / (totalSteps - w))) / 2.
 */
export function cosine(options: CosineOptions): Schedule {
  const { learningRate, totalSteps, warmupSteps, minimum } = parseOptions(
    'schedules.cosine',
    options,
    {
      learningRate: rate,
      totalSteps: integer(1, MAX_STEPS),
      warmupSteps: integer(0, MAX_STEPS, 0),
      minimum: number({ min: 0 }, 0),
    },
  );
  checkInteger(warmupSteps, 'schedules.cosine.warmupSteps', 0, totalSteps);
  checkNumber(minimum, 'schedules.cosine.minimum', { min: 0, max: learningRate });
  return (at) => {
    if (at < warmupSteps) return (learningRate * (at + 1)) / warmupSteps;
    if (at >= totalSteps) return minimum;
    const progress = (at - warmupSteps) / (totalSteps - warmupSteps);
    return minimum + ((learningRate - minimum) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}
