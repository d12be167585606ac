/** A learning rate that falls when a metric stops getting better. */
import { wrongValue } from './errors';
import {
  checkNumber,
  checkText,
  custom,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
} from './validate';

/** Where a {@link plateau} schedule stands: a plain value that can be stored. */
export interface PlateauState {
  /** The rate of the steps to come. */
  rate: number;
  /** The best value so far; null before the first. */
  best: number | null;
  /** Epochs in a row that were not better. */
  waited: number;
  /** Epochs for which it does not count yet. */
  cooling: number;
}

/**
 * A schedule that follows a metric from epoch to epoch. It has no state of its own: that lives in
 * the model that trains with it, beside the optimiser's, so that models do not disturb each other.
 */
export interface MonitoredSchedule {
  /** The metric; undefined: `valLoss` where there is validation, else `loss`. */
  readonly monitor: string | undefined;
  readonly start: PlateauState;
  /** The state after an epoch in which the metric had that value. */
  readonly observe: (state: PlateauState, metric: string, value: number) => PlateauState;
}

/** Options of {@link plateau}. */
export interface PlateauOptions {
  /** The first rate. Required. */
  learningRate: number;
  /**
   * What is watched, by its name in `onEpoch`: `loss`, `valLoss`, a metric such as `valAccuracy`.
   * Default: `valLoss` where there is validation, else `loss`.
   */
  monitor?: string;
  /**
   * Whether less or more is better. Default: less for losses, errors and perplexities, more for the
   * others.
   */
  mode?: 'min' | 'max';
  /** What the rate is multiplied by. Default 0.1. */
  factor?: number;
  /** Epochs without improvement that are borne. Default 10. */
  patience?: number;
  /** How much better is better. Default 1e-4. */
  threshold?: number;
  /** Whether the threshold is a share of the best value, or a difference. Default `relative`. */
  thresholdMode?: 'relative' | 'absolute';
  /** Epochs after a fall in which nothing is counted. Default 0. */
  cooldown?: number;
  /** The lowest rate. Default 0. */
  minimum?: number;
}

/** Metrics of which more is better. */
const HIGHER_IS_BETTER = /accuracy|precision|recall|f1|auc/i;

/** A change of the rate below this is none, as in PyTorch. */
const SMALLEST_CHANGE = 1e-8;

/**
 * The rate is multiplied by `factor` when a metric was not better than its best by `threshold` for
 * more than `patience` epochs in a row: PyTorch's `ReduceLROnPlateau`, step for step. NaN is never
 * better. Validate (`validationData`, `validationSplit`) to watch what matters.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function plateau(options: PlateauOptions): MonitoredSchedule {
  const read = parseOptions('schedules.plateau', options, {
    learningRate: number({ min: 0 }),
    monitor: optional(custom(checkText)),
    mode: optional(oneOf(['min', 'max'] as const)),
    factor: number({ above: 0, below: 1 }, 0.1),
    patience: integer(0, Number.MAX_SAFE_INTEGER, 10),
    threshold: number({ min: 0 }, 1e-4),
    thresholdMode: oneOf(['relative', 'absolute'] as const, 'relative'),
    cooldown: integer(0, Number.MAX_SAFE_INTEGER, 0),
    minimum: number({ min: 0 }, 0),
  });
  const { monitor, factor, patience, threshold, cooldown, minimum } = read;
  checkNumber(minimum, 'schedules.plateau.minimum', { min: 0, max: read.learningRate });

  const isBetter = (value: number, best: number | null, metric: string): boolean => {
    if (best === null) return !Number.isNaN(value);
    const mode = read.mode ?? (HIGHER_IS_BETTER.test(metric) ? 'max' : 'min');
    const sign = mode === 'max' ? 1 : -1;
    const bound =
      read.thresholdMode === 'absolute' ? best + sign * threshold : best * (1 + sign * threshold);
    return mode === 'max' ? value > bound : value < bound;
  };
  const observe = (state: PlateauState, metric: string, value: number): PlateauState => {
    let { rate, best, waited, cooling } = state;
    if (isBetter(value, best, metric)) {
      best = value;
      waited = 0;
    } else {
      waited++;
    }
    if (cooling > 0) {
      cooling--;
      waited = 0;
    }
    if (waited > patience) {
      const lower = Math.max(rate * factor, minimum);
      if (rate - lower > SMALLEST_CHANGE) rate = lower;
      cooling = cooldown;
      waited = 0;
    }
    return { rate, best, waited, cooling };
  };
  const start = Object.freeze({ rate: read.learningRate, best: null, waited: 0, cooling: 0 });
  return Object.freeze({ monitor, start, observe });
}

/** Where a schedule begins, if it follows a metric. */
export function startOf(schedule: unknown): PlateauState | undefined {
  return typeof schedule === 'function' ? undefined : (schedule as MonitoredSchedule).start;
}

/**
 * What to call with the scores of each epoch; it moves the state of a schedule that follows one.
 *
 * @param reported the names of the scores that the run reports
 * @throws RangeError for a metric that the run will not report
 */
export function monitoring(
  training: {
    optimizer: { learningRate: unknown };
    plateau: PlateauState | undefined;
  },
  reported: readonly string[],
): (scores: object) => void {
  const schedule = training.optimizer.learningRate;
  if (typeof schedule === 'function') return () => undefined;
  const { monitor, observe } = schedule as MonitoredSchedule;
  const name = monitor ?? (reported.includes('valLoss') ? 'valLoss' : 'loss');
  if (!reported.includes(name)) {
    const advice = `this run reports ${reported.join(', ')}; ask for more by "metrics" or validation data`;
    throw wrongValue('a metric of the run', 'schedules.plateau.monitor', name, advice);
  }
  return (scores) => {
    const value = (scores as Record<string, number>)[name]!;
    training.plateau = observe(training.plateau!, name, value);
  };
}
