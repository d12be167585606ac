/** Errors of the command line as people read them: one line that says what to do. */
import { OstinatoError } from '../errors';

/** A failure that is nobody's wrong use: exit code 1. */
export class Failure extends Error {
  /** What programs compare. */
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is no folder',
  ENOSPC: 'there is no space left on the disk',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many files are open',
};

/** The failure that stands for a system error on a file. */
export function fileError(doing: 'read' | 'write', path: string, error: unknown): Failure {
  const { code = 'ERR_IO', message } = error as NodeJS.ErrnoException;
  return new Failure(`Cannot ${doing} ${path}: ${REASONS[code] ?? message}`, code, {
    cause: error,
  });
}

/** A code for programs, whatever was thrown. */
export function codeOfFailure(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'ERR_UNEXPECTED';
}

/** One line for people; of the loader's report, which lists places, all lines. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof OstinatoError && error.code === 'ERR_ADDON') return error.message;
  return error.message.replace(/\s*\n\s*/g, ' ');
}
