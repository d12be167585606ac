/** Forecasting models: series of a CSV file, scaled, cut into contexts and horizons. */
import type { LossOptions, Model, NDArray } from '../../index';
import { resolveLoss } from '../../losses';
import { crpsOf, distributionOf, pointOf } from '../../scoring/parameters';
import { symmetricError } from '../../measures/forecast';
import { Failure } from '../failures';
import { columnOf, numberAt, readTable } from './table';
import type { Table } from './table';

/** What a forecasting model keeps of its data, in the file's metadata. */
export interface ForecastSpec {
  kind: 'forecast';
  /** Columns that are predicted. */
  target: string[];
  /** Further columns that are read. */
  features: string[];
  /** A column that names the rows, for people. */
  time: string | null;
  context: number;
  horizon: number;
  loss: LossOptions;
  /** By column, targets first: what is subtracted, and what the rest is divided by. */
  offset: number[];
  scale: number[];
  /** By target: the mean error, in what was learnt, of repeating what was `season` rows before. */
  naive: number[];
  season: number;
}

export type Scaling = 'standard' | 'minmax' | 'none';

/** Columns of numbers that belong together. */
export interface Series {
  table: Table;
  /** By row: targets, then features. */
  values: Float64Array[];
  /** How rows are called. */
  names: string[];
}

/** Reads the columns of a series. */
export async function readSeries(
  path: string,
  { target, features, time }: Pick<ForecastSpec, 'target' | 'features' | 'time'>,
): Promise<Series> {
  const table = await readTable(path);
  const columns = [...target, ...features].map((name) => columnOf(table, name));
  const values = table.rows.map((_row, i) =>
    Float64Array.from(columns, (column) => numberAt(table, i, column)),
  );
  const naming = time === null ? undefined : columnOf(table, time);
  const names = table.rows.map((row, i) => (naming === undefined ? String(i + 1) : row[naming]!));
  return { table, values, names };
}

/** Offsets and scales of columns, from the rows that the model learns from. */
export function scalingOf(
  rows: readonly Float64Array[],
  scaling: Scaling,
): Pick<ForecastSpec, 'offset' | 'scale'> {
  const width = rows[0]!.length;
  const offset = new Array<number>(width).fill(0);
  const scale = new Array<number>(width).fill(1);
  if (scaling === 'none') return { offset, scale };
  for (let j = 0; j < width; j++) {
    const column = rows.map((row) => row[j]!);
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    const least = column.reduce((a, b) => Math.min(a, b));
    const most = column.reduce((a, b) => Math.max(a, b));
    const spread =
      scaling === 'minmax'
        ? most - least
        : Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length);
    offset[j] = scaling === 'minmax' ? least : mean;
    // A column that never changes says nothing; it becomes 0.
    scale[j] = spread === 0 ? 1 : spread;
  }
  return { offset, scale };
}

/** Windows for a model: contexts, [samples, context, columns], and what follows them. */
export interface Windows {
  x: NDArray;
  /** [samples, horizon · targets], step by step. */
  y: NDArray;
  /** The row of the series at which each sample's horizon begins. */
  starts: number[];
}

/** How many numbers a target row has, and how many samples a series gives. */
export function windowsOf(
  { values }: Pick<Series, 'values'>,
  spec: ForecastSpec,
  starts: readonly number[],
): Windows {
  const { context, horizon, target, offset, scale } = spec;
  const width = offset.length;
  const wide = horizon * target.length;
  const x = new Float32Array(starts.length * context * width);
  const y = new Float32Array(starts.length * wide);
  const scaled = (row: number, j: number): number => (values[row]![j]! - offset[j]!) / scale[j]!;
  starts.forEach((start, i) => {
    for (let t = 0; t < context; t++) {
      for (let j = 0; j < width; j++) {
        x[(i * context + t) * width + j] = scaled(start - context + t, j);
      }
    }
    for (let t = 0; t < horizon && start + t < values.length; t++) {
      for (let j = 0; j < target.length; j++) {
        y[i * wide + t * target.length + j] = scaled(start + t, j);
      }
    }
  });
  return {
    x: { data: x, shape: [starts.length, context, width] },
    y: { data: y, shape: [starts.length, wide] },
    starts: [...starts],
  };
}

/** Rows at which horizons may begin, from `begin` on and ending by `end`. */
export function startsBetween(begin: number, end: number, horizon: number, stride = 1): number[] {
  const starts: number[] = [];
  for (let at = begin; at + horizon <= end; at += stride) starts.push(at);
  return starts;
}

/** @throws Failure for a series that is shorter than a context and a horizon */
export function checkLength({ table }: Series, rows: number, needed: number, why: string): void {
  if (rows >= needed) return;
  throw new Failure(
    `${table.path} has ${rows} rows; ${why} at least ${needed}, a context and a horizon`,
    'ERR_FORMAT',
  );
}

/** One step of a forecast, in the unit of the data. */
export interface ForecastStep {
  /** From 1. */
  step: number;
  target: string;
  value: number;
  /** Below and above which the outcome is with the same small probability; undefined for points. */
  low: number | undefined;
  high: number | undefined;
  /** The score of an outcome in the unit of the data. */
  crps: (actual: number) => number;
}

/** Levels of the interval that is shown: of quantiles the outermost ones. */
export const INTERVAL = [0.1, 0.9] as const;

/** The model's answer for contexts, back in the unit of the data. */
export async function forecasts(
  model: Model,
  spec: ForecastSpec,
  { x }: Pick<Windows, 'x'>,
): Promise<ForecastStep[][]> {
  const { target, horizon, offset, scale } = spec;
  const { data, shape } = await model.predict(x);
  const [samples, features] = shape as [number, number];
  const wide = horizon * target.length;
  const loss = resolveLoss(spec.loss, undefined, model.layers.at(-1)!);
  const { quantiles } = loss.native;
  const levels = Array.from(quantiles);
  return Array.from({ length: samples }, (_v, i) =>
    Array.from({ length: wide }, (_w, k) => {
      const j = k % target.length;
      const back = (value: number): number => value * scale[j]! + offset[j]!;
      const row = { output: data, at: i * features, targets: wide };
      const distribution = distributionOf(loss, row, k);
      let [low, high]: (number | undefined)[] = [];
      if (distribution !== undefined) {
        [low, high] = INTERVAL.map((level) => distribution.quantile(level));
      } else if (levels.length > 1) {
        const of = (level: number): number => data[row.at + levels.indexOf(level) * wide + k]!;
        [low, high] = [of(Math.min(...levels)), of(Math.max(...levels))];
      }
      return {
        step: Math.floor(k / target.length) + 1,
        target: target[j]!,
        value: back(pointOf(loss, row, k)),
        low: low === undefined ? undefined : back(low),
        high: high === undefined ? undefined : back(high),
        crps: (actual) =>
          crpsOf(loss, row, k, (actual - offset[j]!) / scale[j]!) * Math.abs(scale[j]!),
      };
    }),
  );
}

/** Scores of forecasts in the unit of the data, by name. */
export function scoresOf(
  series: Series,
  spec: ForecastSpec,
  starts: readonly number[],
  all: readonly ForecastStep[][],
): Record<string, number> {
  const sums = { mae: 0, rmse: 0, smape: 0, mase: 0, crps: 0 };
  let count = 0;
  let inside = 0;
  all.forEach((steps, i) => {
    for (const { step, target, value, low, high, crps } of steps) {
      const j = spec.target.indexOf(target);
      const actual = series.values[starts[i]! + step - 1]![j]!;
      const size = Math.abs(value - actual);
      sums.mae += size;
      sums.rmse += size ** 2;
      sums.smape += symmetricError(actual, value);
      sums.mase += size / spec.naive[j]!;
      sums.crps += crps(actual);
      if (low !== undefined && actual >= low && actual <= high!) inside++;
      count++;
    }
  });
  const means = Object.fromEntries(
    Object.entries(sums).map(([name, sum]) => [name, sum / count]),
  ) as typeof sums;
  const interval = all[0]?.[0]?.low !== undefined;
  return {
    ...means,
    rmse: Math.sqrt(means.rmse),
    ...(interval ? { coverage: inside / count } : {}),
  };
}

/** The mean error of repeating what was a season before, by column. */
export function naiveErrors(rows: readonly Float64Array[], season: number): number[] {
  return Array.from(rows[0]!, (_value, j) => {
    const later = rows.slice(season);
    const sum = later.reduce((total, row, i) => total + Math.abs(row[j]! - rows[i]![j]!), 0);
    return sum / later.length;
  });
}
