/** Runs on data, ready to be trained by `train`, by `resume` or in a search. */
import { readFile } from 'node:fs/promises';
import { callbacks, optimizers } from '../../index';
import type { FitOptions, Model } from '../../index';
import { checkText, checkUnused, checkpointsOf, createRun, runCallbacks } from '../run-directory';
import type { RunDirectory } from '../run-directory';
import { rateOverSteps } from '../text-run';
import { readData } from './data';
import type { RunData } from './data';
import { buildModel } from './model';
import type { SequenceValues } from './settings';

/** A run that has its data and its model. */
export interface OpenDataRun {
  model: Model;
  data: RunData;
  /** The checkpoint to go on from; undefined at the begin. */
  resume: string | undefined;
}

/**
 * Reads the data, builds the model and makes the run directory, or finds where its run stands.
 *
 * @param begun the run directory to go on with; undefined begins a run, in `values.dir` if given
 * @throws Failure for data that cannot be learnt or has changed, or a directory with another run
 */
export async function openDataRun(
  values: SequenceValues,
  begun: RunDirectory | undefined,
): Promise<OpenDataRun> {
  const { dir, seed } = values;
  const data = await readData(values);
  const content = await readFile(values.data, 'utf8');
  if (begun === undefined && dir !== undefined) await checkUnused(dir);
  if (begun !== undefined) checkText(begun, values.data, content);
  const model = buildModel(values.layers, data.shape, seed);
  model.metadata = { data: data.spec };
  try {
    let resume: string | undefined;
    if (dir !== undefined) {
      if (begun === undefined) await createRun(dir, values, content, model);
      resume = await callbacks.latestCheckpoint(checkpointsOf(dir));
    }
    return { model, data, resume };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Steps of an epoch. */
export function batchesOf({ training }: RunData, { batch }: SequenceValues): number {
  return Math.ceil(training.samples / batch);
}

/** What a run is, as `fit` takes it; the same whoever trains it, so that all can go on with it. */
export function dataFit(
  data: RunData,
  values: SequenceValues,
  resume: string | undefined,
): FitOptions {
  const { learningRate, epochs, clip, dir } = values;
  const { validation } = data;
  // Without held out samples there is nothing to compute them on.
  const metrics = validation === undefined ? [] : (values.metrics ?? data.metrics);
  return {
    epochs,
    batchSize: values.batch,
    seed: values.seed,
    loss: data.loss,
    metrics: metrics as never,
    optimizer: optimizers.adamw({
      learningRate: rateOverSteps(learningRate, epochs * batchesOf(data, values)),
      clipNorm: clip,
    }),
    callbacks: dir === undefined ? [] : runCallbacks(dir),
    ...(validation === undefined ? {} : { validationData: [validation.x, validation.y] }),
    ...(resume === undefined ? {} : { resume }),
  };
}
