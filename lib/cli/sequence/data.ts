/** The data of a run: what is learnt, what is held out, and what the model must look like. */
import type { LossOptions } from '../../index';
import { RandomSequence } from '../../rng';
import { Failure } from '../failures';
import {
  checkLength,
  naiveErrors,
  readSeries,
  scalingOf,
  startsBetween,
  windowsOf,
} from './forecasting';
import type { ForecastSpec, Series } from './forecasting';
import { checkLabelled, inputsOf, readSamples, specOf, targetsOf } from './labelling';
import type { LabelFields, LabelSpec, Sample } from './labelling';
import type { ModelShape, Spec } from './model';
import type { ForecastValues, LabelValues, SequenceValues } from './settings';

/** Inputs and targets as `fit` takes them. */
export interface Pairs {
  x: unknown;
  y: unknown;
  samples: number;
}

/** A task's data, prepared. */
export interface RunData {
  spec: Spec;
  training: Pairs;
  validation: Pairs | undefined;
  loss: LossOptions;
  /** Of the validation, when nobody asks for others. */
  metrics: unknown[];
  shape: ModelShape;
  /** For people. */
  summary: string;
}

/** Numbers that a loss predicts of each target. */
function predictionsOf({ kind, quantiles = [0.5] }: LossOptions): number {
  if (kind === 'quantile') return quantiles.length;
  if (kind === 'studentT') return 3;
  return kind === 'gaussian' || kind === 'negativeBinomial' ? 2 : 1;
}

/** The first row whose horizon is held out. */
export function heldFrom(rows: number, validation: number): number {
  return rows - Math.floor(rows * validation);
}

/** Starts of the horizons that are held out, one after the other; none before a context. */
export function heldStarts(series: Series, spec: ForecastSpec, validation: number): number[] {
  const { length } = series.values;
  const begin = Math.max(spec.context, heldFrom(length, validation));
  return startsBetween(begin, length, spec.horizon, spec.horizon);
}

const POINT: readonly string[] = ['meanSquaredError', 'meanAbsoluteError', 'huber'];
const LIKELIHOODS: readonly string[] = ['gaussian', 'studentT', 'negativeBinomial', 'quantile'];

async function forecastData(values: ForecastValues): Promise<RunData> {
  const { target, features = [], time = null, context, horizon, season, validation } = values;
  const loss = values.loss ?? { kind: 'gaussian' as const };
  if (![...POINT, ...LIKELIHOODS].includes(loss.kind)) {
    throw new Failure(
      `Expected one of ${[...POINT, ...LIKELIHOODS].join(', ')} for "loss" but received "${loss.kind}"`,
      'ERR_USAGE',
    );
  }
  if (loss.kind === 'negativeBinomial' && values.scaling !== 'none') {
    throw new Failure(
      'The loss "negativeBinomial" is of counts: set "scaling" to none',
      'ERR_USAGE',
    );
  }
  const series = await readSeries(values.data, { target, features, time });
  const rows = series.values.length;
  const cut = heldFrom(rows, validation);
  checkLength(series, cut, context + horizon, 'what is not held out needs');
  const learnt = series.values.slice(0, cut);
  const spec: ForecastSpec = {
    kind: 'forecast',
    target,
    features,
    time,
    context,
    horizon,
    loss,
    ...scalingOf(learnt, values.scaling),
    naive: naiveErrors(learnt, Math.min(season, cut - 1)).slice(0, target.length),
    season,
  };
  const training = windowsOf(series, spec, startsBetween(context, cut, horizon));
  const begin = Math.max(cut, context);
  const starts = startsBetween(begin, rows, horizon);
  const held = starts.length === 0 ? undefined : windowsOf(series, spec, starts);
  return {
    spec,
    training: { ...training, samples: training.starts.length },
    validation: held && { ...held, samples: starts.length },
    loss,
    metrics: LIKELIHOODS.includes(loss.kind) ? ['mae', 'crps'] : ['mae', 'rmse'],
    shape: {
      vocabulary: null,
      width: target.length + features.length,
      outputs: horizon * target.length * predictionsOf(loss),
      timed: false,
    },
    summary: `${rows} rows of ${[...target, ...features].join(', ')}; the last ${rows - cut} are held out`,
  };
}

/** Sequences in two: those that are learnt, and those held out, in an order of the seed's. */
export function splitSamples(
  samples: readonly Sample[],
  { validation, seed }: { validation: number; seed: number },
): { learnt: Sample[]; held: Sample[] } {
  // Files are often sorted by label.
  const order = new RandomSequence(seed, 0).permutation(samples.length);
  const cut = samples.length - Math.floor(samples.length * validation);
  const at = (index: number): Sample => samples[index]!;
  return {
    learnt: Array.from(order.subarray(0, cut), at),
    held: Array.from(order.subarray(cut), at),
  };
}

async function labelData(values: LabelValues): Promise<RunData> {
  const kind = values.task as LabelFields['kind'];
  const { input, label, features = null, group = null, tokens } = values;
  const samples = await readSamples(values.data, { kind, input, label, features, group, tokens });
  const fields = { kind, input, label, features, group, tokens };
  checkLabelled(samples, fields);
  // Classes of the whole file: one that is only held out is a class all the same.
  const { learnt, held } = splitSamples(samples, values);
  const spec: LabelSpec = { ...specOf(learnt, fields), classes: specOf(samples, fields).classes };
  const pairs = (part: readonly Sample[]): Pairs => ({
    x: inputsOf(part, spec),
    y: targetsOf(part, spec),
    samples: part.length,
  });
  return {
    spec,
    training: pairs(learnt),
    validation: held.length === 0 ? undefined : pairs(held),
    loss: { kind: 'sparseCategoricalCrossentropy' },
    metrics: ['accuracy', 'f1'],
    shape: {
      vocabulary: spec.vocab?.length ?? null,
      width: spec.width,
      outputs: spec.classes.length,
      timed: kind === 'tag',
    },
    summary:
      `${samples.length} sequences, ${spec.classes.length} labels` +
      `${spec.vocab === null ? '' : `, ${spec.vocab.length - 1} different tokens`}; ${held.length} are held out`,
  };
}

/** Reads and cuts the data of a run. */
export function readData(values: SequenceValues): Promise<RunData> {
  return 'horizon' in values ? forecastData(values) : labelData(values);
}
