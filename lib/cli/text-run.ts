/** Runs of language models, ready to be trained by `train`, by `resume` or in a search. */
import { callbacks, optimizers, schedules, text } from '../index';
import type { FitOptions, WindowDataset } from '../index';
import type { TrainValues } from './commands/train';
import {
  buildLanguageModel,
  encodeText,
  evaluationWindows,
  openLanguageModel,
  readText,
} from './language-model';
import type { LanguageModel } from './language-model';
import { checkText, checkUnused, checkpointsOf, createRun, runCallbacks } from './run-directory';
import type { RunDirectory } from './run-directory';

/** The last rate, as a share of the first. */
export const LAST_RATE = 0.05;

async function makeModel(content: string, values: TrainValues): Promise<LanguageModel> {
  if (values.resume !== undefined) return openLanguageModel(values.resume);
  const { cell = 'lstm', units = 256, layers: depth = 1, embedding = 64, dropout = 0 } = values;
  const architecture = { cell, units, depth, embedding, dropout };
  return buildLanguageModel(text.charVocab(content), architecture, values.seed);
}

/** The text in two: windows to learn from, and windows to measure on. */
interface Split {
  training: WindowDataset;
  validation: WindowDataset | undefined;
  lanes: number;
}

function split(ids: Int32Array, { batch, length, validation }: TrainValues): Split {
  const held = Math.floor(ids.length * validation);
  const measured = held < 2 ? ids.length : ids.length - held;
  // A lane of less than one window would learn from almost no history.
  const lanes = Math.max(1, Math.min(batch, Math.floor((measured - 1) / length)));
  return {
    training: text.windows(ids.slice(0, measured), { length, batchSize: lanes }),
    validation: measured === ids.length ? undefined : evaluationWindows(ids.slice(measured)),
    lanes,
  };
}

/** A run that has its data and its model. */
export interface TextRun extends Split {
  language: LanguageModel;
  /** Of the whole text. */
  characters: number;
  stepsPerEpoch: number;
  /** The checkpoint to go on from; undefined at the begin. */
  resume: string | undefined;
}

/**
 * Reads the text, builds the model and makes the run directory, or finds where its run stands.
 *
 * @param epochs what the run directory says of the run's length
 * @param begun the run directory to go on with; undefined begins a run, in `values.dir` if given
 * @throws Failure for a text that cannot be learnt or has changed, or a directory with another run
 */
export async function openTextRun(
  values: TrainValues,
  epochs: number | undefined,
  begun: RunDirectory | undefined,
): Promise<TextRun> {
  const { dir } = values;
  const content = await readText(values.text);
  if (begun === undefined && dir !== undefined) await checkUnused(dir);
  if (begun !== undefined) checkText(begun, values.text, content);
  const language = await makeModel(content, values);
  try {
    const ids = encodeText(language.vocab, content, values.text);
    const parts = split(ids, values);
    const stepsPerEpoch = parts.training.samples / parts.lanes;
    let resume: string | undefined;
    if (dir !== undefined) {
      if (begun === undefined) await createRun(dir, { ...values, epochs }, content, language.model);
      resume = await callbacks.latestCheckpoint(checkpointsOf(dir));
    }
    return { language, characters: ids.length, ...parts, stepsPerEpoch, resume };
  } catch (error) {
    language.model.dispose();
    throw error;
  }
}

/** The rate of a run whose steps are known. */
export function rateOverSteps(learningRate: number, totalSteps: number): schedules.Schedule {
  return schedules.cosine({ learningRate, minimum: LAST_RATE * learningRate, totalSteps });
}

/** What a run is, as `fit` takes it; the same whoever trains it, so that all can go on with it. */
export function textFit({
  epochs,
  schedule,
  clip,
  validation,
  run,
}: {
  epochs: number;
  schedule: schedules.Schedule;
  clip: number;
  validation: WindowDataset | undefined;
  /** The run directory, and the checkpoint in it to go on from. */
  run: { directory: string; resume: string | undefined } | undefined;
}): FitOptions {
  return {
    epochs,
    loss: 'sparseCategoricalCrossentropy',
    optimizer: optimizers.adamw({ learningRate: schedule, beta2: 0.99, clipNorm: clip }),
    metrics: run === undefined ? ['bits'] : ['bits', 'accuracy'],
    callbacks: run === undefined ? [] : runCallbacks(run.directory),
    ...(run === undefined || validation === undefined ? {} : { validationData: validation }),
    ...(run?.resume === undefined ? {} : { resume: run.resume }),
  };
}
