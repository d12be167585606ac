/** Arrays as users give them and get them, and the checks of single typed arrays. */
import { kindOf, wrongKind, wrongValue } from '../errors';
import { isRecord } from '../validate';

/** Numbers with a shape, row-major: what predictions and weights come back as. */
export interface NDArray {
  data: Float32Array;
  /** Sizes of the axes, outermost first; their product is `data.length`. */
  shape: number[];
}

/** Typed arrays that are taken as numbers. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** A flat array with its shape, row-major. */
export interface ShapedArray {
  data: NumericArray | readonly number[];
  shape: readonly number[];
}

/** Nested arrays of numbers; the innermost may be typed arrays. */
export type NestedArray = NumericArray | readonly number[] | readonly NestedArray[];

/** Numbers in any form that the API takes. */
export type ArrayInput = NestedArray | ShapedArray;

/**
 * Data for a model: an array for its one input or output; for several `{ name: array }`, or an array
 * of them in order.
 */
export type ModelData = ArrayInput | Readonly<Record<string, ArrayInput>> | readonly ArrayInput[];

/** A flat list to read numbers from. */
export type FlatNumbers = NumericArray | readonly number[];

const KINDS: ReadonlySet<string> = new Set([
  'Float32Array',
  'Float64Array',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
]);

const typedArrays = Object.getPrototypeOf(Int8Array.prototype) as object;

/** `%TypedArray%.prototype.keys`, which throws for a view whose memory is gone, in any realm. */
const keysOfView: (this: Int8Array) => unknown = (
  typedArrays as { keys: (this: Int8Array) => unknown }
).keys;

const tagOfView: (this: unknown) => string | undefined = (
  Object.getOwnPropertyDescriptor(typedArrays, Symbol.toStringTag) as {
    get: (this: unknown) => string | undefined;
  }
).get;

/** `Float32Array`, … for a typed array of any realm, undefined for anything else; never fooled. */
export function typedArrayKind(value: unknown): string | undefined {
  return tagOfView.call(value);
}

/**
 * True for a typed array of numbers, of any realm, whose memory can be read.
 *
 * @throws TypeError for a typed array over shared, detached or resized-away memory, or of bigints
 */
export function isNumericArray(value: unknown, name: string): value is NumericArray {
  if (!ArrayBuffer.isView(value)) return false;
  if (!KINDS.has(kindOf(value))) {
    throw wrongKind('an array of numbers', name, value, 'use Float32Array or Int32Array');
  }
  if (Object.prototype.toString.call(value.buffer) === '[object SharedArrayBuffer]') {
    throw wrongKind(
      'a typed array over memory of its own',
      name,
      value,
      'it views a SharedArrayBuffer, which another thread may write; pass a copy: .slice()',
    );
  }
  try {
    keysOfView.call(value as Int8Array);
  } catch {
    throw wrongKind(
      'a typed array whose memory can be read',
      name,
      value,
      'its buffer was transferred (detached) or resized below the view',
    );
  }
  return true;
}

/** True for `{ data, shape }`. */
export function isShaped(value: unknown): value is ShapedArray {
  return isRecord(value) && 'data' in value && 'shape' in value;
}

/** The product of a shape's sizes. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Checks `{ data, shape }` and returns both, read once.
 *
 * @throws TypeError, RangeError for wrong kinds, sizes or a shape that does not hold the data
 */
export function readShaped(
  value: ShapedArray,
  name: string,
): { data: FlatNumbers; shape: number[] } {
  const { data, shape: given } = value;
  if (!Array.isArray(data) && !isNumericArray(data, `${name}.data`)) {
    throw wrongKind('a typed array or an array of numbers', `${name}.data`, data);
  }
  if (!Array.isArray(given)) throw wrongKind('an array of sizes', `${name}.shape`, given);
  const shape = [...(given as number[])];
  shape.forEach((size, axis) => {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw wrongValue('a size of 0 or more', `${name}.shape[${axis}]`, size);
    }
  });
  if (sizeOf(shape) !== data.length) {
    throw wrongValue(
      `${sizeOf(shape)} numbers, the product of the shape [${shape.join(', ')}],`,
      `${name}.data.length`,
      data.length,
    );
  }
  return { data: data as FlatNumbers, shape };
}

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/** Copies numbers into a Float32Array; NaN and infinities are numbers. */
export function copyFloats(
  source: FlatNumbers,
  from: number,
  count: number,
  target: Float32Array,
  at: number,
  name: string,
): void {
  if (ArrayBuffer.isView(source)) {
    target.set(source.subarray(from, from + count), at);
    return;
  }
  for (let i = 0; i < count; i++) {
    const value: unknown = source[from + i];
    if (typeof value !== 'number') throw wrongKind('a number', `${name}[${from + i}]`, value);
    target[at + i] = value;
  }
}

/** Copies whole numbers into an Int32Array. */
export function copyIntegers(
  source: FlatNumbers,
  from: number,
  count: number,
  target: Int32Array,
  at: number,
  name: string,
): void {
  const kind = kindOf(source);
  if (kind.startsWith('Int') || kind.startsWith('Uint8') || kind.startsWith('Uint16')) {
    target.set((source as Int32Array).subarray(from, from + count), at);
    return;
  }
  for (let i = 0; i < count; i++) {
    const value: unknown = source[from + i];
    if (typeof value !== 'number') throw wrongKind('an integer', `${name}[${from + i}]`, value);
    if (!Number.isInteger(value) || value < INT32_MIN || value > INT32_MAX) {
      throw wrongValue('an integer', `${name}[${from + i}]`, value);
    }
    target[at + i] = value;
  }
}

/** A new Float32Array with the numbers of an array of any accepted form, and its shape. */
export function toNDArray(value: unknown, name: string): NDArray {
  if (isShaped(value)) {
    const { data, shape } = readShaped(value, name);
    const copy = new Float32Array(data.length);
    copyFloats(data, 0, data.length, copy, 0, `${name}.data`);
    return { data: copy, shape };
  }
  const shape: number[] = [];
  for (let level = value; ; level = level[0]) {
    if (isNumericArray(level, name)) {
      shape.push(level.length);
      break;
    }
    if (!Array.isArray(level)) {
      if (shape.length > 0 && typeof level === 'number') break;
      throw wrongKind('an array of numbers', name, level);
    }
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const data = new Float32Array(sizeOf(shape));
  let at = 0;
  const visit = (part: unknown, axis: number, path: string): void => {
    if (!Array.isArray(part) && !isNumericArray(part, path)) {
      throw wrongKind('an array', path, part);
    }
    const { length } = part as { length: number };
    if (length !== shape[axis]) {
      throw wrongValue(`${shape[axis]} elements, as in the first of them,`, path, part);
    }
    if (axis === shape.length - 1) {
      copyFloats(part as FlatNumbers, 0, length, data, at, path);
      at += length;
    } else {
      (part as unknown[]).forEach((inner, i) => visit(inner, axis + 1, `${path}[${i}]`));
    }
  };
  visit(value, 0, name);
  return { data, shape };
}
