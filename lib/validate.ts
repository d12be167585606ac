/** Predicates, and options objects checked against a schema: kinds, ranges, unknown names. */
import { distance } from 'fastest-levenshtein';
import { wrongKind, wrongValue } from './errors';

/** The largest count that the core accepts for a dimension (units, features, vocabulary). */
export const MAX_DIMENSION = 2 ** 24;

/** How to read one option. `fallback` undefined and `required` false: the option may be absent. */
export interface Field<T> {
  readonly parse: (value: unknown, name: string) => T;
  readonly required: boolean;
  readonly fallback: T;
}

/** Options by name; the keys are exactly the names that are allowed. */
export type Schema = Record<string, Field<unknown>>;

/** What {@link parseOptions} returns for a schema. */
export type Parsed<S extends Schema> = { [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** True for an object with properties to read: not null, not an array, not a typed array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value)
  );
}

export function checkInteger(value: unknown, name: string, min: number, max: number): number {
  const expected = `an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw wrongKind(expected, name, value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw wrongValue(expected, name, value);
  }
  return value;
}

function field<T>(parse: Field<T>['parse'], fallback?: T): Field<T> {
  return { parse, required: fallback === undefined, fallback: fallback as T };
}

/** A field that may be absent: `undefined` then. */
export function optional<T>(inner: Field<T>): Field<T | undefined> {
  return { parse: inner.parse, required: false, fallback: undefined };
}

/** An integer in [min, max]; required without a fallback. */
export function integer(min: number, max: number, fallback?: number): Field<number> {
  return field((value, name) => checkInteger(value, name, min, max), fallback);
}

/** What a number may be: bounds are inclusive unless said otherwise. */
export interface Bounds {
  min?: number;
  max?: number;
  above?: number;
  below?: number;
}

function boundsText({ min, max, above, below }: Bounds): string {
  const parts: string[] = [];
  if (min !== undefined) parts.push(`at least ${min}`);
  if (above !== undefined) parts.push(`above ${above}`);
  if (max !== undefined) parts.push(`at most ${max}`);
  if (below !== undefined) parts.push(`below ${below}`);
  return parts.length === 0 ? 'a finite number' : `a finite number ${parts.join(' and ')}`;
}

export function checkNumber(value: unknown, name: string, bounds: Bounds = {}): number {
  const expected = boundsText(bounds);
  if (typeof value !== 'number') throw wrongKind(expected, name, value);
  const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = bounds;
  if (!Number.isFinite(value) || value < min || value > max || value <= above || value >= below) {
    throw wrongValue(expected, name, value);
  }
  return value;
}

/** A finite number within bounds; required without a fallback. */
export function number(bounds: Bounds, fallback?: number): Field<number> {
  return field((value, name) => checkNumber(value, name, bounds), fallback);
}

/** A boolean. */
export function flag(fallback: boolean): Field<boolean> {
  return field((value, name) => {
    if (typeof value !== 'boolean') throw wrongKind('true or false', name, value);
    return value;
  }, fallback);
}

function listed(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}

export function checkOneOf<T extends string>(
  value: unknown,
  name: string,
  allowed: readonly T[],
): T {
  const expected = `one of ${listed(allowed)}`;
  if (typeof value !== 'string') throw wrongKind(expected, name, value);
  if (!allowed.includes(value as T)) {
    const near = nearest(value, allowed);
    throw wrongValue(
      expected,
      name,
      value,
      near === undefined ? undefined : `did you mean "${near}"?`,
    );
  }
  return value as T;
}

/** One of the given strings. */
export function oneOf<T extends string>(allowed: readonly T[], fallback?: T): Field<T> {
  return field((value, name) => checkOneOf(value, name, allowed), fallback);
}

/** Any function. */
export function callback<T extends (...args: never[]) => unknown>(): Field<T | undefined> {
  return optional(
    field((value, name) => {
      if (typeof value !== 'function') throw wrongKind('a function', name, value);
      return value as T;
    }),
  );
}

/** An `AbortSignal`, of any realm. */
export function abortSignal(): Field<AbortSignal | undefined> {
  return optional(
    field((value, name) => {
      const signal = value as AbortSignal | null;
      if (
        typeof signal !== 'object' ||
        typeof signal?.aborted !== 'boolean' ||
        typeof signal.addEventListener !== 'function'
      ) {
        throw wrongKind('an AbortSignal', name, value);
      }
      return signal;
    }),
  );
}

/** Passed through; the reader checks it. */
export function anything(): Field<unknown> {
  return { parse: (value) => value, required: false, fallback: undefined };
}

/** A field with a check of its own. */
export function custom<T>(parse: Field<T>['parse'], fallback?: T): Field<T> {
  return field(parse, fallback);
}

/** Names that users of other libraries try first, and what they are called here. */
const FOREIGN_NAMES: Record<string, { here: readonly string[]; origin: string }> = {
  hiddenSize: { here: ['units'], origin: "PyTorch's name" },
  outFeatures: { here: ['units'], origin: "PyTorch's name" },
  embeddingDim: { here: ['units'], origin: "PyTorch's name" },
  outputDim: { here: ['units'], origin: "Keras's name" },
  numEmbeddings: { here: ['inputDim'], origin: "PyTorch's name" },
  vocabSize: { here: ['inputDim'], origin: 'a common name' },
  inputSize: { here: ['inputFeatures'], origin: "PyTorch's name" },
  inFeatures: { here: ['inputFeatures'], origin: "PyTorch's name" },
  inputShape: { here: ['inputFeatures'], origin: "Keras's name; give the last dimension alone" },
  numLayers: { here: ['layers'], origin: "PyTorch's name" },
  projSize: { here: ['projection'], origin: "PyTorch's name" },
  nonlinearity: { here: ['activation'], origin: "PyTorch's name" },
  bias: { here: ['useBias'], origin: "PyTorch's name" },
  p: { here: ['rate'], origin: "PyTorch's name" },
  eps: { here: ['epsilon'], origin: "PyTorch's name" },
  normalizedShape: { here: [], origin: 'layerNorm takes its size from its input' },
  outChannels: { here: ['filters'], origin: "PyTorch's name" },
  inChannels: { here: ['inputFeatures'], origin: "PyTorch's name" },
  dilationRate: { here: ['dilation'], origin: "Keras's name" },
  padding: { here: [], origin: 'convolutions are causal: zeros before the first step, none after' },
  batchFirst: { here: [], origin: 'inputs are always [batch, time, features]' },
  stateful: { here: [], origin: 'state is explicit: use model.session() or fit(…, { stateful })' },
  lr: { here: ['learningRate'], origin: "PyTorch's name" },
  rate: { here: ['dropout'], origin: "the dropout layer's name" },
  betas: { here: ['beta1'], origin: "PyTorch's name; beta1 and beta2 are two numbers" },
  alpha: { here: ['rho'], origin: "PyTorch's name" },
  clipnorm: { here: ['clipNorm'], origin: "Keras's name" },
  clipvalue: { here: ['clipValue'], origin: "Keras's name" },
  gradientAccumulationSteps: { here: ['accumulateSteps'], origin: "Keras's name" },
  lrDecay: { here: ['learningRate'], origin: "PyTorch's name; give a schedule" },
  decay: { here: ['weightDecay'], origin: 'a common name' },
  paramGroups: { here: ['groups'], origin: "PyTorch's name" },
  ema: { here: ['averaging'], origin: 'a common name' },
  swa: { here: ['averaging'], origin: 'a common name' },
  sampleWeight: { here: ['sampleWeights'], origin: "Keras's name" },
  maxLength: { here: ['length'], origin: 'a common name' },
};

function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/gi, (_match, letter: string) => letter.toUpperCase());
}

/** The allowed name that was most likely meant, if any is near. */
export function nearest(name: string, allowed: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of allowed) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) {
      bestDistance = d;
      best = candidate;
    }
  }
  return best;
}

function adviceFor(name: string, allowed: readonly string[]): string {
  const camel = camelCase(name);
  if (camel !== name && allowed.includes(camel)) {
    return `did you mean "${camel}"? (names are in camelCase)`;
  }
  const foreign = Object.hasOwn(FOREIGN_NAMES, camel) ? FOREIGN_NAMES[camel] : undefined;
  if (foreign !== undefined) {
    const here = foreign.here.find((candidate) => allowed.includes(candidate));
    if (here !== undefined) return `did you mean "${here}"? ("${name}" is ${foreign.origin})`;
    if (foreign.here.length === 0) return foreign.origin;
  }
  const near = nearest(camel, allowed);
  if (near !== undefined) return `did you mean "${near}"?`;
  return allowed.length === 0 ? 'there are no options' : `known options are ${listed(allowed)}`;
}

/** Throws a TypeError for a name that is not allowed, and says which was probably meant. */
export function rejectUnknown(owner: string, names: readonly string[], allowed: readonly string[]) {
  for (const name of names) {
    if (!allowed.includes(name)) {
      throw wrongKind('a known option', owner, name, adviceFor(name, allowed));
    }
  }
}

/**
 * Reads an options object once (getters run here and never again) against a schema.
 *
 * @param owner who the options belong to, as messages name it: `lstm`, `model.fit`
 * @throws TypeError for an unknown name, a missing required option or a value of the wrong kind
 * @throws RangeError for a value outside its range
 */
export function parseOptions<S extends Schema>(
  owner: string,
  given: unknown,
  schema: S,
): Parsed<S> {
  if (given !== undefined && !isRecord(given)) throw wrongKind('an options object', owner, given);
  const source: Record<string, unknown> = given === undefined ? {} : { ...given };
  rejectUnknown(owner, Object.keys(source), Object.keys(schema));
  const result: Record<string, unknown> = {};
  for (const [name, { parse, required, fallback }] of Object.entries(schema)) {
    const value = source[name];
    const label = `${owner}.${name}`;
    if (value !== undefined) result[name] = parse(value, label);
    else if (required) throw wrongKind('a value', label, value, 'the option is required');
    else result[name] = fallback;
  }
  return result as Parsed<S>;
}

/** A non-empty string. */
export function checkText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongKind('a string', name, value);
  if (value === '') throw wrongValue('a string that is not empty', name, value);
  return value;
}

/** Rejects anything that does not survive `JSON.stringify` and `JSON.parse`. */
export function checkJson(value: unknown, name: string): void {
  const visit = (part: unknown, path: string, above: readonly unknown[]): void => {
    if (part === null || typeof part === 'string' || typeof part === 'boolean') return;
    if (typeof part === 'number' && Number.isFinite(part)) return;
    if (typeof part !== 'object' || above.includes(part)) {
      throw wrongKind('a JSON value', path, part);
    }
    if (typeof (part as { toJSON?: unknown }).toJSON === 'function') return;
    if (ArrayBuffer.isView(part)) throw wrongKind('a JSON value', path, part);
    for (const [key, inner] of Object.entries(part)) {
      visit(inner, `${path}.${key}`, [...above, part]);
    }
  };
  visit(value, name, []);
}

const NAME = /^[A-Za-z_][\w-]*$/;

/** A name that may stand before a dot in names of parameters. */
export function checkName(value: unknown, label: string): string {
  const expected = 'a name of letters, digits, "_" and "-"';
  if (typeof value !== 'string') throw wrongKind(expected, label, value);
  if (!NAME.test(value)) throw wrongValue(expected, label, value);
  return value;
}
