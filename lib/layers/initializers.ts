/** How weights begin: names, and names with a number. The drawing is the core's. */
import { wrongKind, wrongValue } from '../errors';
import { checkNumber, custom, isRecord, nearest, parseOptions, number } from '../validate';
import type { Bounds, Field } from '../validate';

/** Initialisers that need nothing but their name. */
const NAMES = [
  'glorotUniform',
  'glorotNormal',
  'heUniform',
  'heNormal',
  'lecunUniform',
  'lecunNormal',
  'orthogonal',
  'uniform',
  'unitUniform',
  'normal',
  'truncatedNormal',
  'zeros',
  'ones',
  'identity',
  'torch',
] as const;

/** The number that an initialiser may have: its name, its bounds, its default if it has one. */
const NUMBERS = {
  constant: ['value', {}, undefined],
  uniform: ['limit', { min: 0 }, 0.05],
  normal: ['stddev', { min: 0 }, 0.05],
  truncatedNormal: ['stddev', { min: 0 }, 0.05],
  orthogonal: ['gain', {}, 1],
  identity: ['gain', {}, 1],
  chrono: ['tMax', { above: 2, max: 1e8 }, undefined],
} as const satisfies Record<string, readonly [string, Bounds, number | undefined]>;

type WithNumber = keyof typeof NUMBERS;

/** Names of initialisers; see {@link Initializer}. */
export type InitializerName = (typeof NAMES)[number];

/** An initialiser with its number; see {@link Initializer}. */
export type InitializerConfig =
  | { kind: 'constant'; value: number }
  | { kind: 'uniform'; limit?: number }
  | { kind: 'normal' | 'truncatedNormal'; stddev?: number }
  | { kind: 'orthogonal' | 'identity'; gain?: number };

/**
 * How weights are drawn at first: `glorotUniform` / `glorotNormal` (Glorot and Bengio 2010),
 * `heUniform` / `heNormal` (He et al. 2015), `lecunUniform` / `lecunNormal` (LeCun et al. 1998),
 * `orthogonal` (Saxe et al. 2013; times `gain`, 1), `uniform` in ±`limit` (0.05), `unitUniform` in
 * 0 … 1, `normal` with deviation `stddev` (0.05), `truncatedNormal`, the same without what is more
 * than two deviations away from 0, `zeros`, `ones`, `constant` (a `value`), `identity` (times `gain`,
 * 1), and `torch`: uniform in ±1/√n, where n is PyTorch's choice for the layer (units of a recurrent
 * layer, inputs of a dense one).
 */
export type Initializer = InitializerName | InitializerConfig;

/**
 * Chrono initialisation of an LSTM's or a GRU's biases, for dependencies of up to `tMax` steps
 * (Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018): the gate that keeps the
 * state begins with a bias of log(u), u uniform in [1, tMax − 1], so that units forget after times
 * of all magnitudes; an LSTM's input gate begins with minus that. All other biases begin at 0.
 */
export type ChronoInitializer = {
  kind: 'chrono';
  /** The longest dependency that is expected, in steps; above 2. */
  tMax: number;
};

function isNumbered(kind: string, allowed: readonly string[]): kind is WithNumber {
  return kind in NUMBERS && allowed.includes(kind);
}

function parse(value: unknown, label: string, kinds: readonly string[]): Initializer {
  const expected = `an initialiser (${kinds.join(', ')})`;
  const kind: unknown = isRecord(value) ? value['kind'] : value;
  if (typeof kind !== 'string') throw wrongKind(expected, label, value);
  if (!kinds.includes(kind)) {
    const near = nearest(kind, kinds);
    const advice = near === undefined ? undefined : `did you mean "${near}"?`;
    throw wrongValue(expected, label, kind, advice);
  }
  if (!isNumbered(kind, kinds)) {
    if (isRecord(value)) parseOptions(label, value, { kind: custom((name) => name, kind) });
    return kind as InitializerName;
  }
  const [part, bounds, otherwise] = NUMBERS[kind];
  if (!isRecord(value)) {
    if (otherwise !== undefined) return kind as InitializerName;
    throw wrongKind(`{ kind: "${kind}", ${part}: … }`, label, value);
  }
  const schema = { kind: custom((name) => name, kind), [part]: number(bounds, otherwise) };
  const read = parseOptions(label, value, schema) as Record<string, unknown>;
  return { kind, [part]: checkNumber(read[part], `${label}.${part}`, bounds) } as InitializerConfig;
}

const KINDS: readonly string[] = [...NAMES, 'constant'];

/** A field for an {@link Initializer}. */
export function initializer(fallback: Initializer): Field<Initializer> {
  return custom((value, label) => parse(value, label, KINDS), fallback);
}

/** A field for an initialiser of a recurrent layer's biases. */
export function biasInitializer(fallback: Initializer): Field<Initializer | ChronoInitializer> {
  return custom((value, label) => parse(value, label, [...KINDS, 'chrono']), fallback);
}

/** An initialiser as one word, with its number: `zeros`, `uniform:0.05`. */
export function initializerWord(given: Initializer): string {
  const { kind, ...parts } = typeof given === 'string' ? { kind: given } : given;
  const number =
    Object.values(parts)[0] ?? (NUMBERS as Partial<typeof NUMBERS>)[kind as WithNumber]?.[2];
  return number === undefined ? kind : `${kind}:${number}`;
}

/**
 * The initialiser of a word that {@link initializerWord} gave.
 *
 * @throws TypeError, RangeError for anything else
 */
export function initializerOfWord(word: string, label: string): Initializer {
  const [kind = '', number] = word.split(':');
  if (number === undefined || !isNumbered(kind, KINDS)) return parse(word, label, KINDS);
  return parse({ kind, [NUMBERS[kind][0]]: Number(number) }, label, KINDS);
}
