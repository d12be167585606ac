/** Reading and writing safetensors files of numbers. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { ioError, writeAtomically } from './atomic-file';
import { toNDArray } from './data/arrays';
import type { ArrayInput, NDArray } from './data/arrays';
import { OstinatoError, wrongKind } from './errors';
import { encodeHeader, formatError, headerBytes, parseHeader } from './safetensors-header';
import type { Header, TensorInfo } from './safetensors-header';
import { checkText, isRecord } from './validate';

export type { Header, TensorInfo } from './safetensors-header';

/** All tensors of a file as 32-bit floats, and its metadata. */
export interface SafetensorsFile {
  tensors: Record<string, NDArray>;
  metadata: Record<string, string>;
}

const BIG_ENDIAN = endianness() === 'BE';
/** Most bytes that one read asks for; systems limit them to 2 GiB. */
const MAX_READ = 2 ** 30;

async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  for (let at = 0; at < length;) {
    const wanted = Math.min(length - at, MAX_READ);
    const { bytesRead } = await file.read(bytes, at, wanted, position + at);
    if (bytesRead === 0) throw formatError(path, 'it ended while it was read');
    at += bytesRead;
  }
  return bytes;
}

/** Runs `work` on an open file whose header has been read. */
async function withFile<T>(
  path: string,
  work: (file: FileHandle, header: Header) => Promise<T>,
): Promise<T> {
  checkText(path, 'path');
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const prefix = await readExactly(file, 0, Math.min(8, size), path);
      const json = await readExactly(file, 8, headerBytes(prefix, size, path), path);
      return await work(file, parseHeader(json, size, path));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof OstinatoError || (error as NodeJS.ErrnoException).syscall === undefined) {
      throw error;
    }
    throw ioError('read', path, error);
  }
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The elements of a tensor as 32-bit floats. */
function decode(bytes: Uint8Array<ArrayBuffer>, { name, dtype }: TensorInfo, path: string) {
  const { buffer } = bytes;
  const view = new DataView(buffer);
  const from = (width: number, read: (at: number) => number): Float32Array =>
    Float32Array.from({ length: buffer.byteLength / width }, (_value, i) => read(i * width));
  switch (dtype) {
    case 'F32':
      return BIG_ENDIAN ? from(4, (at) => view.getFloat32(at, true)) : new Float32Array(buffer);
    case 'F64':
      return from(8, (at) => view.getFloat64(at, true));
    case 'F16':
      return from(2, (at) => halfToFloat(view.getUint16(at, true)));
    case 'BF16': {
      const words = new Uint32Array(buffer.byteLength / 2);
      words.forEach((_word, i) => (words[i] = view.getUint16(i * 2, true) * 0x10000));
      return new Float32Array(words.buffer);
    }
    default:
      throw new OstinatoError(
        'ERR_FORMAT',
        `Tensor ${JSON.stringify(name)} of "${path}" is of type ${dtype}, which is not a float`,
      );
  }
}

/**
 * Reads only the header: names, types and shapes of the tensors, and the metadata.
 *
 * @throws OstinatoError `ERR_FORMAT` with the reason, `ERR_IO`
 */
export async function inspect(path: string): Promise<Header> {
  return withFile(path, (_file, header) => Promise.resolve(header));
}

/**
 * Reads tensors (F32, F64, F16, BF16) as 32-bit floats.
 *
 * @param choose called with the checked header; the tensors it returns are read. Default: all
 * @throws OstinatoError `ERR_FORMAT` with the reason, `ERR_IO`; whatever `choose` throws
 */
export async function read(
  path: string,
  choose: (header: Header) => readonly TensorInfo[] = ({ tensors }) => tensors,
): Promise<SafetensorsFile> {
  return withFile(path, async (file, header) => {
    const entries: [string, NDArray][] = [];
    for (const tensor of choose(header)) {
      const bytes = await readExactly(file, tensor.begin, tensor.end - tensor.begin, path);
      entries.push([tensor.name, { data: decode(bytes, tensor, path), shape: tensor.shape }]);
    }
    return { tensors: Object.fromEntries(entries), metadata: header.metadata };
  });
}

/**
 * Writes tensors as F32, in the order of their names. The file appears whole or not at all.
 *
 * @throws TypeError, RangeError for arrays that are none
 * @throws OstinatoError `ERR_IO`; a file that was there before is then unchanged
 */
export async function write(
  path: string,
  tensors: Record<string, ArrayInput>,
  metadata: Record<string, string> = {},
): Promise<void> {
  checkText(path, 'path');
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw wrongKind('a string', `metadata.${key}`, value);
  }
  if (!isRecord(tensors)) throw wrongKind('{ name: array }', 'tensors', tensors);
  const entries = Object.entries(tensors)
    .map(([name, value]) => ({ name, ...toNDArray(value, `tensors["${name}"]`) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, shape, data }) => {
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      return { name, shape, bytes: BIG_ENDIAN ? Buffer.from(bytes).swap32() : bytes };
    });
  const header = encodeHeader(
    entries.map(({ name, shape, bytes }) => ({ name, shape, bytes: bytes.length })),
    metadata,
  );
  await writeAtomically(path, [header, ...entries.map(({ bytes }) => bytes)]);
}
