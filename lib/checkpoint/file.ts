/**
 * Checkpoints as files: a saved model, and beside its weights all that its training needs to go on.
 *
 * A checkpoint is a safetensors file of the form that `Model.save` writes, so `load` reads it as a
 * model. Its further tensors have names that begin with `training/`; their structure is JSON in the
 * metadata, under `ostinato.training`. A digest over both tells a whole file from a damaged one.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { OstinatoError } from '../errors';
import { version } from '../runtime';
import * as safetensors from '../safetensors';
import { isRecord } from '../validate';
import { decodeValue, encodeValue } from './values';
import type { Tensors } from './values';

/** The number that stands in files; a reader refuses higher ones. */
const FORMAT = 1;
/** What the names of tensors that are no weights begin with. */
export const TRAINING_PREFIX = 'training/';
const RECORD = 'ostinato.training';
const DIGEST = 'ostinato.sha256';
/** Bytes that are hashed between two looks at the event loop: about two milliseconds. */
const HASH_PIECE = 2 ** 21;

/** A checkpoint's parts. */
export interface CheckpointFile {
  /** The model's parameters. */
  weights: Record<string, safetensors.SafetensorsFile['tensors'][string]>;
  /** Everything else, of plain values and Float32Arrays. */
  record: Record<string, unknown>;
  /** Further metadata, as `Model.save` writes it. */
  metadata: Record<string, string>;
}

/** Whether a file's metadata are those of a checkpoint. */
export function isCheckpoint(metadata: Readonly<Record<string, string>>): boolean {
  return metadata[RECORD] !== undefined;
}

async function digestOf(
  record: string,
  tensors: Readonly<Record<string, { data: Float32Array }>>,
): Promise<string> {
  const { createHash } = process.getBuiltinModule('node:crypto'); // slow to load
  const hash = createHash('sha256').update(record);
  for (const name of Object.keys(tensors).sort()) {
    const { data } = tensors[name]!;
    hash.update(name);
    for (let at = 0; at < data.byteLength; at += HASH_PIECE) {
      const length = Math.min(HASH_PIECE, data.byteLength - at);
      hash.update(new Uint8Array(data.buffer, data.byteOffset + at, length));
      if (length === HASH_PIECE) await yieldToEvents();
    }
  }
  return hash.digest('hex');
}

/**
 * Writes a checkpoint: beside, forced to the disk, then renamed.
 *
 * @throws OstinatoError `ERR_IO`; a file that was there before is then unchanged
 */
export async function writeCheckpoint(path: string, file: CheckpointFile): Promise<void> {
  const extra: Tensors = {};
  const encoded = encodeValue(file.record, 'record', extra);
  const record = JSON.stringify({ format: FORMAT, version: version(), record: encoded });
  const tensors = { ...file.weights };
  for (const [name, data] of Object.entries(extra)) {
    tensors[`${TRAINING_PREFIX}${name}`] = { data, shape: [data.length] };
  }
  const digest = await digestOf(record, tensors);
  await safetensors.write(path, tensors, { ...file.metadata, [RECORD]: record, [DIGEST]: digest });
}

function damaged(path: string, why: string, cause?: unknown): OstinatoError {
  return new OstinatoError('ERR_FORMAT', `"${path}" is not a whole checkpoint: ${why}`, { cause });
}

function parseRecord(text: string, path: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw damaged(path, 'its record is not JSON', error);
  }
  if (!isRecord(parsed) || !isRecord(parsed['record'])) throw damaged(path, 'it has no record');
  const { format, version: writer } = parsed;
  if (format !== FORMAT) {
    throw new OstinatoError(
      'ERR_CHECKPOINT',
      `"${path}" is a checkpoint of format ${String(format)}, written by ostinato ${String(writer)}; ` +
        `ostinato ${version()} reads format ${FORMAT}`,
    );
  }
  return parsed['record'];
}

/**
 * Reads a checkpoint and checks that it is whole.
 *
 * @throws OstinatoError `ERR_FORMAT` for a file that is damaged or no checkpoint; `ERR_CHECKPOINT`
 *     for one of another format; `ERR_IO`
 */
export async function readCheckpoint(path: string): Promise<CheckpointFile> {
  const { tensors, metadata } = await safetensors.read(path);
  const { [RECORD]: text, [DIGEST]: digest, ...rest } = metadata;
  if (text === undefined) {
    throw damaged(path, 'it holds a model or tensors alone; use load() or model.loadWeights()');
  }
  const json = parseRecord(text, path);
  if ((await digestOf(text, tensors)) !== digest) {
    throw damaged(path, 'its contents do not match its digest');
  }
  const weights: CheckpointFile['weights'] = {};
  const extra: Tensors = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!name.startsWith(TRAINING_PREFIX)) weights[name] = tensor;
    else extra[name.slice(TRAINING_PREFIX.length)] = tensor.data;
  }
  try {
    const record = decodeValue(json, extra) as Record<string, unknown>;
    return { weights, record, metadata: rest };
  } catch (error) {
    throw damaged(path, (error as Error).message, error);
  }
}
