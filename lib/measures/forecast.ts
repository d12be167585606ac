/** How good forecasts of numbers are. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import { checkInteger, checkNumber, isRecord, rejectUnknown } from '../validate';

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
  return mean(
    a.map((value, i) => {
      const size = Math.abs(value) + Math.abs(f[i]!);
      return size === 0 ? 0 : (200 * Math.abs(value - f[i]!)) / size;
    }),
  );
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
  const before = numbersOf(history, 'history');
  checkInteger(season, 'season', 1, before.length - 1);
  const scale = mean(before.slice(season).map((value, i) => Math.abs(value - before[i]!)));
  if (scale === 0) throw wrongValue('a history that changes', 'history', history);
  return mean(a.map((value, i) => Math.abs(value - f[i]!))) / scale;
}

/** A forecast of distributions, one of each actual value. */
export type DistributionForecast =
  /** Normal ones. */
  | { mean: Numbers; deviation: Numbers }
  /** Samples of each, as many as there are. */
  | { samples: readonly Numbers[] }
  /** Quantiles of each, at the same levels, each above 0 and below 1. */
  | { quantiles: readonly Numbers[]; levels: Numbers };

// The error function: its series where that converges fast, else the continued fraction of its
// complement (Abramowitz and Stegun 7.1.5, 7.1.14).
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = size;
  for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}

function ofNormal(y: number, location: number, deviation: number): number {
  if (deviation === 0) return Math.abs(y - location);
  const z = (y - location) / deviation;
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return deviation * (z * erf(z / Math.SQRT2) + 2 * density - 1 / Math.sqrt(Math.PI));
}

// E |X - y| - E |X - X'| / 2 of the samples' own distribution; the second by their order.
function ofSamples(y: number, samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const count = sorted.length;
  const spread = sorted.reduce((sum, value, i) => sum + value * (2 * i + 1 - count), 0);
  return mean(sorted.map((value) => Math.abs(value - y))) - spread / count ** 2;
}

function ofQuantiles(y: number, quantiles: number[], levels: number[]): number {
  return 2 * mean(quantiles.map((value, i) => (y - value) * (levels[i]! - Number(y < value))));
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
    return mean(y.map((value, i) => ofNormal(value, locations[i]!, deviations[i]!)));
  }
  if (names[0] === 'quantiles') {
    const levels = numbersOf(given['levels'], 'forecast.levels');
    levels.forEach((level, i) =>
      checkNumber(level, `forecast.levels[${i}]`, { above: 0, below: 1 }),
    );
    const all = lists('quantiles');
    all.forEach((list, i) => numbersOf(list, `forecast.quantiles[${i}]`, levels.length));
    return mean(y.map((value, i) => ofQuantiles(value, all[i]!, levels)));
  }
  const samples = lists('samples');
  return mean(y.map((value, i) => ofSamples(value, samples[i]!)));
}
