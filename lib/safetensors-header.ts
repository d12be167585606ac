/**
 * The header of a safetensors file: 8 bytes of length (little endian), then JSON that gives each
 * tensor's type, shape and place. https://github.com/huggingface/safetensors
 */
import { OstinatoError } from './errors';
import { isRecord } from './validate';

/** Bytes of an element, by type. Types that are not here cannot be measured, hence not read. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

/** Longest header that is read, as in the reference implementation. */
const MAX_HEADER = 100_000_000;
const LENGTH_BYTES = 8;

/** A tensor of a file. */
export interface TensorInfo {
  name: string;
  /** `F32`, `F16`, `BF16`, `F64`, `I32`, … */
  dtype: string;
  shape: number[];
  /** Bytes in the file, from its beginning. */
  begin: number;
  end: number;
}

/** What the header of a file says. */
export interface Header {
  /** In the order of their names in the header. */
  tensors: TensorInfo[];
  metadata: Record<string, string>;
  /** Bytes of the whole file. */
  fileBytes: number;
}

/** Makes the error of a file that breaks a rule. */
export function formatError(file: string, reason: string): OstinatoError {
  return new OstinatoError('ERR_FORMAT', `"${file}" is not a valid safetensors file: ${reason}`);
}

/** Bytes of the header's JSON, from the first 8 bytes of a file. */
export function headerBytes(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.length < LENGTH_BYTES) {
    throw formatError(file, `it has ${prefix.length} bytes, fewer than the 8 of a header's length`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER)) {
    throw formatError(file, `the header claims ${length} bytes, more than ${MAX_HEADER}`);
  }
  const bytes = Number(length);
  if (LENGTH_BYTES + bytes > fileBytes) {
    throw formatError(
      file,
      `the header claims ${bytes} bytes but the file has ${fileBytes} in all (truncated?)`,
    );
  }
  return bytes;
}

/** Members of all objects in a JSON text, duplicates counted: its colons outside strings. */
function countMembers(json: string): number {
  let count = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '"') inString = !inString;
    else if (inString && character === '\\') i++;
    else if (!inString && character === ':') count++;
  }
  return count;
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, inner) => sum + countKeys(inner), own);
}

function parseJson(bytes: Uint8Array, file: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw formatError(file, 'the header is not UTF-8');
  }
  if (!text.startsWith('{')) throw formatError(file, 'the header does not begin with "{"');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw formatError(file, `the header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(value)) throw formatError(file, 'the header is not a JSON object');
  if (countMembers(text) !== countKeys(value)) {
    throw formatError(file, 'the header has the same name twice');
  }
  return value;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function readTensor(name: string, entry: unknown, dataStart: number, file: string): TensorInfo {
  const fail = (reason: string): never => {
    throw formatError(file, `tensor ${JSON.stringify(name)} ${reason}`);
  };
  if (!isRecord(entry)) return fail('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') return fail('has no dtype');
  if (!Array.isArray(shape) || !shape.every(isCount)) return fail('has no valid shape');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return fail('has no valid data_offsets');
  }
  const [begin, end] = offsets as [number, number];
  const bytes = ELEMENT_BYTES[dtype];
  if (bytes === undefined) return fail(`has the unknown dtype "${dtype}"`);
  const size = shape.reduce((product, length) => product * BigInt(length), BigInt(bytes));
  if (size !== BigInt(end) - BigInt(begin)) {
    return fail(
      `of ${dtype} and shape [${shape.join(', ')}] needs ${size} bytes but has ${end - begin}`,
    );
  }
  return { name, dtype, shape: [...shape], begin: dataStart + begin, end: dataStart + end };
}

/** Tensors must tile the data: no hole, no overlap, nothing left over. */
function checkTiling(
  tensors: readonly TensorInfo[],
  start: number,
  fileBytes: number,
  file: string,
) {
  let at = start;
  const sorted = [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end);
  for (const { name, begin, end } of sorted) {
    if (begin !== at) {
      const what = begin < at ? 'overlaps the one before it' : 'leaves a hole before it';
      throw formatError(file, `tensor ${JSON.stringify(name)} ${what}`);
    }
    at = end;
  }
  if (at !== fileBytes) {
    throw formatError(
      file,
      at > fileBytes
        ? `its tensors need ${at} bytes but it has ${fileBytes} (truncated?)`
        : `${fileBytes - at} bytes follow its last tensor`,
    );
  }
}

/**
 * Reads and checks a header.
 *
 * @param json the bytes of the header, without the length before it
 * @throws OstinatoError `ERR_FORMAT`, with the file and the reason
 */
export function parseHeader(json: Uint8Array, fileBytes: number, file: string): Header {
  const { __metadata__: given, ...entries } = parseJson(json, file);
  if (given !== undefined && !isRecord(given)) {
    throw formatError(file, '__metadata__ is not an object');
  }
  const pairs = Object.entries(given ?? {}).map(([key, value]) => {
    if (typeof value !== 'string') throw formatError(file, `metadata "${key}" is not a string`);
    return [key, value] as const;
  });
  // Not by assignment: "__proto__" is a name like any other.
  const metadata = Object.fromEntries(pairs);
  const dataStart = LENGTH_BYTES + json.length;
  const tensors = Object.entries(entries).map(([name, entry]) =>
    readTensor(name, entry, dataStart, file),
  );
  checkTiling(tensors, dataStart, fileBytes, file);
  return { tensors, metadata, fileBytes };
}

/** The header of float tensors in the given order: length and JSON, padded to 8 bytes. */
export function encodeHeader(
  tensors: readonly { name: string; shape: readonly number[]; bytes: number }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let at = 0;
  const entries = tensors.map(({ name, shape, bytes }) => {
    const offsets = [at, (at += bytes)];
    return [name, { dtype: 'F32', shape, data_offsets: offsets }] as const;
  });
  const json = JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...entries]));
  const text = Buffer.from(json, 'utf8');
  const padded = Math.ceil(text.length / LENGTH_BYTES) * LENGTH_BYTES;
  const header = Buffer.alloc(LENGTH_BYTES + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded), 0);
  text.copy(header, LENGTH_BYTES);
  return header;
}
