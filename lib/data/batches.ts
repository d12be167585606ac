/** Batches: orders of samples cut into runs, and streams of batches that the user gives. */
import { wrongKind, wrongValue } from '../errors';
import type { NativeBatches } from '../native';
import { isRecord, rejectUnknown } from '../validate';
import type { SampleArrays } from './prepare';

/** One batch of a stream: inputs and targets, with optional lengths, mask and weights. */
export interface Batch {
  x: unknown;
  y: unknown;
  lengths?: unknown;
  mask?: unknown;
  sampleWeights?: unknown;
}

/** A batch as an object, or as a pair [x, y]. */
export type BatchLike = Batch | readonly [x: unknown, y: unknown];

/** Batches in order; a function is called for each epoch, with its number from 0. */
export type BatchStream =
  | Iterable<BatchLike>
  | AsyncIterable<BatchLike>
  | ((epoch: number) => Iterable<BatchLike> | AsyncIterable<BatchLike>);

const BATCH_KEYS = ['x', 'y', 'lengths', 'mask', 'sampleWeights'];

/** The native form of an order of samples, `batchSize` at a time. */
export function cutIntoBatches(order: Int32Array, batchSize: number): NativeBatches {
  const count = Math.ceil(order.length / batchSize);
  const sizes = new Int32Array(count).fill(batchSize);
  if (count > 0) sizes[count - 1] = order.length - (count - 1) * batchSize;
  return { samples: order, sizes };
}

/** Samples begin … end - 1 in order. */
export function range(begin: number, end: number): Int32Array {
  // A loop: `from` with a function takes ten times as long.
  const samples = new Int32Array(end - begin);
  for (let i = 0; i < samples.length; i++) samples[i] = begin + i;
  return samples;
}

function isBatch(value: unknown): boolean {
  return isRecord(value) && 'x' in value && 'y' in value;
}

/** True for a stream of batches, as opposed to arrays of samples. */
export function isBatchStream(value: unknown): value is BatchStream {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return isBatch(value[0]);
  return Symbol.iterator in value || Symbol.asyncIterator in value;
}

/** @throws TypeError for anything but a {@link BatchLike} */
export function readBatch(value: unknown): SampleArrays {
  if (Array.isArray(value)) {
    if (value.length !== 2) throw wrongValue('a pair [x, y]', 'batch', value);
    return { x: value[0], y: value[1] };
  }
  if (!isRecord(value)) throw wrongKind('{ x, y } or [x, y]', 'batch', value);
  rejectUnknown('batch', Object.keys(value), BATCH_KEYS);
  return { ...(value as unknown as SampleArrays) };
}

/** The iterator of one pass over a stream. */
function open(stream: BatchStream, epoch: number): Iterator<unknown> | AsyncIterator<unknown> {
  const iterable = typeof stream === 'function' ? stream(epoch) : stream;
  const source = iterable as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.();
  if (iterator === undefined) throw wrongKind('an iterable of batches', 'data', iterable);
  return iterator;
}

/**
 * One pass over a stream, one batch ahead: while the caller works on a batch, the next one is
 * being fetched. Closes the stream when the caller leaves early.
 *
 * @param skip batches at the beginning that are read and not used
 */
export async function* prefetched<T>(
  stream: BatchStream,
  prepare: (batch: unknown) => T,
  epoch = 0,
  skip = 0,
): AsyncGenerator<T, void, undefined> {
  const iterator = open(stream, epoch);
  for (let i = 0; i < skip; i++) {
    const { done } = await iterator.next();
    if (done === true) return;
  }
  const fetch = async (): Promise<IteratorResult<T, unknown>> => {
    const result = await iterator.next();
    return result.done === true ? result : { done: false, value: prepare(result.value) };
  };
  let pending = fetch();
  let ended = false;
  try {
    for (;;) {
      const result = await pending;
      if (result.done === true) {
        ended = true;
        return;
      }
      pending = fetch();
      // Reported by the await above, unless the caller leaves before.
      pending.catch(() => undefined);
      yield result.value;
    }
  } catch (error) {
    ended = true;
    throw error;
  } finally {
    if (!ended) {
      await pending.catch(() => undefined);
      await iterator.return?.();
    }
  }
}
