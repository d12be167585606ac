/** What a search may vary: values of a configuration that are not given but drawn. */
import { wrongKind, wrongValue } from '../../errors';
import { RandomSequence } from '../../rng';
import { checkNumber, isRecord, nearest } from '../../validate';
import { placeInside, placed } from '../config-file';
import type { ConfigFile } from '../config-file';
import type { Json } from '../output';
import { UsageError } from '../usage-error';

/** Where a value stands in a configuration. */
export type Path = readonly [string, ...(string | number)[]];

/** What a parameter may be. */
export type Domain =
  | { readonly kind: 'choice'; readonly values: readonly Json[] }
  | {
      readonly kind: 'uniform' | 'logUniform' | 'int' | 'logInt';
      readonly low: number;
      readonly high: number;
    };

/** A value that is drawn. */
export interface Parameter {
  /** `learningRate`, `layers[0].units` */
  readonly name: string;
  readonly path: Path;
  readonly domain: Domain;
}

/** Values of the parameters by their names. */
export type Point = Readonly<Record<string, Json>>;

const KINDS = ['choice', 'uniform', 'logUniform', 'int', 'logInt'] as const;
const EXAMPLE = 'for example { choice: [32, 64] } or { logUniform: [1e-4, 1e-1] }';

/** Keys that say what is learnt, or how it is measured: scores under two of them do not compare. */
const FIXED: readonly string[] = [
  ...['task', 'text', 'data', 'target', 'horizon', 'season', 'scaling', 'input', 'label', 'group'],
  ...['metrics', 'validation', 'epochs', 'seconds', 'resume', 'dir', 'out', 'threads', 'json'],
];

function nameOf([first, ...rest]: Path): string {
  return rest.reduce<string>(
    (name, part) => (typeof part === 'number' ? `${name}[${part}]` : `${name}.${part}`),
    first,
  );
}

function readChoice(given: unknown, label: string): Domain {
  if (!Array.isArray(given) || given.length === 0) {
    throw wrongKind('a list of values', label, given, EXAMPLE);
  }
  const values = given as Json[];
  const seen = new Map<string, number>();
  values.forEach((value, i) => {
    const text = JSON.stringify(value);
    if (seen.has(text)) throw wrongValue('different values', label, value, 'it stands there twice');
    seen.set(text, i);
  });
  return { kind: 'choice', values };
}

function readRange(kind: Exclude<Domain['kind'], 'choice'>, given: unknown, label: string): Domain {
  if (!Array.isArray(given) || given.length !== 2) {
    throw wrongKind(
      'a least and a largest number',
      label,
      given,
      `write ${kind}: [least, largest]`,
    );
  }
  const whole = kind === 'int' || kind === 'logInt';
  const [low, high] = (given as unknown[]).map((value, i) => {
    const at = `${label}[${i}]`;
    const bounds = kind === 'logUniform' ? { above: 0 } : kind === 'logInt' ? { min: 1 } : {};
    const read = checkNumber(value, at, bounds);
    if (whole && !Number.isSafeInteger(read)) throw wrongValue('a whole number', at, value);
    return read;
  }) as [number, number];
  if (low >= high) {
    throw wrongValue(`a number above ${low}`, `${label}[1]`, high, 'the least comes first');
  }
  return { kind, low, high };
}

/** Whether an object looks like a domain with a name that is none. */
function looksLikeDomain(value: Readonly<Record<string, unknown>>): boolean {
  const keys = Object.keys(value);
  return keys.length === 1 && Array.isArray(value[keys[0]!]);
}

function readDomain(value: Readonly<Record<string, unknown>>, name: string): Domain | undefined {
  const keys = Object.keys(value);
  const kind = KINDS.find((one) => keys.includes(one));
  if (kind === undefined) {
    if (!looksLikeDomain(value)) return undefined;
    const near = nearest(keys[0]!.replaceAll('_', ''), KINDS);
    const advice = near === undefined ? EXAMPLE : `did you mean "${near}"?`;
    throw wrongKind(`one of ${KINDS.join(', ')}`, name, keys[0], advice);
  }
  const other = keys.find((key) => key !== kind);
  if (other !== undefined) throw wrongKind(`nothing beside "${kind}"`, name, other);
  const label = `${name}.${kind}`;
  return kind === 'choice' ? readChoice(value[kind], label) : readRange(kind, value[kind], label);
}

/**
 * The parameters of a configuration: objects such as `{ choice: [16, 32] }`, `{ uniform: [0, 0.5] }`,
 * `{ logUniform: [1e-4, 1e-1] }`, `{ int: [1, 3] }` or `{ logInt: [16, 512] }` where a value would
 * stand, at any depth, in the file's order.
 *
 * @throws UsageError with file and line for one that is not well formed, or that a search cannot vary
 */
export function findParameters({ values, place }: ConfigFile): Parameter[] {
  const found: Parameter[] = [];
  const visit = (value: unknown, path: Path): void => {
    if (Array.isArray(value)) {
      value.forEach((item, i) => visit(item, [...path, i]));
      return;
    }
    if (!isRecord(value)) return;
    const name = nameOf(path);
    const [, ...inside] = path;
    const domain = placed(inside, () => readDomain(value, name));
    if (domain === undefined) {
      for (const [key, item] of Object.entries(value)) visit(item, [...path, key]);
    } else if (FIXED.includes(path[0])) {
      throw new Error(`A search cannot vary "${name}": its scores would not compare`);
    } else {
      found.push({ name, path, domain });
    }
  };
  for (const [key, value] of Object.entries(values)) {
    try {
      visit(value, [key]);
    } catch (error) {
      throw new UsageError(`${place(key, placeInside(error))}: ${(error as Error).message}`);
    }
  }
  return found;
}

/** The configuration at a point: a copy with values in the parameters' places. */
export function valuesAt(
  values: Readonly<Record<string, unknown>>,
  parameters: readonly Parameter[],
  point: Point,
): Record<string, unknown> {
  const copy = structuredClone(values) as Record<string, unknown>;
  for (const { name, path } of parameters) {
    let owner: Record<string | number, unknown> = copy;
    for (const part of path.slice(0, -1)) owner = owner[part] as Record<string, unknown>;
    owner[path.at(-1)!] = structuredClone(point[name]);
  }
  return copy;
}

/** The values at which a domain ends, each of which must be allowed. */
export function extremes(domain: Domain): readonly Json[] {
  return domain.kind === 'choice' ? domain.values : [domain.low, domain.high];
}

/** Digits of drawn numbers: what a table says is then what was trained. */
const DIGITS = 4;

function draw(domain: Domain, random: RandomSequence): Json {
  const share = random.next();
  if (domain.kind === 'choice') return domain.values[Math.floor(share * domain.values.length)]!;
  const { kind, low, high } = domain;
  if (kind === 'int') return low + Math.floor(share * (high - low + 1));
  if (kind === 'logInt') return Math.min(high, Math.floor(low * ((high + 1) / low) ** share));
  const value = kind === 'uniform' ? low + (high - low) * share : low * (high / low) ** share;
  return Math.min(high, Math.max(low, Number(value.toPrecision(DIGITS))));
}

/** Draws in a row that give nothing new, after which a space counts as exhausted. */
const PATIENCE = 1000;

/**
 * Different points, drawn independently. The n-th of a seed is the same for any count.
 *
 * @returns `count` points, or fewer where the space has no more
 */
export function drawPoints(parameters: readonly Parameter[], count: number, seed: number): Point[] {
  const points = new Map<string, Point>();
  let vain = 0;
  for (let stream = 0; points.size < count && vain < PATIENCE; stream++) {
    const random = new RandomSequence(seed, stream);
    const point = Object.fromEntries(
      parameters.map(({ name, domain }) => [name, draw(domain, random)]),
    );
    const key = JSON.stringify(point);
    vain = points.has(key) ? vain + 1 : 0;
    if (vain === 0) points.set(key, point);
  }
  return [...points.values()];
}
