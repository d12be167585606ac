/** Optimisers: their options, defaults, and the form that the core takes. */
import { wrongKind, wrongValue } from './errors';
import type { NativeOptimizerConfig, NativeParameterInfo } from './native';
import {
  common,
  isMonitored,
  nativeCommon,
  nativeGroups,
  scheduleField,
} from './optimizer-options';
import type { CommonOptions, Group, OptimizerOptions } from './optimizer-options';
import type { MonitoredSchedule, Schedule } from './schedules';
import { checkOneOf, flag, integer, number, parseOptions } from './validate';

export type { AveragingOptions, OptimizerOptions, ParameterGroup } from './optimizer-options';

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

/** Options of {@link adagrad}; the default learning rate is 0.01. */
export interface AdagradOptions extends OptimizerOptions {
  /** What the sums of squares begin with. Default 0, as in PyTorch; Keras has 0.1. */
  initialAccumulator?: number;
  /** Default 1e-10. */
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

/** Weight decay apart from the gradient. */
export interface DecoupledDecayOptions {
  /**
   * Each step first multiplies parameters by 1 - learningRate · weightDecay. Default 0.01 for
   * {@link adamw}, 0 for others.
   */
  weightDecay?: number;
  /** Also decay biases and the scales of layer norms. Default false; PyTorch decays them. */
  decayAll?: boolean;
}

/** Options of {@link adamw}; the default learning rate is 0.001. */
export interface AdamwOptions extends AdamOptions, DecoupledDecayOptions {}

/** Options of {@link nadam}; the default learning rate is 0.002. */
export interface NadamOptions extends AdamOptions, DecoupledDecayOptions {
  /** How fast the momentum rises to `beta1`. Default 0.004. */
  momentumDecay?: number;
}

/** Options of {@link radam}; the default learning rate is 0.001. */
export interface RadamOptions extends AdamOptions, DecoupledDecayOptions {}

/** Options of {@link lion}; the default learning rate is 0.0001. */
export interface LionOptions extends OptimizerOptions, DecoupledDecayOptions {
  /** Share of the momentum in the step. Default 0.9. */
  beta1?: number;
  /** Decay of the momentum. Default 0.99. */
  beta2?: number;
}

/** Options of {@link scheduleFreeAdamw}; the default learning rate is 0.0025. */
export interface ScheduleFreeAdamwOptions extends AdamOptions, DecoupledDecayOptions {
  /** Updates over which the rate rises linearly. Default 0; the paper advises some. */
  warmupSteps?: number;
}

/**
 * An optimiser's options. Its momentum lives in the model that trains with it: a further `fit`
 * with the same object goes on where the last one ended, another object starts afresh.
 */
export interface Optimizer {
  readonly kind: OptimizerName;
  readonly learningRate: Schedule | MonitoredSchedule;
  /** @internal */
  readonly native: Readonly<Omit<NativeOptimizerConfig, 'rateFactors' | 'weightDecays'>>;
  /** @internal */
  readonly groups: readonly Group[];
}

const fraction = (fallback: number) => number({ min: 0, below: 1 }, fallback);
const decay = (fallback: number) => number({ min: 0 }, fallback);

const NONE = {
  momentum: 0,
  nesterov: false,
  rho: 0,
  beta1: 0,
  beta2: 0,
  epsilon: 0,
  weightDecay: 0,
  decayAll: false,
  momentumDecay: 0,
  initialAccumulator: 0,
};

type Own = Partial<Omit<typeof NONE, 'nesterov' | 'decayAll'>> & {
  nesterov?: boolean;
  decayAll?: boolean;
};

/** Optimisers whose momentum a schedule may move, and what they call it. */
const MOMENTUM: Partial<Record<OptimizerName, 'momentum' | 'beta1'>> = {
  sgd: 'momentum',
  rmsprop: 'momentum',
  adam: 'beta1',
  adamw: 'beta1',
  radam: 'beta1',
  lion: 'beta1',
};

/** @throws TypeError, RangeError when the schedule moves a momentum that the optimiser has not */
function checkMomentum(
  kind: OptimizerName,
  { learningRate, momentum = 0 }: { learningRate: unknown; momentum?: number },
): void {
  if (typeof learningRate !== 'function') return;
  const { momentum: schedule } = learningRate as Schedule;
  if (schedule === undefined) return;
  if (typeof schedule !== 'function') {
    throw wrongKind('a function of the step', `${kind}.learningRate.momentum`, schedule);
  }
  const moved = MOMENTUM[kind];
  if (moved === undefined) {
    const names = Object.keys(MOMENTUM).join(', ');
    const advice = `those with a momentum that a schedule may move are ${names}`;
    throw wrongKind('a schedule of the rate alone', `${kind}.learningRate`, learningRate, advice);
  }
  if (moved === 'momentum' && momentum === 0) {
    const advice = 'the schedule moves it, so the optimizer must keep one; for example 0.9';
    throw wrongValue('a momentum above 0', `${kind}.momentum`, momentum, advice);
  }
}

function make(
  kind: OptimizerName,
  options: { learningRate: number | Schedule | MonitoredSchedule } & CommonOptions & Own,
): Optimizer {
  const { learningRate, groups, ...rest } = options;
  checkMomentum(kind, options);
  const schedule = typeof learningRate === 'number' ? () => learningRate : learningRate;
  const native = {
    ...NONE,
    ...rest,
    ...nativeCommon(options),
    kind: kind === 'adamw' ? ('adam' as const) : kind,
  };
  return Object.freeze({ kind, learningRate: schedule, native: Object.freeze(native), groups });
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
    weightDecay: decay(0),
    ...common,
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
    weightDecay: decay(0),
    ...common,
  });
  return make('rmsprop', { ...read, decayAll: true });
}

/**
 * Adagrad (Duchi, Hazan and Singer 2011): v += g²; p -= learningRate · g / (√v + epsilon). For
 * gradients that are rarely there, as of embeddings.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const read = parseOptions('adagrad', options, {
    learningRate: scheduleField(1e-2),
    initialAccumulator: number({ min: 0 }, 0),
    epsilon: number({ above: 0 }, 1e-10),
    weightDecay: decay(0),
    ...common,
  });
  return make('adagrad', { ...read, decayAll: true });
}

const adamSchema = {
  learningRate: scheduleField(1e-3),
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  epsilon: number({ above: 0 }, 1e-8),
  ...common,
};

const decoupled = { weightDecay: decay(0), decayAll: flag(false) };

/**
 * Adam (Kingma and Ba 2015).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const read = parseOptions('adam', options, adamSchema);
  read.groups.forEach(({ weightDecay }, i) => {
    if (weightDecay === undefined) return;
    throw wrongKind('nothing', `adam.groups[${i}].weightDecay`, weightDecay, 'adamw decays');
  });
  return make('adam', read);
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function adamw(options: AdamwOptions = {}): Optimizer {
  const schema = { ...adamSchema, ...decoupled, weightDecay: decay(0.01) };
  return make('adamw', parseOptions('adamw', options, schema));
}

/**
 * Adam with Nesterov's momentum (Dozat 2016), as PyTorch's `NAdam` with
 * `decoupled_weight_decay=True`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function nadam(options: NadamOptions = {}): Optimizer {
  const read = parseOptions('nadam', options, {
    ...adamSchema,
    ...decoupled,
    learningRate: scheduleField(2e-3),
    momentumDecay: number({ min: 0 }, 0.004),
  });
  return make('nadam', read);
}

/**
 * Rectified Adam (Liu et al. 2020): plain momentum while too few gradients were seen to know their
 * variance, then Adam, at first with smaller steps; a warm-up without a schedule. As PyTorch's
 * `RAdam` with `decoupled_weight_decay=True`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function radam(options: RadamOptions = {}): Optimizer {
  return make('radam', parseOptions('radam', options, { ...adamSchema, ...decoupled }));
}

/**
 * Lion (Chen et al. 2023): p -= learningRate · sign(beta1 · m + (1 - beta1) g);
 * m = beta2 · m + (1 - beta2) g. Half the memory of Adam; it wants a rate some 3 to 10 times lower
 * and a weight decay as much higher.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function lion(options: LionOptions = {}): Optimizer {
  const read = parseOptions('lion', options, {
    learningRate: scheduleField(1e-4),
    beta1: fraction(0.9),
    beta2: fraction(0.99),
    ...decoupled,
    ...common,
  });
  return make('lion', read);
}

/**
 * AdamW without a schedule (Defazio et al. 2024): a mean of the iterates z takes the place of a
 * falling rate. Gradients are taken at (1 - beta1) z + beta1 · mean; the model's weights are the
 * mean whenever a callback, `predict`, `save` or `evaluate` looks at them, so that nothing needs to
 * be switched. Keep the rate constant; `warmupSteps` helps.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function scheduleFreeAdamw(options: ScheduleFreeAdamwOptions = {}): Optimizer {
  const { warmupSteps, learningRate, ...read } = parseOptions('scheduleFreeAdamw', options, {
    ...adamSchema,
    ...decoupled,
    learningRate: scheduleField(2.5e-3),
    beta1: number({ above: 0, below: 1 }, 0.9),
    warmupSteps: integer(0, 2 ** 31, 0),
  });
  if (warmupSteps === 0) return make('scheduleFreeAdamw', { ...read, learningRate });
  if (typeof learningRate !== 'number') {
    const label = 'scheduleFreeAdamw.warmupSteps';
    throw wrongKind('nothing beside a schedule', label, warmupSteps, 'let the schedule rise');
  }
  const rise: Schedule = (at) => learningRate * Math.min(1, (at + 1) / warmupSteps);
  return make('scheduleFreeAdamw', { ...read, learningRate: rise });
}

const BY_NAME = { sgd, rmsprop, adagrad, adam, adamw, nadam, radam, lion, scheduleFreeAdamw };

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

/**
 * An optimiser as the core takes it for a model with these parameters.
 *
 * @throws RangeError for a group that matches none of them
 */
export function nativeOptimizer(
  { native, groups }: Optimizer,
  parameters: readonly NativeParameterInfo[],
): NativeOptimizerConfig {
  return { ...native, ...nativeGroups(groups, parameters) };
}
