/**
 * Errors of the public API. Wrong arguments are `TypeError` (wrong kind) or `RangeError` (wrong
 * size or value); everything that depends on state, files or the numbers themselves is an
 * {@link OstinatoError} with a `code`.
 */

/**
 * What went wrong, in a form that programs can compare:
 *
 * - `ERR_INVALID_ARGUMENT` an argument is of the wrong kind, size or value
 * - `ERR_SHAPE_MISMATCH` two shapes that must agree do not
 * - `ERR_DISPOSED` the object was disposed
 * - `ERR_BUSY` the model or session is in use by another call
 * - `ERR_DIVERGED` the loss or a gradient became NaN or infinite
 * - `ERR_ABORTED` the operation was cancelled
 * - `ERR_FORMAT` a file is not what it claims to be
 * - `ERR_CHECKPOINT` a checkpoint is of another model, other data, other options or another version
 * - `ERR_IO` a file could not be read or written; `cause` holds the system's error
 * - `ERR_OUT_OF_MEMORY` the native core could not allocate memory
 * - `ERR_ADDON` the native addon could not be loaded
 */
export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_SHAPE_MISMATCH'
  | 'ERR_DISPOSED'
  | 'ERR_BUSY'
  | 'ERR_DIVERGED'
  | 'ERR_ABORTED'
  | 'ERR_FORMAT'
  | 'ERR_CHECKPOINT'
  | 'ERR_IO'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_ADDON';

/** An error that carries a {@link ErrorCode}; compare `error.code`, not the message. */
export class OstinatoError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OstinatoError';
    this.code = code;
  }
}

const MAX_SHOWN = 60;

function shorten(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN - 1)}…`;
}

/** The kind of a value as messages name it: `number`, `null`, `Array`, `Float32Array`, … */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  if (Array.isArray(value)) return 'Array';
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  return tag === 'Object' ? 'object' : tag;
}

/** A short rendering of a value for messages; never throws, never calls user code. */
export function show(value: unknown): string {
  if (typeof value === 'string') return shorten(JSON.stringify(value));
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return shorten(String(value));
  if (ArrayBuffer.isView(value)) {
    return `${kindOf(value)}(${String((value as { length?: number }).length ?? value.byteLength)})`;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? '{}' : shorten(`{ ${keys.join(', ')} }`);
}

/** The one text of argument errors. `advice` follows after a semicolon. */
export function argumentMessage(
  expected: string,
  name: string,
  value: unknown,
  advice?: string,
): string {
  const text = `Expected ${expected} for "${name}" but received ${show(value)} (${kindOf(value)})`;
  return advice === undefined ? text : `${text}; ${advice}`;
}

function withCode<E extends Error>(error: E, code: ErrorCode): E & { code: ErrorCode } {
  return Object.assign(error, { code });
}

/** A value of the wrong kind. */
export function wrongKind(
  expected: string,
  name: string,
  value: unknown,
  advice?: string,
): TypeError {
  return withCode(
    new TypeError(argumentMessage(expected, name, value, advice)),
    'ERR_INVALID_ARGUMENT',
  );
}

/** A value of the right kind but of a wrong size or outside its range. */
export function wrongValue(
  expected: string,
  name: string,
  value: unknown,
  advice?: string,
): RangeError {
  return withCode(
    new RangeError(argumentMessage(expected, name, value, advice)),
    'ERR_INVALID_ARGUMENT',
  );
}

/** Shapes that do not fit together. */
export function shapeMismatch(message: string): OstinatoError {
  return new OstinatoError('ERR_SHAPE_MISMATCH', message);
}

/** A use after `dispose()`. */
export function disposed(what: string): OstinatoError {
  return new OstinatoError('ERR_DISPOSED', `The ${what} has been disposed`);
}

/** A call that another call's work excludes. */
export function busy(what: string, doing: string): OstinatoError {
  return new OstinatoError(
    'ERR_BUSY',
    `The ${what} is busy: ${doing} has not finished; await it first`,
  );
}

const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_INVALID_ARGUMENT',
  'ERR_SHAPE_MISMATCH',
  'ERR_DISPOSED',
  'ERR_BUSY',
  'ERR_DIVERGED',
  'ERR_ABORTED',
  'ERR_FORMAT',
  'ERR_CHECKPOINT',
  'ERR_IO',
  'ERR_OUT_OF_MEMORY',
]);

/** The code of an error that native code made, or undefined. */
export function codeOf(error: unknown): ErrorCode | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && CODES.has(code) ? (code as ErrorCode) : undefined;
}

/**
 * Makes an error of this realm and this library from one that native code threw, so that
 * `instanceof` and the stack are the caller's. Other errors are returned as they are.
 */
export function fromNative(error: unknown): unknown {
  const { name, message } = (error ?? {}) as { name?: string; message: string };
  const code = codeOf(error);
  if (name === 'TypeError' && code === undefined) {
    return withCode(new TypeError(message, { cause: error }), 'ERR_INVALID_ARGUMENT');
  }
  // Native errors with a code are plain ones; those of this library have names of their own.
  if (name !== 'Error' || code === undefined) return error;
  if (code === 'ERR_INVALID_ARGUMENT') {
    return withCode(new RangeError(message, { cause: error }), code);
  }
  return new OstinatoError(code, message, { cause: error });
}

/** Runs a native call and converts what it throws. */
export function guardNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Awaits a native call and converts what it rejects with. */
export async function awaitNative<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromNative(error);
  }
}
