/** Files that are either the old one or the whole new one, whatever happens in between. */
import { realpath, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { OstinatoError } from './errors';

/** A name for a file beside `path` that nobody else chooses. */
export function nameBeside(path: string): string {
  // Loaded here: it would be a tenth of the time that the library takes to load.
  const { randomBytes } = process.getBuiltinModule('node:crypto');
  return `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
}

async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch {
    // Some systems and file systems do not sync directories; the rename stands all the same.
  }
}

/** What an operating system's error says, without Node's prefix. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return 'no space left on the device (ENOSPC)';
  return message ?? String(error);
}

/** An `ERR_IO` about a file, with the system's error as its cause. */
export function ioError(doing: string, path: string, error: unknown, note = ''): OstinatoError {
  return new OstinatoError('ERR_IO', `Could not ${doing} "${path}": ${reasonOf(error)}${note}`, {
    cause: error,
  });
}

/**
 * Writes parts to a file beside `path`, forces them to the disk, and renames it to `path`.
 *
 * @throws OstinatoError `ERR_IO`; a file that was there before is then unchanged
 */
export async function writeAtomically(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  // A link stays a link: what it points to is replaced.
  const target = await realpath(path).catch(() => resolve(path));
  const beside = nameBeside(target);
  try {
    const file = await open(beside, 'wx');
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw ioError('write', path, error, '; nothing that was saved before is changed');
  }
  await syncDirectory(dirname(target));
}
