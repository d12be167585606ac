/** What all optimisers can do beside their update: clip, accumulate, average, treat groups apart. */
import { wrongKind, wrongValue } from './errors';
import type { NativeOptimizerConfig, NativeParameterInfo } from './native';
import type { MonitoredSchedule, Schedule } from './schedules';
import {
  checkNumber,
  checkText,
  custom,
  integer,
  isRecord,
  nearest,
  number,
  oneOf,
  optional,
  parseOptions,
} from './validate';

/** Parameters that are trained otherwise than the rest. */
export interface ParameterGroup {
  /**
   * Which ones: the name of a layer (`lstm`), or of a parameter (`lstm.weight_hh_l0`), in which `*`
   * stands for any characters (`*.bias_*`); or a regular expression that names are tested with.
   * A parameter belongs to the first group that matches.
   */
  match: string | RegExp;
  /** What the learning rate is multiplied by; 0 leaves the parameters as they are. Default 1. */
  learningRateFactor?: number;
  /** Default: that of the optimiser. Biases and norms decay if this is given. */
  weightDecay?: number;
}

/** A running mean of the weights over updates; read it by `model.getWeights({ averaged: true })`. */
export interface AveragingOptions {
  /**
   * `ema`: exponential, mean = decay · mean + (1 - decay) · weights (Polyak and Juditsky 1992);
   * `swa`: equal shares (stochastic weight averaging; Izmailov et al. 2018). Required. The first
   * weights that count are the first mean, as in PyTorch's `AveragedModel`.
   */
  kind: 'ema' | 'swa';
  /** Of `ema`. Default 0.999. */
  decay?: number;
  /** Updates before those that count. Default 0. */
  start?: number;
  /** Count every so many updates. Default 1. */
  every?: number;
}

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
  /**
   * Batches whose gradients make one update: their mean, weighted by rows of targets, as if they
   * were one batch. What is begun at the end of an epoch goes on in the next. Default 1.
   */
  accumulateSteps?: number;
  /** Parameters with learning rates and decays of their own. Default none. */
  groups?: readonly ParameterGroup[];
  /** A running mean of the weights. Default: off. */
  averaging?: AveragingOptions;
}

export function isMonitored(value: unknown): value is MonitoredSchedule {
  return isRecord(value) && typeof value['observe'] === 'function' && isRecord(value['start']);
}

/** A learning rate in any form. */
export function scheduleField(fallback: number) {
  return custom<number | Schedule | MonitoredSchedule>((value, label) => {
    if (typeof value === 'function') return value as Schedule;
    if (isMonitored(value)) return value;
    if (typeof value !== 'number') throw wrongKind('a number or a schedule', label, value);
    return checkNumber(value, label, { min: 0 });
  }, fallback);
}

const MAX_STEPS = 2 ** 31;

const groupSchema = {
  match: custom<string | RegExp>((value, label) =>
    isRegExp(value) ? value : checkText(value, label),
  ),
  learningRateFactor: number({ min: 0 }, 1),
  weightDecay: optional(number({ min: 0 })),
};

/** A group, checked. */
export type Group = ReturnType<typeof parseOptions<typeof groupSchema>>;

const averagingSchema = {
  kind: oneOf(['ema', 'swa'] as const),
  decay: number({ min: 0, below: 1 }, 0.999),
  start: integer(0, MAX_STEPS, 0),
  every: integer(1, MAX_STEPS, 1),
};

// Regular expressions of another realm are no instances of this one's class.
function isRegExp(value: unknown): value is RegExp {
  return Object.prototype.toString.call(value) === '[object RegExp]';
}

/** Fields of the schemas of all optimisers, beside the learning rate. */
export const common = {
  clipNorm: number({ min: 0 }, 0),
  clipValue: number({ min: 0 }, 0),
  accumulateSteps: integer(1, MAX_STEPS, 1),
  groups: custom<Group[]>((value, label) => {
    if (!Array.isArray(value)) throw wrongKind('an array of groups', label, value);
    return value.map((group, i) => parseOptions(`${label}[${i}]`, group, groupSchema));
  }, []),
  averaging: optional(
    custom((value, label) => {
      if (!isRecord(value)) throw wrongKind('an options object', label, value);
      return parseOptions(label, value, averagingSchema);
    }),
  ),
};

/** Options as {@link common} reads them. */
export interface CommonOptions {
  clipNorm: number;
  clipValue: number;
  accumulateSteps: number;
  groups: Group[];
  averaging: ReturnType<typeof parseOptions<typeof averagingSchema>> | undefined;
}

/** The core's fields for what all optimisers share, but for the groups. */
export function nativeCommon({ clipNorm, clipValue, accumulateSteps, averaging }: CommonOptions) {
  return {
    clipNorm,
    clipValue,
    accumulateSteps,
    averaging: averaging?.kind ?? ('none' as const),
    averageDecay: averaging?.decay ?? 0,
    averageStart: averaging?.start ?? 0,
    averageEvery: averaging?.every ?? 1,
  };
}

function matches({ match }: Group, name: string): boolean {
  if (typeof match !== 'string') return name.search(match) >= 0;
  const pattern = match.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${pattern}(\\..*)?$`).test(name);
}

/**
 * Factors and decays by parameter.
 *
 * @throws RangeError for a group that matches nothing
 */
export function nativeGroups(
  groups: readonly Group[],
  parameters: readonly NativeParameterInfo[],
): Pick<NativeOptimizerConfig, 'rateFactors' | 'weightDecays'> {
  if (groups.length === 0) {
    return { rateFactors: new Float64Array(), weightDecays: new Float64Array() };
  }
  groups.forEach((group, i) => {
    if (parameters.some(({ name }) => matches(group, name))) return;
    const layers = [...new Set(parameters.map(({ name }) => name.slice(0, name.indexOf('.'))))];
    const near = typeof group.match === 'string' ? nearest(group.match, layers) : undefined;
    const advice =
      near === undefined
        ? `parameters are ${parameters.map(({ name }) => name).join(', ')}`
        : `did you mean "${near}"?`;
    throw wrongValue(
      'a match for a parameter of the model',
      `optimizer.groups[${i}].match`,
      typeof group.match === 'string' ? group.match : String(group.match),
      advice,
    );
  });
  const own = parameters.map(({ name }) => groups.find((group) => matches(group, name)));
  return {
    rateFactors: Float64Array.from(own, (group) => group?.learningRateFactor ?? 1),
    weightDecays: Float64Array.from(own, (group) => group?.weightDecay ?? -1),
  };
}
