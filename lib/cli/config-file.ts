/** Reads configuration files in JSON or YAML. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { isRecord } from '../validate';
import { fileError } from './failures';
import { UsageError } from './usage-error';

/** Keys whose values are paths, seen from the folder of the configuration file. */
const PATHS = ['text', 'out', 'resume'];

async function parse(source: string, path: string): Promise<unknown> {
  try {
    if (extname(path).toLowerCase() === '.json') return JSON.parse(source);
    const { parse: parseYaml } = await import('yaml');
    return parseYaml(source);
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new UsageError(`${path} cannot be read as a configuration file: ${reason}`);
  }
}

/**
 * The keys and values of a configuration file; paths in it are made absolute.
 *
 * @param path ends with `.json`, `.yaml` or `.yml`
 * @throws UsageError for another kind of file, or one that holds no keys and values
 * @throws Failure when it cannot be opened
 */
export async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  if (!/\.(json|ya?ml)$/i.test(path)) {
    throw new UsageError(
      `Expected a configuration file that ends with .json, .yaml or .yml but received "${basename(path)}"; give a text by --text`,
    );
  }
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  const config = await parse(source, path);
  if (!isRecord(config)) {
    throw new UsageError(`Expected keys and values in ${path}, for example "units: 256"`);
  }
  const folder = dirname(resolve(path));
  const absolute = (key: string, value: unknown): unknown =>
    PATHS.includes(key) && typeof value === 'string' && value !== ''
      ? resolve(folder, value)
      : value;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, absolute(key, value)]),
  );
}
