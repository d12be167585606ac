/** Directories of checkpoints: names of files, and the newest that is whole. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../atomic-file';
import { OstinatoError, codeOf } from '../errors';
import { checkText } from '../validate';
import { readCheckpoint } from './file';
import type { CheckpointFile } from './file';

const NAME = /^step-(\d{9,})\.safetensors$/;
/** A file that was being written when its process ended. */
const LEFT_OVER = /^(step-\d{9,}|best)\.safetensors\..*\.tmp$/;

/** The name of the checkpoint after so many steps; names sort as numbers do. */
export function checkpointName(steps: number): string {
  return `step-${String(steps).padStart(9, '0')}.safetensors`;
}

/** What a directory holds. */
export interface Listing {
  /** Names of checkpoints, newest first. */
  checkpoints: string[];
  /** Names of files that were never finished. */
  leftOver: string[];
}

/**
 * Lists a directory; one that does not exist is empty.
 *
 * @throws OstinatoError `ERR_IO`
 */
export async function listCheckpoints(directory: string): Promise<Listing> {
  const names = await readdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw ioError('read', directory, error);
  });
  const steps = (name: string): number => Number(NAME.exec(name)![1]);
  return {
    checkpoints: names.filter((name) => NAME.test(name)).sort((a, b) => steps(b) - steps(a)),
    leftOver: names.filter((name) => LEFT_OVER.test(name)),
  };
}

/** A checkpoint and where it was found. */
export interface Found {
  path: string;
  file: CheckpointFile;
}

/** The newest whole checkpoint in a directory; undefined when it holds none. */
async function findNewest(directory: string): Promise<Found | undefined> {
  const { checkpoints } = await listCheckpoints(directory);
  let first: Error | undefined;
  for (const name of checkpoints) {
    const path = join(directory, name);
    try {
      const file = await readCheckpoint(path);
      if (first !== undefined) {
        process.emitWarning(`${first.message}; going on from "${path}"`);
      }
      return { path, file };
    } catch (error) {
      // Only damage is passed over, not a file of another version.
      if (codeOf(error) !== 'ERR_FORMAT') throw error;
      first ??= error as Error;
    }
  }
  if (first !== undefined) throw first;
  return undefined;
}

/**
 * The checkpoint in a file, or the newest whole one in a directory. Damaged files are passed over
 * with a warning of the process.
 *
 * @throws OstinatoError `ERR_FORMAT` when none is whole; `ERR_IO` when there is none
 */
export async function findCheckpoint(path: string): Promise<Found> {
  const there = await stat(path).catch((error: unknown) => {
    throw ioError('read', path, error);
  });
  if (!there.isDirectory()) return { path, file: await readCheckpoint(path) };
  const found = await findNewest(path);
  if (found !== undefined) return found;
  throw new OstinatoError('ERR_IO', `Could not find a checkpoint in "${path}": it holds none`);
}

/**
 * The path of the newest whole checkpoint that `modelCheckpoint` left in a directory, or undefined
 * when there is none or no directory, so that `resume: await latestCheckpoint(directory)` begins a
 * run or goes on with it. Damaged files are passed over with a warning of the process.
 *
 * @throws OstinatoError `ERR_FORMAT` when there are checkpoints but none is whole; `ERR_CHECKPOINT`
 *     for one of another version; `ERR_IO`
 */
export async function latestCheckpoint(directory: string): Promise<string | undefined> {
  return (await findNewest(checkText(directory, 'directory')))?.path;
}
