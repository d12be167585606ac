/**
 * Values as JSON, with what JSON lacks: numbers that are not finite, and arrays of floats, which
 * become tensors beside the JSON.
 */
import { kindOf, wrongKind } from '../errors';
import { isRecord } from '../validate';

/** Arrays that a value holds, by the names that stand for them. */
export type Tensors = Record<string, Float32Array>;

/** Keys of the objects that stand for something else. */
const NUMBER = '$number';
const TENSOR = '$tensor';
const DOUBLES = '$doubles';

function encodeNumber(value: number): unknown {
  // JSON has no -0 either: `JSON.stringify(-0)` is "0".
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
}

/**
 * A JSON value for any nesting of plain objects, arrays, strings, numbers, booleans, null,
 * Float32Array and Float64Array. Properties that are undefined are left out.
 *
 * @param name of the value, for messages and for its tensors
 * @param tensors receives the values of each Float32Array; they are not copied
 * @throws TypeError for anything else, with the place
 */
export function encodeValue(value: unknown, name: string, tensors: Tensors): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return encodeNumber(value);
  // By kind, not by class: arrays may be of another realm.
  if (kindOf(value) === 'Float32Array') {
    tensors[name] = value as Float32Array;
    return { [TENSOR]: name };
  }
  if (kindOf(value) === 'Float64Array') {
    return { [DOUBLES]: Array.from(value as Float64Array, encodeNumber) };
  }
  if (Array.isArray(value)) {
    return value.map((part, i) => encodeValue(part, `${name}.${i}`, tensors));
  }
  if (!isRecord(value)) throw wrongKind('a plain value', name, value);
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(
    entries.map(([key, part]) => {
      if (key.startsWith('$')) throw wrongKind('a name without "$"', name, key);
      return [key, encodeValue(part, `${name}.${key}`, tensors)];
    }),
  );
}

/**
 * The value that {@link encodeValue} was given.
 *
 * @throws TypeError for a tensor that is missing
 */
export function decodeValue(json: unknown, tensors: Readonly<Tensors>): unknown {
  if (Array.isArray(json)) return json.map((part) => decodeValue(part, tensors));
  if (!isRecord(json)) return json;
  if (NUMBER in json) return Number(json[NUMBER]);
  if (DOUBLES in json) return Float64Array.from(decodeValue(json[DOUBLES], tensors) as number[]);
  if (TENSOR in json) {
    const name = String(json[TENSOR]);
    const tensor = tensors[name];
    if (tensor === undefined) throw wrongKind('a tensor of the file', 'tensor', name);
    return tensor;
  }
  return Object.fromEntries(
    Object.entries(json).map(([key, part]) => [key, decodeValue(part, tensors)]),
  );
}
