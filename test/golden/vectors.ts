/**
 * Reads the golden vectors. A reader of its own, because the library's takes floats alone, and
 * because a fault in that one should not be able to hide here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A line of `index.json`. */
export interface Entry {
  /** Relative to this folder. */
  file: string;
  kind: string;
  name: string;
  bytes: number;
  sha256: string;
}

export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A tensor, row-major. */
export interface Tensor<T extends Numbers = Float32Array> {
  data: T;
  shape: number[];
}

const TYPES = { F32: Float32Array, F64: Float64Array, I32: Int32Array, U8: Uint8Array } as const;
type Dtype = keyof typeof TYPES;

interface Place {
  dtype: Dtype;
  shape: number[];
  data_offsets: [number, number];
}

/** The path of a file that `index.json` or a case names. */
export function pathOf(file: string): string {
  return join(__dirname, file);
}

/** All golden vectors. */
export function readIndex(): Entry[] {
  return (JSON.parse(readFileSync(pathOf('index.json'), 'utf8')) as { files: Entry[] }).files;
}

/** The fields of a case, of type `Fields`, and its tensors; it knows which of them were read. */
export class Vector<Fields = Record<string, unknown>> {
  readonly fields: Fields;
  readonly #places: Map<string, Place>;
  readonly #bytes: Buffer;
  readonly #unread: Set<string>;

  constructor(file: string) {
    const content = readFileSync(pathOf(file));
    const end = 8 + Number(content.readBigUInt64LE(0));
    const header = JSON.parse(content.toString('utf8', 8, end)) as Record<string, unknown>;
    const { __metadata__: metadata, ...tensors } = header;
    const text = (metadata as { case?: string }).case;
    this.fields = (text === undefined ? {} : JSON.parse(text)) as Fields;
    this.#bytes = content.subarray(end);
    this.#places = new Map(Object.entries(tensors as Record<string, Place>));
    this.#unread = new Set(this.#places.keys());
  }

  /** Names of the tensors. */
  get names(): string[] {
    return [...this.#places.keys()];
  }

  /** Names of the tensors that nobody has read. */
  get unread(): string[] {
    return [...this.#unread];
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  #read(name: string, dtypes: readonly Dtype[]): Tensor<Numbers> {
    const place = this.#places.get(name);
    if (place === undefined) throw new Error(`There is no tensor "${name}"`);
    const { dtype, shape, data_offsets: offsets } = place;
    if (!dtypes.includes(dtype)) throw new Error(`Tensor "${name}" is of type ${dtype}`);
    this.#unread.delete(name);
    // A copy of its own: offsets in the file need not be multiples of an element's size.
    const { buffer } = Uint8Array.from(this.#bytes.subarray(...offsets));
    return { data: new TYPES[dtype](buffer), shape };
  }

  /** A tensor of 32-bit floats. */
  floats(name: string): Tensor {
    return this.#read(name, ['F32']) as Tensor;
  }

  /** A tensor of doubles. */
  doubles(name: string): Tensor<Float64Array> {
    return this.#read(name, ['F64']) as Tensor<Float64Array>;
  }

  /** A tensor of ids, labels, lengths or mask values. */
  integers(name: string): Tensor<Int32Array | Uint8Array> {
    return this.#read(name, ['I32', 'U8']) as Tensor<Int32Array | Uint8Array>;
  }

  /** The tensors whose names begin with `prefix` and a point, by the rest of their names. */
  group(prefix: string): Record<string, Tensor> {
    const names = this.names.filter((name) => name.startsWith(`${prefix}.`));
    return Object.fromEntries(
      names.map((name) => [name.slice(prefix.length + 1), this.floats(name)]),
    );
  }
}
