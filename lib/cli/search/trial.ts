/** Trials: run directories that are trained up to an epoch, and later on from there. */
import { join } from 'node:path';
import type { BatchEvent, Callback, EpochEvent, FitContext, History, Model } from '../../index';
import { moreIsBetter } from '../../callbacks/monitor';
import type { TrainValues } from '../commands/train';
import { trainSettings } from '../commands/train';
import type { ConfigFile } from '../config-file';
import { saveLanguageModel } from '../language-model';
import { readRun, runExists } from '../run-directory';
import type { RunDirectory } from '../run-directory';
import { settle } from '../settings';
import { DEFAULT_EPOCHS, checkTogether } from '../tasks/train';
import { openTextRun, rateOverSteps, textFit } from '../text-run';
import { UsageError } from '../usage-error';
import type { Result } from './state';

/** A run that is ready to be trained. */
interface Opened {
  model: Model;
  stepsPerEpoch: number;
  epochs: number;
  fit(callbacks: readonly Callback[]): Promise<History>;
  save(): Promise<void>;
}

/** Whether a configuration is of a language model. */
const isText = (values: Readonly<Record<string, unknown>>): boolean =>
  (values['task'] ?? 'text') === 'text';

/**
 * Checks a configuration as `train` would.
 *
 * @returns its epochs
 * @throws UsageError with file and line
 */
export async function checkValues({ values, place }: ConfigFile): Promise<number> {
  if (isText(values)) {
    const { task: _task, ...rest } = values;
    const settled = settle(trainSettings, {}, { values: rest, place });
    checkTogether({}, rest, settled);
    if (settled.seconds !== undefined) {
      throw new UsageError(
        `${place('seconds')}: a search needs epochs: what seconds make depends on the clock`,
      );
    }
    return settled.epochs ?? DEFAULT_EPOCHS;
  }
  const { settingsOfTask } = await import('../sequence/settings.js');
  const settled = settle(settingsOfTask({ values, place }), {}, { values, place });
  return settled['epochs'] as number;
}

async function openText(
  settings: TrainValues,
  dir: string,
  begun: RunDirectory | undefined,
): Promise<Opened> {
  const { learningRate, clip } = settings;
  const epochs = settings.epochs!;
  const { language, training, validation, stepsPerEpoch, resume } = await openTextRun(
    settings,
    epochs,
    begun,
  );
  const { model } = language;
  return {
    model,
    stepsPerEpoch,
    epochs,
    fit: (callbacks) => {
      const schedule = rateOverSteps(learningRate, epochs * stepsPerEpoch);
      const run = { directory: dir, resume };
      const options = textFit({ epochs, schedule, clip, validation, run });
      return model.fit(training, {
        ...options,
        callbacks: [...options.callbacks!, ...callbacks],
      });
    },
    save: () => saveLanguageModel(language, join(dir, 'model.safetensors')),
  };
}

async function openData(
  config: ConfigFile,
  dir: string,
  begun: RunDirectory | undefined,
): Promise<Opened> {
  const { batchesOf, dataFit, openDataRun } = await import('../sequence/run.js');
  const { settingsOfTask } = await import('../sequence/settings.js');
  const { defaultOut } = await import('../sequence/model.js');
  type Settled = Parameters<typeof openDataRun>[0];
  const settled = { ...settle(settingsOfTask(config), {}, config), dir } as Settled;
  const { model, data, resume } = await openDataRun(settled, begun);
  const { x, y } = data.training;
  return {
    model,
    stepsPerEpoch: batchesOf(data, settled),
    epochs: settled.epochs,
    fit: (callbacks) => {
      const options = dataFit(data, settled, resume);
      return model.fit(x as never, y as never, {
        ...options,
        callbacks: [...options.callbacks!, ...callbacks],
      });
    },
    save: () => model.save(defaultOut(dir)),
  };
}

async function open(config: ConfigFile, dir: string): Promise<Opened> {
  const begun = (await runExists(dir)) ? await readRun(dir) : undefined;
  if (!isText(config.values)) return openData(config, dir, begun);
  const { task: _task, ...values } = config.values;
  const settled = settle(trainSettings, {}, { values, place: config.place });
  return openText({ ...settled, dir }, dir, begun);
}

/** Pauses a run when it has made so many epochs; what is saved goes on from there. */
class Pause implements Callback {
  /** Whether it got there. */
  reached = false;

  constructor(readonly epochs: number) {}

  onTrainBegin(context: FitContext): void {
    this.#look(context);
  }

  onEpochEnd({ epoch }: EpochEvent, context: FitContext): void {
    if (epoch + 1 >= this.epochs) context.stop();
  }

  onSafePoint(context: FitContext): void {
    this.#look(context);
  }

  // After a whole epoch the context stands at the next one; a stop within an epoch leaves it there.
  #look(context: FitContext): void {
    if (context.epoch < this.epochs) return;
    this.reached = true;
    context.stop();
  }
}

/** What a trial is judged by. */
export interface Metric {
  /** Undefined: the held-out loss, or the loss where nothing is held out. */
  name: string | undefined;
  mode: 'min' | 'max' | undefined;
  /** For errors: where the name was given. */
  place: string;
}

/** The name of a run's metric, which its scores must have. */
function metricOf({ name, place }: Metric, scores: readonly string[]): string {
  if (name === undefined) return scores.includes('valLoss') ? 'valLoss' : 'loss';
  if (scores.includes(name)) return name;
  throw new UsageError(
    `${place}: Expected a score of the runs for "metric" but received "${name}"; they have ${scores.join(', ')}`,
  );
}

/** Whether more of a metric is better. */
export function moreOf({ mode }: Pick<Metric, 'mode'>, name: string): boolean {
  return mode === undefined ? moreIsBetter(name) : mode === 'max';
}

/** The best value of a metric over epochs, and the epoch. */
function bestOf(values: readonly number[], more: boolean): Omit<Result, 'epochs'> {
  let best: number | undefined;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    if (best === undefined || (more ? value > values[best]! : value < values[best]!)) best = i;
  });
  return best === undefined
    ? { score: null, bestEpoch: null }
    : { score: values[best]!, bestEpoch: best + 1 };
}

/** Who is told how a trial goes. */
export interface Watcher {
  /** Called when the run is ready, before its first step. */
  begun(model: Model, stepsPerEpoch: number): void;
  batch(event: BatchEvent): void;
}

/** How far a trial came. */
export interface Outcome {
  metric: string;
  /** Undefined when it was stopped before. */
  result: Result | undefined;
}

/**
 * Trains a trial until it has made `epochs` epochs, from where it stands.
 *
 * @throws OstinatoError `ERR_DIVERGED` for a loss that is no number; UsageError for a metric that the
 *     run does not report
 */
export async function trainTrial(
  config: ConfigFile,
  directory: string,
  epochs: number,
  metric: Metric,
  watcher: Watcher,
): Promise<Outcome> {
  const opened = await open(config, directory);
  try {
    const pause = new Pause(epochs);
    let name: string | undefined;
    watcher.begun(opened.model, opened.stepsPerEpoch);
    const history = await opened.fit([
      {
        onTrainBegin: ({ scores }) => {
          name = metricOf(metric, scores);
        },
        onBatchEnd: (event) => watcher.batch(event),
      },
      pause,
    ]);
    if (!pause.reached) return { metric: name!, result: undefined };
    if (epochs === opened.epochs) await opened.save();
    const values = (history as unknown as Record<string, number[]>)[name!]!.slice(0, epochs);
    return { metric: name!, result: { epochs, ...bestOf(values, moreOf(metric, name!)) } };
  } finally {
    opened.model.dispose();
  }
}
