/** How good a model is on a file of data: scores, and what a report shows of them. */
import type { Model } from '../../index';
import { confusionMatrix, f1ByClass } from '../../measures/classification';
import {
  checkLength,
  forecasts,
  readSeries,
  scoresOf,
  startsBetween,
  windowsOf,
} from './forecasting';
import type { ForecastSpec, ForecastStep, Series } from './forecasting';
import { checkLabelled, inputsOf, labelsFor, readSamples, targetsOf } from './labelling';
import type { LabelSpec, Sample } from './labelling';

/** Forecasts one after the other, beside what came. */
export interface ForecastMeasure {
  scores: Record<string, number>;
  series: Series;
  starts: number[];
  steps: ForecastStep[][];
}

/** Forecasts whose horizons begin at the given rows. */
export async function measureForecasts(
  model: Model,
  spec: ForecastSpec,
  series: Series,
  starts: number[],
): Promise<ForecastMeasure> {
  const steps = await forecasts(model, spec, windowsOf(series, spec, starts));
  return { scores: scoresOf(series, spec, starts, steps), series, starts, steps };
}

/** The same over a whole file, one horizon after the other. */
export async function measureSeries(
  model: Model,
  spec: ForecastSpec,
  path: string,
): Promise<ForecastMeasure> {
  const series = await readSeries(path, spec);
  const { length } = series.values;
  const { context, horizon } = spec;
  checkLength(series, length, context + horizon, 'to measure takes');
  return measureForecasts(model, spec, series, startsBetween(context, length, horizon, horizon));
}

/** Scores over labels, and the confusion matrix. */
export interface LabelMeasure {
  scores: Record<string, number>;
  matrix: number[][];
  /** Of each class. */
  byClass: { precision: number; recall: number; f1: number; support: number }[];
}

/** Compares the model's labels with those of samples. */
export async function measureLabels(
  model: Model,
  spec: LabelSpec,
  samples: readonly Sample[],
): Promise<LabelMeasure> {
  checkLabelled(samples, spec);
  const targets = targetsOf(samples, spec);
  const { loss, accuracy, f1 } = await model.evaluate(
    inputsOf(samples, spec) as never,
    targets as never,
    { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy', 'f1'] },
  );
  const ids = new Map(spec.classes.map((name, i) => [name, i]));
  const given = (await labelsFor(model, samples, spec)).flat().map(({ label }) => ids.get(label)!);
  const options = { classes: spec.classes.length };
  const wanted = targets.flat() as number[];
  return {
    scores: { loss, accuracy: accuracy!, f1: f1! },
    matrix: confusionMatrix(wanted, given, options),
    byClass: f1ByClass(wanted, given, options),
  };
}

/** The same over a file. */
export async function measureFile(
  model: Model,
  spec: LabelSpec,
  path: string,
): Promise<LabelMeasure> {
  return measureLabels(model, spec, await readSamples(path, spec));
}
