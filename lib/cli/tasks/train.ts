import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { callbacks, info, setThreads, text } from '../../index';
import type { WindowDataset } from '../../index';
import { trainSettings } from '../commands/train';
import type { TrainValues } from '../commands/train';
import { readConfigFile } from '../config-file';
import { Failure, fileError } from '../failures';
import {
  buildLanguageModel,
  describeLayers,
  encodeText,
  evaluationWindows,
  openLanguageModel,
  readText,
} from '../language-model';
import type { LanguageModel } from '../language-model';
import { Output, grouped } from '../output';
import { checkText, checkUnused, checkpointsOf, createRun } from '../run-directory';
import type { RunDirectory } from '../run-directory';
import { settle } from '../settings';
import { TrainingRun } from '../training-run';
import { UsageError } from '../usage-error';

const ARCHITECTURE = ['cell', 'units', 'layers', 'embedding', 'dropout'] as const;
const DEFAULT_EPOCHS = 5;

type Given = Readonly<Record<string, unknown>>;

/** Rules between settings, which no single one can check. */
function checkTogether(flags: Given, config: Given, values: TrainValues): void {
  for (const given of [flags, config]) {
    if (given['seconds'] !== undefined && given['epochs'] !== undefined) {
      throw new UsageError('Give either --seconds or --epochs, not both');
    }
  }
  if (values.dir !== undefined && flags['epochs'] === undefined && values.seconds !== undefined) {
    throw new UsageError('--dir needs --epochs: what --seconds makes depends on the clock');
  }
  if (values.resume === undefined) return;
  const fixed = ARCHITECTURE.find((key) => values[key] !== undefined);
  if (fixed !== undefined) {
    throw new UsageError(`--${fixed} cannot be changed with --resume: the model has its layers`);
  }
}

/** How long to train: a flag goes before the other kind of length in the file. */
function lengthOf(flags: Given, values: TrainValues): { epochs?: number; seconds?: number } {
  const byTime = flags['epochs'] === undefined && values.seconds !== undefined;
  return byTime ? { seconds: values.seconds! } : { epochs: values.epochs ?? DEFAULT_EPOCHS };
}

/** Finds out before the work, not after it, whether its result can be saved. */
export async function checkWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw fileError('write', path, error);
  }
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true)
    throw new Failure(`Cannot write ${path}: it is a folder`, 'EISDIR');
}

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

/** Trains a language model as flags and a configuration file say. */
export async function train(configPath: string | undefined, flags: Given): Promise<number> {
  const config = configPath === undefined ? undefined : await readConfigFile(configPath);
  if ((config?.values['task'] ?? 'text') !== 'text') {
    const { trainOnData } = await import('../sequence/train.js');
    return trainOnData(flags, config!);
  }
  delete config?.values['task'];
  const values = settle(trainSettings, flags, config);
  checkTogether(flags, config?.values ?? {}, values);
  return trainWith(values, lengthOf(flags, values), undefined);
}

/**
 * Trains a language model.
 *
 * @param begun the run directory to go on with; undefined begins a run, in `values.dir` if given
 */
export async function trainWith(
  values: TrainValues,
  { epochs, seconds }: { epochs?: number; seconds?: number },
  begun: RunDirectory | undefined,
): Promise<number> {
  const output = new Output(values.json);
  if (values.threads !== undefined) setThreads(values.threads);
  const { dir } = values;
  const out =
    values.out ?? (dir === undefined ? 'model.safetensors' : join(dir, 'model.safetensors'));
  const content = await readText(values.text);
  if (begun === undefined && dir !== undefined) await checkUnused(dir);
  if (begun !== undefined) checkText(begun, values.text, content);
  if (dir === undefined || values.out !== undefined) await checkWritable(out);
  const language = await makeModel(content, values);
  const { model, vocab } = language;
  try {
    const ids = encodeText(vocab, content, values.text);
    const { training, validation, lanes } = split(ids, values);
    const stepsPerEpoch = training.samples / lanes;
    const { isa, threads } = info();
    const shown = (path: string): string =>
      relative('', path).startsWith('..') ? path : relative('', path);
    let resume: string | undefined;
    if (dir !== undefined) {
      if (begun === undefined) await createRun(dir, { ...values, epochs }, content, model);
      resume = await callbacks.latestCheckpoint(checkpointsOf(dir));
    }
    const run = new TrainingRun(language, {
      training,
      validation,
      stepsPerEpoch,
      epochs,
      seconds,
      learningRate: values.learningRate,
      clip: values.clip,
      run: dir === undefined ? undefined : { directory: dir, shown: shown(dir), resume },
      out,
      shownOut: shown(out),
      output,
    });
    return await run.run(() => {
      output.object({
        event: 'start',
        text: values.text,
        characters: ids.length,
        heldOut: validation?.tokens ?? 0,
        vocabulary: vocab.size,
        parameters: model.parameterCount,
        stepsPerEpoch,
        epochs: epochs ?? null,
        seconds: seconds ?? null,
        threads,
        isa,
      });
      output.line(
        `Text: ${grouped(ids.length)} characters, ${vocab.size} different ones; the last ` +
          `${grouped(validation === undefined ? 0 : validation.tokens + 1)} are held out`,
      );
      output.line(
        `Model: ${describeLayers(model.getConfig().layers)}; ${grouped(model.parameterCount)} parameters`,
      );
      output.line(
        `Training: ${epochs === undefined ? `${seconds} s` : `${epochs} × ${grouped(stepsPerEpoch)} steps`} ` +
          `of ${lanes} × ${values.length} characters on ${threads} threads (${isa})`,
      );
      if (resume !== undefined) output.line(`Going on from ${shown(resume)}`);
      if (lanes < values.batch) {
        output.line(
          `The text is too short for --batch ${values.batch} of --length ${values.length}: it is read in ${lanes} places`,
        );
      }
    });
  } finally {
    model.dispose();
  }
}
