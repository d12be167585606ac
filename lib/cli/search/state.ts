/** `search.json`: what a search is, and how far it has come. */
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../../atomic-file';
import { info } from '../../index';
import { isRecord } from '../../validate';
import type { SearchValues } from '../commands/search';
import { Failure, fileError } from '../failures';
import type { Json } from '../output';
import { runExists } from '../run-directory';
import type { Point } from './space';

/** The number that stands in files; a reader refuses others. */
const FORMAT = 1;

/** How a trial stood when it had made so many epochs. */
export interface Result {
  epochs: number;
  /** The best value of the metric until then; null for a trial that diverged. */
  score: number | null;
  /** The epoch of that value, from 1. */
  bestEpoch: number | null;
}

/** One point, and what became of it. */
export interface Trial {
  /** Of its run directory. */
  name: string;
  point: Point;
  /** In the order of the rungs. */
  results: Result[];
  /** What ended it early. */
  failure?: string;
}

/** What `search.json` holds. */
export interface SearchState {
  format: number;
  version: string;
  begun: string;
  /** How the points are drawn and judged. */
  search: SearchValues & { maxEpochs: number };
  /** The configuration with its parameters, paths made absolute. */
  values: Record<string, Json>;
  /** The name of the score that trials are judged by; undefined until one has begun. */
  judgedBy?: string;
  trials: Trial[];
}

export const searchFileOf = (directory: string): string => join(directory, 'search.json');

/** `trial-001`: the name of a run directory; numbers begin at 1. */
export const trialName = (index: number): string => `trial-${String(index + 1).padStart(3, '0')}`;

/**
 * Writes the state; a reader finds the old or the new one.
 *
 * @throws OstinatoError `ERR_IO`
 */
export async function writeSearch(directory: string, state: SearchState): Promise<void> {
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw fileError('write', directory, error);
  });
  const bytes = Buffer.from(`${JSON.stringify(state, null, 2)}\n`);
  await writeAtomically(searchFileOf(directory), [bytes]);
}

/**
 * Reads the search of a directory; undefined where there is none.
 *
 * @throws Failure that names the file, when it is damaged or of another version
 */
export async function readSearch(directory: string): Promise<SearchState | undefined> {
  const path = searchFileOf(directory);
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fileError('read', path, error);
  }
  let state: unknown;
  try {
    state = JSON.parse(source);
  } catch (error) {
    throw new Failure(`${path} is not JSON: ${(error as Error).message}`, 'ERR_FORMAT');
  }
  const { format, version, search, values, trials } = isRecord(state) ? state : {};
  if (format !== FORMAT) {
    throw new Failure(
      `${path} is of format ${String(format)}, by ostinato ${String(version)}; this is ostinato ${info().version}, which reads format ${FORMAT}`,
      'ERR_CHECKPOINT',
    );
  }
  if (!isRecord(search) || !isRecord(values) || !Array.isArray(trials)) {
    throw new Failure(`${path} lacks what its search is`, 'ERR_FORMAT');
  }
  return state as SearchState;
}

/** A search that has not begun. */
export function newSearch(
  search: SearchState['search'],
  values: Record<string, Json>,
  points: readonly Point[],
): SearchState {
  return {
    format: FORMAT,
    version: info().version,
    begun: new Date().toISOString(),
    search,
    values,
    trials: points.map((point, i) => ({ name: trialName(i), point, results: [] })),
  };
}

/** @throws Failure when the directory holds trials of which no `search.json` tells */
export async function checkNoTrials(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => [] as string[]);
  const stranger = names.find((name) => /^trial-\d+$/.test(name) || name === 'run.json');
  if (stranger === undefined) return;
  throw new Failure(
    `${directory} holds ${stranger} already, which is of no search there; give another --dir`,
    'EEXIST',
  );
}

/** The first difference between two values of one name, as `name was 3 and is 5`. */
function differenceOf(before: Readonly<object>, now: Readonly<object>): string | undefined {
  const [a, b] = [before, now] as Record<string, unknown>[];
  const key = [...new Set([...Object.keys(a!), ...Object.keys(b!)])].find(
    (one) => JSON.stringify(a![one]) !== JSON.stringify(b![one]),
  );
  if (key === undefined) return undefined;
  const shown = (value: unknown): string =>
    value === undefined ? 'not given' : JSON.stringify(value);
  return `"${key}" was ${shown(a![key])} and is ${shown(b![key])}`;
}

/**
 * The state to go on with when a search is asked for where one has begun. A random search may have
 * grown by trials, and before the first result another metric may be named.
 *
 * @throws Failure that names the first setting in which the two differ
 */
export async function continued(
  directory: string,
  before: SearchState,
  now: SearchState,
): Promise<SearchState> {
  const found = before.trials.some(({ results }) => results.length > 0);
  // Nothing but mistakes so far.
  if (!found && !(await runExists(join(directory, trialName(0))))) return now;
  // As files hold them: without what is undefined.
  const wanted = JSON.parse(JSON.stringify(now)) as SearchState;
  const { method, trials, metric, mode } = wanted.search;
  const known: Partial<SearchValues> = { ...before.search };
  if (method === 'random' && trials >= before.search.trials) known.trials = trials;
  if (!found) Object.assign(known, { metric, mode });
  const difference =
    differenceOf(known, wanted.search) ?? differenceOf(before.values, wanted.values);
  if (difference !== undefined) {
    throw new Failure(
      `${directory} holds another search: ${difference}; go on with that one by "ostinato resume ${directory}", or give another --dir`,
      'ERR_CHECKPOINT',
    );
  }
  const kept = before.trials.length;
  return {
    ...before,
    search: now.search,
    trials: [...before.trials, ...now.trials.slice(kept)],
  };
}
