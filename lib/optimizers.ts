/** Optimisers: their options, defaults, and the form that the core takes. */
import { wrongKind } from './errors';
import type { NativeOptimizerConfig } from './native';
import type { MonitoredSchedule, Schedule } from './schedules';
import { checkNumber, checkOneOf, custom, flag, isRecord, number, parseOptions } from './validate';

/** Options of every optimiser. */
export interface OptimizerOptions {
  /**
   * A number, or a function from the step (0, 1, … over all epochs) to the rate: one of
   * `schedules`, or your own; or `schedules.plateau`, which follows a metric.
   */
  learningRate?: number | Schedule | MonitoredSchedule;
  /** Scale all gradients so that their global norm is at most this. Default: off. */
  clipNorm?: number;
  /** Clamp each gradient to ± this, after `clipNorm`. Default: off. */
  clipValue?: number;
}

/** Options of {@link sgd}; the default learning rate is 0.01. */
export interface SgdOptions extends OptimizerOptions {
  /** Default 0. */
  momentum?: number;
  /** Nesterov's form of momentum. Default false. */
  nesterov?: boolean;
  /** L2 penalty: adds weightDecay · p to the gradient. Default 0. */
  weightDecay?: number;
}

/** Options of {@link rmsprop}; the default learning rate is 0.001. */
export interface RmspropOptions extends OptimizerOptions {
  /** Decay of the mean square. Default 0.9, as in Keras; PyTorch's alpha is 0.99. */
  rho?: number;
  /** Default 0. */
  momentum?: number;
  /** Default 1e-7. */
  epsilon?: number;
  /** L2 penalty. Default 0. */
  weightDecay?: number;
}

/** Options of {@link adam}; the default learning rate is 0.001. */
export interface AdamOptions extends OptimizerOptions {
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Added to the root of the corrected second moment. Default 1e-8, as in PyTorch. */
  epsilon?: number;
}

/** Options of {@link adamw}; the default learning rate is 0.001. */
export interface AdamwOptions extends AdamOptions {
  /** Each step first multiplies parameters by 1 - learningRate · weightDecay. Default 0.01. */
  weightDecay?: number;
  /** Also decay biases and the scales of layer norms. Default false; PyTorch decays them. */
  decayAll?: boolean;
}

/**
 * An optimiser's options. Its momentum lives in the model that trains with it: a further `fit`
 * with the same object goes on where the last one ended, another object starts afresh.
 */
export interface Optimizer {
  readonly kind: 'sgd' | 'rmsprop' | 'adam' | 'adamw';
  readonly learningRate: Schedule | MonitoredSchedule;
  /** @internal */
  readonly native: Readonly<NativeOptimizerConfig>;
}

function isMonitored(value: unknown): value is MonitoredSchedule {
  return isRecord(value) && typeof value['observe'] === 'function' && isRecord(value['start']);
}

function scheduleField(fallback: number) {
  return custom<number | Schedule | MonitoredSchedule>((value, label) => {
    if (typeof value === 'function') return value as Schedule;
    if (isMonitored(value)) return value;
    if (typeof value !== 'number') throw wrongKind('a number or a schedule', label, value);
    return checkNumber(value, label, { min: 0 });
  }, fallback);
}

const clipping = { clipNorm: number({ min: 0 }, 0), clipValue: number({ min: 0 }, 0) };
const fraction = (fallback: number) => number({ min: 0, below: 1 }, fallback);

const NONE: NativeOptimizerConfig = {
  kind: 'sgd',
  momentum: 0,
  nesterov: false,
  rho: 0,
  beta1: 0,
  beta2: 0,
  epsilon: 0,
  weightDecay: 0,
  decayAll: false,
  clipNorm: 0,
  clipValue: 0,
};

function make(
  kind: Optimizer['kind'],
  options: { learningRate: number | Schedule | MonitoredSchedule } & Partial<NativeOptimizerConfig>,
): Optimizer {
  const { learningRate, ...rest } = options;
  const schedule = typeof learningRate === 'number' ? () => learningRate : learningRate;
  const native = { ...NONE, ...rest, kind: kind === 'adamw' ? ('adam' as const) : kind };
  return Object.freeze({ kind, learningRate: schedule, native: Object.freeze(native) });
}

/**
 * Stochastic gradient descent: m = momentum · m + g; p -= learningRate · m (Nesterov:
 * g + momentum · m).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const read = parseOptions('sgd', options, {
    learningRate: scheduleField(0.01),
    momentum: fraction(0),
    nesterov: flag(false),
    weightDecay: number({ min: 0 }, 0),
    ...clipping,
  });
  if (read.nesterov && read.momentum === 0) {
    throw wrongKind('a momentum above 0', 'sgd.nesterov', true, 'nesterov needs momentum');
  }
  return make('sgd', { ...read, decayAll: true });
}

/**
 * RMSprop (Tieleman and Hinton 2012): v = rho · v + (1 - rho) g²;
 * p -= learningRate · g / (√v + epsilon).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const read = parseOptions('rmsprop', options, {
    learningRate: scheduleField(1e-3),
    rho: fraction(0.9),
    momentum: fraction(0),
    epsilon: number({ above: 0 }, 1e-7),
    weightDecay: number({ min: 0 }, 0),
    ...clipping,
  });
  return make('rmsprop', { ...read, decayAll: true });
}

const adamSchema = {
  learningRate: scheduleField(1e-3),
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  epsilon: number({ above: 0 }, 1e-8),
  ...clipping,
};

/**
 * Adam (Kingma and Ba 2015).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return make('adam', parseOptions('adam', options, adamSchema));
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function adamw(options: AdamwOptions = {}): Optimizer {
  const read = parseOptions('adamw', options, {
    ...adamSchema,
    weightDecay: number({ min: 0 }, 0.01),
    decayAll: flag(false),
  });
  return make('adamw', read);
}

const BY_NAME = { sgd, rmsprop, adam, adamw };

/** Names that stand for an optimiser with its defaults. */
export type OptimizerName = keyof typeof BY_NAME;

/**
 * @param given an optimiser, or the name of one with its defaults
 * @throws TypeError, RangeError for anything else
 */
export function resolveOptimizer(given: unknown): Optimizer {
  if (typeof given === 'string') {
    return BY_NAME[checkOneOf(given, 'optimizer', Object.keys(BY_NAME) as OptimizerName[])]();
  }
  const optimizer = given as Optimizer | null;
  if (
    typeof optimizer !== 'object' ||
    typeof optimizer?.native !== 'object' ||
    !(typeof optimizer.learningRate === 'function' || isMonitored(optimizer.learningRate))
  ) {
    throw wrongKind('an optimizer or the name of one', 'optimizer', given);
  }
  return optimizer;
}
