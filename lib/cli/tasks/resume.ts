import { resolve } from 'node:path';
import { trainSettings } from '../commands/train';
import type { TrainValues } from '../commands/train';
import { resumeSettings } from '../commands/resume';
import { Failure } from '../failures';
import { readRun, runExists } from '../run-directory';
import { settle } from '../settings';
import { trainWith } from './train';

/** Goes on with the run of a directory, or with its search. */
export async function resume(
  directory: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { threads, json } = settle(resumeSettings, flags);
  if (!(await runExists(directory))) {
    const { resumeSearch } = await import('./search.js');
    const exitCode = await resumeSearch(directory, { threads, json });
    if (exitCode !== undefined) return exitCode;
  }
  const run = await readRun(directory);
  const path = `${directory}/run.json`;
  if ('task' in run.settings) {
    const { resumeOnData } = await import('../sequence/train.js');
    return resumeOnData(directory, run, { threads, json });
  }
  let settings: TrainValues;
  try {
    settings = settle(trainSettings, {}, { values: run.settings, place: () => path });
  } catch (error) {
    throw new Failure((error as Error).message, 'ERR_FORMAT', { cause: error });
  }
  const { epochs } = settings;
  if (epochs === undefined) throw new Failure(`${path} lacks the epochs of its run`, 'ERR_FORMAT');
  // What was asked of the machine then need not suit this one; the folder may have been moved.
  const values = { ...settings, dir: resolve(directory), threads, json };
  return trainWith(values, { epochs }, run);
}
