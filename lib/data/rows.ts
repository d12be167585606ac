/**
 * Reads a batch of samples, dense or ragged, into flat storage: sample i has `lengths[i]` rows of
 * `features` numbers that begin at row `offsets[i]`.
 */
import { kindOf, shapeMismatch, wrongKind, wrongValue } from '../errors';
import { copyFloats, copyIntegers, isNumericArray, isShaped, readShaped } from './arrays';
import type { FlatNumbers } from './arrays';

/** What the rows must look like. */
export interface RowsWanted {
  /** Whether samples have a time axis; without one each sample is one row. */
  timed: boolean;
  /** Numbers in a row, or undefined to take what comes. Integers have no feature axis. */
  features: number | undefined;
  /** Ids instead of numbers. */
  integers: boolean;
}

/** Samples in flat storage. */
export interface Rows {
  /** May be the caller's own memory: to be read before other code runs, never written. */
  data: Float32Array | Int32Array;
  samples: number;
  features: number;
  lengths: Int32Array;
  offsets: Float64Array;
  /** Rows of the longest sample, padding included. */
  steps: number;
}

function wantedText({ timed, features, integers }: RowsWanted): string {
  const axes = ['batch'];
  if (timed) axes.push('time');
  if (!integers) axes.push(features === undefined ? 'features' : String(features));
  return `[${axes.join(', ')}]`;
}

/** The numbers as a Float32Array: themselves when they are one, since the core copies them anyway. */
function flatFloats(source: FlatNumbers, name: string): Float32Array {
  if (kindOf(source) === 'Float32Array') return source as Float32Array;
  const data = new Float32Array(source.length);
  copyFloats(source, 0, source.length, data, 0, name);
  return data;
}

function flatIntegers(source: FlatNumbers, name: string): Int32Array {
  if (kindOf(source) === 'Int32Array') return source as Int32Array;
  const data = new Int32Array(source.length);
  copyIntegers(source, 0, source.length, data, 0, name);
  return data;
}

function dense(
  source: FlatNumbers,
  shape: readonly number[],
  wanted: RowsWanted,
  name: string,
): Rows {
  const rank = (wanted.timed ? 2 : 1) + (wanted.integers ? 0 : 1);
  const collapsed = !wanted.integers && (wanted.features ?? 1) === 1 && shape.length === rank - 1;
  const features = wanted.integers || collapsed ? 1 : shape[rank - 1];
  if (
    (shape.length !== rank && !collapsed) ||
    features === undefined ||
    (wanted.features !== undefined && features !== wanted.features)
  ) {
    throw shapeMismatch(
      `Expected shape ${wantedText(wanted)} for "${name}" but received [${shape.join(', ')}]`,
    );
  }
  const samples = shape[0]!;
  const steps = wanted.timed ? shape[1]! : 1;
  const offsets = new Float64Array(samples);
  for (let i = 0; i < samples; i++) offsets[i] = i * steps;
  return {
    data: wanted.integers ? flatIntegers(source, name) : flatFloats(source, name),
    samples,
    features,
    lengths: new Int32Array(samples).fill(steps),
    offsets,
    steps,
  };
}

type List = FlatNumbers | readonly unknown[];

function list(value: unknown, path: string, expected: string): List {
  if (Array.isArray(value) || isNumericArray(value, path)) return value as List;
  throw wrongKind(expected, path, value);
}

/** Whether a row is written as a bare number: there is no feature axis, or it was left out. */
function rowsAreNumbers(samples: readonly unknown[], wanted: RowsWanted): boolean {
  if (wanted.integers) return true;
  if ((wanted.features ?? 1) !== 1) return false;
  for (const sample of samples) {
    if (!wanted.timed) return typeof sample === 'number';
    if (ArrayBuffer.isView(sample)) return true;
    if (Array.isArray(sample) && sample.length > 0) return typeof sample[0] === 'number';
  }
  return false;
}

function firstRowLength(samples: readonly unknown[], timed: boolean): number {
  for (const sample of samples) {
    const row: unknown = timed ? (sample as ArrayLike<unknown> | null)?.[0] : sample;
    const length = (row as ArrayLike<unknown> | null | undefined)?.length;
    if (typeof length === 'number') return length;
  }
  return 1;
}

function nested(samples: readonly unknown[], wanted: RowsWanted, name: string): Rows {
  const { timed, integers } = wanted;
  const bare = rowsAreNumbers(samples, wanted);
  const features = bare ? 1 : (wanted.features ?? firstRowLength(samples, timed));
  const count = samples.length;
  const lengths = new Int32Array(count).fill(1);
  const offsets = new Float64Array(count);
  const expected = bare ? 'an array of numbers' : 'an array of rows';
  let total = 0;
  let steps = timed ? 0 : 1;
  for (let i = 0; i < count; i++) {
    offsets[i] = total;
    if (timed) lengths[i] = list(samples[i], `${name}[${i}]`, expected).length;
    steps = Math.max(steps, lengths[i]!);
    total += lengths[i]!;
  }
  const data = integers ? new Int32Array(total) : new Float32Array(total * features);
  const copy = (source: FlatNumbers, at: number, path: string): void => {
    if (integers) copyIntegers(source, 0, source.length, data as Int32Array, at, path);
    else copyFloats(source, 0, source.length, data as Float32Array, at, path);
  };
  const copyRow = (row: unknown, at: number, path: string): void => {
    const numbers = list(row, path, `an array of ${features} numbers`);
    if (numbers.length !== features) {
      throw shapeMismatch(
        `Expected ${features} numbers in a row for "${path}" but received ${numbers.length}`,
      );
    }
    copy(numbers as FlatNumbers, at, path);
  };
  if (!timed && bare) {
    copy(samples as readonly number[], 0, name);
  } else {
    samples.forEach((sample, i) => {
      const path = `${name}[${i}]`;
      if (!timed) copyRow(sample, i * features, path);
      else if (bare) copy(sample as FlatNumbers, offsets[i]!, path);
      else if (ArrayBuffer.isView(sample)) throw wrongKind(expected, path, sample);
      else {
        (sample as unknown[]).forEach((row, t) =>
          copyRow(row, (offsets[i]! + t) * features, `${path}[${t}]`),
        );
      }
    });
  }
  return { data, samples: count, features, lengths, offsets, steps };
}

/**
 * Reads samples given as nested arrays (the time axis may be ragged), as `{ data, shape }`, or,
 * where a sample is one number, as a typed array.
 *
 * @param name how messages name the value
 * @throws TypeError, RangeError for wrong kinds and values
 * @throws OstinatoError `ERR_SHAPE_MISMATCH`
 */
export function readRows(value: unknown, wanted: RowsWanted, name: string): Rows {
  let rows: Rows;
  if (isShaped(value)) {
    const { data, shape } = readShaped(value, name);
    rows = dense(data, shape, wanted, name);
  } else if (isNumericArray(value, name)) {
    if (wanted.timed || (!wanted.integers && (wanted.features ?? 1) !== 1)) {
      throw wrongKind(
        `nested arrays or { data, shape: ${wantedText(wanted)} }`,
        name,
        value,
        'a flat typed array needs a shape',
      );
    }
    rows = dense(value, [value.length], wanted, name);
  } else if (Array.isArray(value)) {
    rows = nested(value, wanted, name);
  } else {
    throw wrongKind('an array, a typed array or { data, shape }', name, value);
  }
  if (rows.samples === 0) throw wrongValue('at least one sample', name, value);
  return rows;
}

/**
 * Cuts samples to given lengths; what lies beyond is never read.
 *
 * @throws RangeError for a length that is longer than its sample, or a wrong count of lengths
 */
export function cutToLengths(rows: Rows, given: unknown, name: string): void {
  const wanted: RowsWanted = { timed: false, features: undefined, integers: true };
  const { data, samples } = readRows(given, wanted, name);
  if (samples !== rows.samples) {
    throw wrongValue(`${rows.samples} lengths, one a sample,`, name, given);
  }
  for (let i = 0; i < samples; i++) {
    const length = data[i]!;
    if (length < 0 || length > rows.lengths[i]!) {
      throw wrongValue(`a length from 0 to ${rows.lengths[i]}`, `${name}[${i}]`, length);
    }
    rows.lengths[i] = length;
  }
}
