import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { info, setThreads } from '../../index';
import { trainSettings } from '../commands/train';
import type { TrainValues } from '../commands/train';
import { readConfigFile } from '../config-file';
import { Failure, fileError } from '../failures';
import { describeLayers } from '../language-model';
import { Output, grouped } from '../output';
import type { RunDirectory } from '../run-directory';
import { settle } from '../settings';
import { openTextRun } from '../text-run';
import { TrainingRun } from '../training-run';
import { UsageError } from '../usage-error';

const ARCHITECTURE = ['cell', 'units', 'layers', 'embedding', 'dropout'] as const;
/** Passes over a text when nobody says how long to train. */
export const DEFAULT_EPOCHS = 5;

type Given = Readonly<Record<string, unknown>>;

/** Rules between settings, which no single one can check. */
export function checkTogether(flags: Given, config: Given, values: TrainValues): void {
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

/** Trains a language model as flags and a configuration file say. */
export async function train(configPath: string | undefined, flags: Given): Promise<number> {
  const config = configPath === undefined ? undefined : await readConfigFile(configPath);
  if (config?.values['search'] !== undefined) {
    throw new UsageError(
      `${config.place('search')}: "search" is for "ostinato search ${configPath}", which tries values; "ostinato train" takes one value for each key`,
    );
  }
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
  if (dir === undefined || values.out !== undefined) await checkWritable(out);
  const text = await openTextRun(values, epochs, begun);
  const { language, characters, training, validation, lanes, stepsPerEpoch, resume } = text;
  const { model, vocab } = language;
  try {
    const { isa, threads } = info();
    const shown = (path: string): string =>
      relative('', path).startsWith('..') ? path : relative('', path);
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
        characters,
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
        `Text: ${grouped(characters)} characters, ${vocab.size} different ones; the last ` +
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
