/** Learning rates, and momenta, that change with the step: pure functions, step 0 first. */
import { checkInteger, checkNumber, flag, integer, number, oneOf, parseOptions } from './validate';

export { plateau } from './plateau';
export type { MonitoredSchedule, PlateauOptions, PlateauState } from './plateau';

/** The learning rate of a step; steps count from 0 over all epochs. */
export interface Schedule {
  (step: number): number;
  /**
   * The momentum of a step, in [0, 1), in place of the optimiser's own: `momentum` of `sgd` and
   * `rmsprop`, `beta1` of `adam`, `adamw`, `radam` and `lion`. Default: the optimiser's.
   */
  readonly momentum?: (step: number) => number;
}

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

/** Options of {@link polynomial}. */
export interface PolynomialOptions {
  /** The highest rate. Required. */
  learningRate: number;
  /** Steps until the rate stands at `minimum`, warm-up included. Required. */
  totalSteps: number;
  /** 1 is a straight line. Default 1. */
  power?: number;
  /** Steps over which the rate rises. Default 0. */
  warmupSteps?: number;
  /** The last rate, and that of all further steps. Default 0. */
  minimum?: number;
}

/**
 * A linear rise as in {@link cosine}, then a fall by a power of the part that is left. With
 * w = warmupSteps: minimum + (learningRate - minimum) · (1 - (s - w) / (totalSteps - w))^power.
 * Without warm-up and minimum it is PyTorch's `PolynomialLR`.
 */
export function polynomial(options: PolynomialOptions): Schedule {
  const { learningRate, totalSteps, power, warmupSteps, minimum } = parseOptions(
    'schedules.polynomial',
    options,
    {
      learningRate: rate,
      totalSteps: integer(1, MAX_STEPS),
      power: number({ above: 0 }, 1),
      warmupSteps: integer(0, MAX_STEPS, 0),
      minimum: number({ min: 0 }, 0),
    },
  );
  checkInteger(warmupSteps, 'schedules.polynomial.warmupSteps', 0, totalSteps);
  checkNumber(minimum, 'schedules.polynomial.minimum', { min: 0, max: learningRate });
  return (at) => {
    if (at < warmupSteps) return (learningRate * (at + 1)) / warmupSteps;
    if (at >= totalSteps) return minimum;
    const left = 1 - (at - warmupSteps) / (totalSteps - warmupSteps);
    return minimum + (learningRate - minimum) * left ** power;
  };
}

/** Options of {@link inverseSquareRoot}. */
export interface InverseSquareRootOptions {
  /** The highest rate, that of the last step of the warm-up. Required. */
  learningRate: number;
  /** Steps over which the rate rises. Required. */
  warmupSteps: number;
}

/**
 * A linear rise, then a fall with the root of the step (Vaswani et al. 2017, equation 3, with the
 * peak as the unit): learningRate · min(n / w, √(w / n)), n = s + 1 being the number of the step
 * and w = warmupSteps.
 */
export function inverseSquareRoot(options: InverseSquareRootOptions): Schedule {
  const { learningRate, warmupSteps } = parseOptions('schedules.inverseSquareRoot', options, {
    learningRate: rate,
    warmupSteps: integer(1, MAX_STEPS),
  });
  return (at) => {
    const n = at + 1;
    return learningRate * (n < warmupSteps ? n / warmupSteps : Math.sqrt(warmupSteps / n));
  };
}

/** Options of {@link warmRestarts}. */
export interface WarmRestartsOptions {
  /** The rate that the first period begins with. Required. */
  learningRate: number;
  /** Steps of the first period. Required. */
  period: number;
  /** What each period is longer than the one before, a whole number. Default 1. */
  periodFactor?: number;
  /** What the rate at the begin of a period is multiplied by from one to the next. Default 1. */
  peakFactor?: number;
  /** What a period falls towards. Default 0. */
  minimum?: number;
}

/**
 * Half a cosine wave down, again and again (SGDR; Loshchilov and Hutter 2017). In period k, of
 * length T = period · periodFactor^k, at its step t:
 * minimum + (learningRate · peakFactor^k - minimum) · (1 + cos(π t / T)) / 2, where a peak below
 * the minimum counts as the minimum.
 */
export function warmRestarts(options: WarmRestartsOptions): Schedule {
  const { learningRate, period, periodFactor, peakFactor, minimum } = parseOptions(
    'schedules.warmRestarts',
    options,
    {
      learningRate: rate,
      period: integer(1, MAX_STEPS),
      periodFactor: integer(1, 1000, 1),
      peakFactor: number({ above: 0, max: 1 }, 1),
      minimum: number({ min: 0 }, 0),
    },
  );
  checkNumber(minimum, 'schedules.warmRestarts.minimum', { min: 0, max: learningRate });
  return (at) => {
    let [cycle, length, within] = [0, period, at];
    if (periodFactor === 1) {
      cycle = Math.floor(at / period);
      within = at - cycle * period;
    } else {
      for (; within >= length; cycle++) {
        within -= length;
        length *= periodFactor;
      }
    }
    const peak = Math.max(minimum, learningRate * peakFactor ** cycle);
    return minimum + ((peak - minimum) * (1 + Math.cos((Math.PI * within) / length))) / 2;
  };
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions {
  /** The highest rate. Required. */
  learningRate: number;
  /** Steps of the cycle; further ones have the last one's rate. Required. */
  totalSteps: number;
  /** The share of the steps over which the rate rises. Default 0.3. */
  warmupFraction?: number;
  /** The form of rise and fall. Default `cosine`. */
  anneal?: 'cosine' | 'linear';
  /** Fall as long as the rise, to the first rate, before the last fall begins. Default false. */
  threePhase?: boolean;
  /** The first rate is learningRate / divFactor. Default 25. */
  divFactor?: number;
  /** The last rate is the first one / finalDivFactor. Default 1e4. */
  finalDivFactor?: number;
  /**
   * Let the momentum go the other way: it falls while the rate rises. Default false, unlike in
   * PyTorch. For optimisers that have one: `sgd` and `rmsprop` (with a `momentum` above 0), `adam`,
   * `adamw`, `radam`, `lion` (`beta1`).
   */
  cycleMomentum?: boolean;
  /** The lowest momentum, at the highest rate. Default 0.85. */
  baseMomentum?: number;
  /** The highest momentum, at the first rate and the last. Default 0.95. */
  maxMomentum?: number;
}

/**
 * One rise and one fall ("super-convergence"; Smith and Topin 2018), as PyTorch's `OneCycleLR`
 * steps it.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  const read = parseOptions('schedules.oneCycle', options, {
    learningRate: rate,
    totalSteps: integer(2, MAX_STEPS),
    warmupFraction: number({ above: 0, below: 1 }, 0.3),
    anneal: oneOf(['cosine', 'linear'] as const, 'cosine'),
    threePhase: flag(false),
    divFactor: number({ min: 1 }, 25),
    finalDivFactor: number({ min: 1 }, 1e4),
    cycleMomentum: flag(false),
    baseMomentum: number({ above: 0, below: 1 }, 0.85),
    maxMomentum: number({ above: 0, below: 1 }, 0.95),
  });
  const { learningRate: peak, totalSteps, anneal } = read;
  const first = peak / read.divFactor;
  const last = first / read.finalDivFactor;
  const { baseMomentum: low, maxMomentum: high } = read;
  checkNumber(low, 'schedules.oneCycle.baseMomentum', { above: 0, max: high });
  const rise = read.warmupFraction * totalSteps - 1;
  checkNumber(
    read.warmupFraction,
    'schedules.oneCycle.warmupFraction',
    // The rise must have a step, and so must every fall.
    { above: 1 / totalSteps, below: read.threePhase ? 0.5 : 1 },
  );
  const end = totalSteps - 1;
  const phases: Phase[] = read.threePhase
    ? [
        { until: rise, rate: [first, peak], momentum: [high, low] },
        { until: 2 * rise, rate: [peak, first], momentum: [low, high] },
        { until: end, rate: [first, last], momentum: [high, high] },
      ]
    : [
        { until: rise, rate: [first, peak], momentum: [high, low] },
        { until: end, rate: [peak, last], momentum: [low, high] },
      ];
  const along = (of: 'rate' | 'momentum') => (at: number) => {
    if (at >= end) return phases.at(-1)![of][1];
    const index = phases.findIndex(({ until }) => at <= until);
    const { until, [of]: span } = phases[index]!;
    const [from, to] = span;
    const begin = index === 0 ? 0 : phases[index - 1]!.until;
    const part = (at - begin) / (until - begin);
    if (anneal === 'linear') return from + (to - from) * part;
    return to + ((from - to) * (1 + Math.cos(Math.PI * part))) / 2;
  };
  const rateAt: Schedule = along('rate');
  return read.cycleMomentum ? Object.assign(rateAt, { momentum: along('momentum') }) : rateAt;
}

/** A part of a cycle, and what rate and momentum go from and to in it. */
interface Phase {
  until: number;
  rate: readonly [number, number];
  momentum: readonly [number, number];
}
