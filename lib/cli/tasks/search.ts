import { basename, join, relative, resolve } from 'node:path';
import { writeAtomically } from '../../atomic-file';
import { setThreads } from '../../index';
import { isRecord } from '../../validate';
import { searchPlaces, searchSettings } from '../commands/search';
import { readConfigFile } from '../config-file';
import type { ConfigFile } from '../config-file';
import { Failure } from '../failures';
import { Output } from '../output';
import type { Json } from '../output';
import { searchPage, trialTable } from '../search/page';
import { Search, lastResult, pointText, short } from '../search/run';
import { drawPoints, extremes, findParameters, valuesAt } from '../search/space';
import type { Parameter, Point } from '../search/space';
import {
  checkNoTrials,
  continued,
  newSearch,
  readSearch,
  searchFileOf,
  writeSearch,
} from '../search/state';
import type { SearchState } from '../search/state';
import { checkValues } from '../search/trial';
import { settle } from '../settings';
import { UsageError } from '../usage-error';

/** Keys of a configuration that say where and how, not what is trained. */
const PLACES = ['search', 'dir', 'out', 'threads', 'json'];

type Given = Readonly<Record<string, unknown>>;

/** The settings of the search, from flags and from what stands under `search`. */
function settingsOf(config: ConfigFile, flags: Given) {
  const block = config.values['search'];
  if (block !== undefined && !isRecord(block)) {
    throw new UsageError(
      `${config.place('search')}: Expected keys and values for "search", for example "search: { trials: 20 }"`,
    );
  }
  return settle(searchSettings, flags, {
    values: block ?? {},
    place: (key, inside = []) => config.place('search', [key, ...inside]),
  });
}

/**
 * Checks the configuration at every end of every parameter, so that nothing wrong is found hours
 * later.
 *
 * @returns the epochs that it gives a run
 */
async function checkEnds(config: ConfigFile, parameters: readonly Parameter[]): Promise<number> {
  const first: Point = Object.fromEntries(
    parameters.map(({ name, domain }) => [name, extremes(domain)[0]!]),
  );
  const check = (point: Point): Promise<number> =>
    checkValues({ ...config, values: valuesAt(config.values, parameters, point) });
  const epochs = await check(first);
  for (const { name, domain } of parameters) {
    for (const value of extremes(domain).slice(1)) await check({ ...first, [name]: value });
  }
  return epochs;
}

/** Begins a search, or goes on with it. */
export async function search(configPath: string, flags: Given): Promise<number> {
  const config = await readConfigFile(configPath);
  const given = Object.entries(config.values).filter(([key]) => key in searchPlaces);
  const places = settle(searchPlaces, flags, { ...config, values: Object.fromEntries(given) });
  const settings = settingsOf(config, flags);
  const values = Object.fromEntries(
    Object.entries(config.values).filter(([key]) => !PLACES.includes(key)),
  ) as Record<string, Json>;
  const named = { values, place: config.place };
  const parameters = findParameters(named);
  if (parameters.length === 0) {
    throw new UsageError(
      `${configPath} has nothing to search: write what may vary in place of a value, for example "learningRate: { logUniform: [1e-4, 1e-1] }"`,
    );
  }
  const epochs = await checkEnds(named, parameters);
  const { dir } = places;
  if (dir === undefined) throw new UsageError('--dir is required, or "dir" in the configuration');
  const maxEpochs = settings.maxEpochs ?? epochs;
  if (settings.minEpochs > maxEpochs) {
    throw new UsageError(
      `--min-epochs ${settings.minEpochs} is more than --max-epochs ${maxEpochs}`,
    );
  }
  const points = drawPoints(parameters, settings.trials, settings.seed);
  const wanted = newSearch({ ...settings, maxEpochs }, values, points);
  const before = await readSearch(dir);
  if (before === undefined) await checkNoTrials(dir);
  const state = before === undefined ? wanted : await continued(dir, before, wanted);
  const metricPlace =
    flags['metric'] === undefined ? config.place('search', ['metric']) : '--metric';
  return work(dir, state, config.place, metricPlace, places);
}

/** Goes on with the search of a directory; undefined where there is none. */
export async function resumeSearch(
  directory: string,
  places: { threads: number | undefined; json: boolean },
): Promise<number | undefined> {
  const state = await readSearch(directory);
  if (state === undefined) return undefined;
  const path = searchFileOf(directory);
  try {
    return await work(directory, state, () => path, path, places);
  } catch (error) {
    // Nobody used the command wrongly: the file is not as it was written.
    if (!(error instanceof UsageError)) throw error;
    throw new Failure(error.message, 'ERR_FORMAT', { cause: error });
  }
}

async function work(
  directory: string,
  state: SearchState,
  place: ConfigFile['place'],
  metricPlace: string,
  { threads, json }: { threads: number | undefined; json: boolean },
): Promise<number> {
  const output = new Output(json);
  if (threads !== undefined) setThreads(threads);
  const inside = relative('', directory);
  const shown = inside.startsWith('..') ? directory : inside || '.';
  const running = new Search(shown, state, place, metricPlace, output);
  await running.run();
  const { standing, parameters, interrupted } = running;
  if (standing.ranked.length > 0) {
    const title = basename(resolve(directory));
    const page = await searchPage(directory, title, state, standing, parameters);
    await writeAtomically(join(directory, 'search.html'), [Buffer.from(page)]);
  }
  await writeSearch(directory, state);
  tell(shown, state, running, output);
  const { ranked } = standing;
  const nothing = !interrupted && ranked.every((trial) => lastResult(trial)!.score === null);
  if (nothing) {
    throw new Failure(
      'No trial has a score: all of them diverged; lower the learning rates of the space',
      'ERR_DIVERGED',
    );
  }
  return running.exitCode;
}

/** The end of a search: the table, and how to go on. */
function tell(shown: string, state: SearchState, running: Search, output: Output): void {
  const { standing, parameters, interrupted } = running;
  const { metric, ranked } = standing;
  const best = ranked[0];
  const result = best && lastResult(best);
  output.object({
    event: 'done',
    directory: shown,
    interrupted,
    metric: metric ?? null,
    best:
      best === undefined || typeof result?.score !== 'number'
        ? null
        : { trial: best.name, parameters: best.point as Json, ...result },
    trials: ranked.map((trial) => ({
      trial: trial.name,
      parameters: trial.point,
      ...lastResult(trial)!,
      failure: trial.failure ?? null,
    })),
    page: ranked.length > 0 ? join(shown, 'search.html') : null,
  });
  if (ranked.length > 0) output.line(`\n${trialTable(standing, parameters)}\n`);
  if (interrupted) output.line(`Stopped. Go on:\n  ostinato resume ${shown}`);
  if (best === undefined || typeof result?.score !== 'number') return;
  const { name, point } = best;
  output.line(`Best: ${name}, ${metric} ${short(result.score)} (${pointText(point)})`);
  output.line(`Wrote ${join(shown, 'search.html')}. Go on:`);
  const run = join(shown, name);
  const task = state.values['task'] ?? 'text';
  if (task === 'text')
    output.line(`  ostinato generate ${join(run, 'checkpoints/best.safetensors')}`);
  else output.line(`  ostinato ${task === 'forecast' ? 'forecast' : 'predict'} ${run} --data FILE`);
  output.line(`  ostinato report ${run}`);
}
