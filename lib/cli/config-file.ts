/** Reads configuration files in JSON or YAML. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { isRecord } from '../validate';
import { fileError } from './failures';
import { UsageError } from './usage-error';

/** Keys whose values are paths, seen from the folder of the configuration file. */
const PATHS = ['text', 'data', 'out', 'resume', 'dir'];

/** The keys and values of a configuration file, and where they stand. */
export interface ConfigFile {
  values: Record<string, unknown>;
  /** The line of a key, or of a part of its value, from 1, as `file:line`. */
  place: (key: string, inside?: readonly (string | number)[]) => string;
}

/** Runs a check of a part of a value; what it throws knows where in the value it stands. */
export function placed<T>(inside: readonly (string | number)[], check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw Object.assign(error as Error, { inside });
  }
}

/** Where in a value the error of {@link placed} stands. */
export function placeInside(error: unknown): readonly (string | number)[] {
  return (error as { inside?: readonly (string | number)[] }).inside ?? [];
}

/** What a parser says, with the line where JSON gives a position alone. */
function reasonOf(error: unknown, source: string): string {
  const [reason] = (error as Error).message.split('\n');
  const position = /at position (\d+)(?! \(line)/.exec(reason!);
  if (position === null) return reason!.replace(/:$/, '');
  return `${reason} (line ${source.slice(0, Number(position[1])).split('\n').length})`;
}

async function parse(source: string, path: string): Promise<ConfigFile> {
  const { LineCounter, isMap, isScalar, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  try {
    const json = extname(path).toLowerCase() === '.json';
    const parsed: unknown = json ? JSON.parse(source) : undefined;
    // JSON is YAML, so this finds the lines of both.
    const document = parseDocument(source, { lineCounter: lines });
    if (!json && document.errors.length > 0) throw document.errors[0]!;
    const { contents } = document;
    const place = (key: string, inside: readonly (string | number)[] = []): string => {
      const part = inside.length === 0 ? undefined : document.getIn([key, ...inside], true);
      const begin = (part as { range?: [number] } | undefined)?.range?.[0];
      if (begin !== undefined) return `${path}:${lines.linePos(begin).line}`;
      const pair = isMap(contents)
        ? contents.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
        : undefined;
      const offset = (pair?.key as { range?: [number] } | undefined)?.range?.[0];
      return offset === undefined ? path : `${path}:${lines.linePos(offset).line}`;
    };
    const values = json ? parsed : (document.toJS() as unknown);
    if (!isRecord(values)) {
      throw new UsageError(`Expected keys and values in ${path}, for example "units: 256"`);
    }
    return { values, place };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(
      `${path} cannot be read as a configuration file: ${reasonOf(error, source)}`,
    );
  }
}

/**
 * Reads a configuration file; paths in it are made absolute.
 *
 * @param path ends with `.json`, `.yaml` or `.yml`
 * @throws UsageError for another kind of file, or one that holds no keys and values
 * @throws Failure when it cannot be opened
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  if (!/\.(json|ya?ml)$/i.test(path)) {
    throw new UsageError(
      `Expected a configuration file that ends with .json, .yaml or .yml but received "${basename(path)}"; give a text by --text`,
    );
  }
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  const { values, place } = await parse(source, path);
  const folder = dirname(resolve(path));
  const absolute = (key: string, value: unknown): unknown =>
    PATHS.includes(key) && typeof value === 'string' && value !== ''
      ? resolve(folder, value)
      : value;
  return {
    values: Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, absolute(key, value)]),
    ),
    place,
  };
}
