/** How good forecasts of numbers are. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import { checkInteger, checkNumber, isRecord, rejectUnknown } from '../validate';
import { normal, quantileScore } from './distributions';

type Numbers = ArrayLike<number>;

function numbersOf(value: unknown, name: string, count?: number): number[] {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) {
    throw wrongKind('an array of numbers', name, value);
  }
  const list = Array.from(value as Numbers, (item, i) => checkNumber(item, `${name}[${i}]`));
  if (list.length === 0) throw wrongValue('at least one number', name, value);
  if (count !== undefined && list.length !== count) {
    throw shapeMismatch(`Expected ${count} numbers for "${name}" but received ${list.length}`);
  }
  return list;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The symmetric mean absolute percentage error of the M4 competition (Makridakis et al. 2020): the
 * mean of 200 |a - f| / (|a| + |f|), from 0 to 200; 0 where both are 0.
 *
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` for wrong arguments
 */
export function smape(actual: Numbers, forecast: Numbers): number {
  const a = numbersOf(actual, 'actual');
  const f = numbersOf(forecast, 'forecast', a.length);
  return mean(a.map((value, i) => symmetricError(value, f[i]!)));
}

/** The part of one value in {@link smape}. */
export function symmetricError(actual: number, forecast: number): number {
  const size = Math.abs(actual) + Math.abs(forecast);
  return size === 0 ? 0 : (200 * Math.abs(actual - forecast)) / size;
}

/**
 * The mean absolute scaled error (Hyndman and Koehler 2006): the mean absolute error over that of
 * repeating, within the history, what was `season` steps before. Below 1 it beats that forecast.
 *
 * @param history what was known before the forecast
 * @param season steps of a season. Default 1
 * @throws RangeError for a history that repeats itself exactly; otherwise as {@link smape}
 */
export function mase(actual: Numbers, forecast: Numbers, history: Numbers, season = 1): number {
  const a = numbersOf(actual, 'actual');
  const f = numbersOf(forecast, 'forecast', a.length);
  const scale = seasonalScale(history, season, '');
  return mean(a.map((value, i) => Math.abs(value - f[i]!))) / scale;
}

/** The mean absolute error of repeating what was a season before: the unit of {@link mase}. */
export function seasonalScale(history: unknown, season: number, owner: string): number {
  const before = numbersOf(history, `${owner}history`);
  checkInteger(season, `${owner}season`, 1, before.length - 1);
  const scale = mean(before.slice(season).map((value, i) => Math.abs(value - before[i]!)));
  if (scale === 0) throw wrongValue('a history that changes', `${owner}history`, history);
  return scale;
}

/** A forecast of distributions, one of each actual value. */
export type DistributionForecast =
  /** Normal ones. */
  | { mean: Numbers; deviation: Numbers }
  /** Samples of each, as many as there are. */
  | { samples: readonly Numbers[] }
  /** Quantiles of each, at the same levels, each above 0 and below 1. */
  | { quantiles: readonly Numbers[]; levels: Numbers };

// E |X - y| - E |X - X'| / 2 of the samples' own distribution; the second by their order.
function ofSamples(y: number, samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const count = sorted.length;
  const spread = sorted.reduce((sum, value, i) => sum + value * (2 * i + 1 - count), 0);
  return mean(sorted.map((value) => Math.abs(value - y))) - spread / count ** 2;
}

const FIELDS = [['mean', 'deviation'], ['samples'], ['quantiles', 'levels']];

/**
 * The continuous ranked probability score (Matheson and Winkler 1976; closed form: Gneiting and
 * Raftery 2007), mean over the values and in their unit: the absolute error of a forecast that is a
 * distribution. From samples it is that of the samples' own distribution, from quantiles twice the
 * mean pinball loss, which tends to it for many even levels.
 *
 * @throws as {@link smape}
 */
export function crps(actual: Numbers, forecast: DistributionForecast): number {
  const y = numbersOf(actual, 'actual');
  const given: unknown = forecast;
  if (!isRecord(given)) {
    throw wrongKind('{ mean, deviation }, { samples } or { quantiles, levels }', 'forecast', given);
  }
  const names = FIELDS.find(([first]) => first! in given) ?? [];
  rejectUnknown('forecast', Object.keys(given), names.length === 0 ? FIELDS.flat() : names);
  const lists = (name: string): number[][] => {
    const all = given[name];
    if (!Array.isArray(all)) throw wrongKind('an array of arrays', `forecast.${name}`, all);
    if (all.length !== y.length) {
      throw shapeMismatch(
        `Expected ${y.length} lists for "forecast.${name}", one for each actual value, but received ${all.length}`,
      );
    }
    return all.map((list, i) => numbersOf(list, `forecast.${name}[${i}]`));
  };
  if (names[0] === 'mean') {
    const locations = numbersOf(given['mean'], 'forecast.mean', y.length);
    const deviations = numbersOf(given['deviation'], 'forecast.deviation', y.length);
    deviations.forEach((value, i) => checkNumber(value, `forecast.deviation[${i}]`, { min: 0 }));
    return mean(y.map((value, i) => normal(locations[i]!, deviations[i]!).crps(value)));
  }
  if (names[0] === 'quantiles') {
    const levels = numbersOf(given['levels'], 'forecast.levels');
    levels.forEach((level, i) =>
      checkNumber(level, `forecast.levels[${i}]`, { above: 0, below: 1 }),
    );
    const all = lists('quantiles');
    all.forEach((list, i) => numbersOf(list, `forecast.quantiles[${i}]`, levels.length));
    return mean(y.map((value, i) => quantileScore(value, all[i]!, levels)));
  }
  const samples = lists('samples');
  return mean(y.map((value, i) => ofSamples(value, samples[i]!)));
}
