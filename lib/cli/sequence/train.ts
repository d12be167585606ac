/** Training on data: forecasts, classes of sequences, tags of their steps. */
import { resolve as absolute } from 'node:path';
import { info, setThreads } from '../../index';
import type { BatchEvent, EpochEvent, Model } from '../../index';
import type { ConfigFile } from '../config-file';
import { Failure } from '../failures';
import { Interrupts } from '../interrupts';
import { describeLayers } from '../language-model';
import { Output, durationText, grouped } from '../output';
import type { Json } from '../output';
import { Progress } from '../progress';
import type { RunDirectory } from '../run-directory';
import { settle } from '../settings';
import { Sparkline } from '../sparkline';
import { checkWritable } from '../tasks/train';
import { UsageError } from '../usage-error';
import type { RunData } from './data';
import { defaultOut } from './model';
import { batchesOf, dataFit, openDataRun } from './run';
import { settingsOfTask } from './settings';
import type { SequenceValues } from './settings';

const SMOOTHING = 0.05;

/** Trains as a configuration file says. */
export async function trainOnData(
  flags: Readonly<Record<string, unknown>>,
  config: ConfigFile,
): Promise<number> {
  const { task } = config.values;
  const settings = settingsOfTask(config);
  const foreign = Object.keys(flags).find((key) => settings[key] === undefined);
  if (foreign !== undefined) {
    throw new UsageError(
      `--${foreign.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is of language models; task: ${String(task)} is set up in its configuration`,
    );
  }
  return run(settle(settings, flags, config) as SequenceValues, undefined);
}

/** Goes on with the run of a directory. */
export async function resumeOnData(
  directory: string,
  begun: RunDirectory,
  { threads, json }: { threads: number | undefined; json: boolean },
): Promise<number> {
  const place = (): string => `${directory}/run.json`;
  let settings: SequenceValues;
  try {
    const values = begun.settings;
    settings = settle(settingsOfTask({ values, place }), {}, { values, place }) as SequenceValues;
  } catch (error) {
    throw new Failure((error as Error).message, 'ERR_FORMAT', { cause: error });
  }
  return run({ ...settings, dir: absolute(directory), threads, json }, begun);
}

async function run(values: SequenceValues, begun: RunDirectory | undefined): Promise<number> {
  const out = values.out ?? defaultOut(values.dir);
  if (values.threads !== undefined) setThreads(values.threads);
  if (values.dir === undefined || values.out !== undefined) await checkWritable(out);
  const { model, data, resume } = await openDataRun(values, begun);
  try {
    return await new DataRun(model, data, values, out).run(resume);
  } finally {
    model.dispose();
  }
}

/** Scores of an epoch for people: `loss 0.1234, held out 0.2345, f1 0.9`. */
function scoresText(event: EpochEvent): string {
  const short = (value: number): string => String(Number(value.toPrecision(4)));
  const held = Object.entries(event).flatMap(([name, value]) => {
    if (!/^val[A-Z]/.test(name) || typeof value !== 'number') return [];
    const bare = `${name[3]!.toLowerCase()}${name.slice(4)}`;
    return [`${bare} ${short(value)}`];
  });
  return `loss ${short(event.loss)}${held.length === 0 ? '' : `; held out: ${held.join(', ')}`}`;
}

/** One run: progress, saving, and Ctrl-C. */
class DataRun {
  readonly #output: Output;
  readonly #trace = new Sparkline();
  readonly #batches: number;
  #progress: Progress | undefined;
  #start = 0;
  #steps = 0;
  #samples = 0;
  #smoothed: number | undefined;
  #last: EpochEvent | undefined;

  constructor(
    readonly model: Model,
    readonly data: RunData,
    readonly values: SequenceValues,
    readonly out: string,
  ) {
    this.#output = new Output(values.json);
    this.#batches = batchesOf(data, values);
  }

  async run(resume: string | undefined): Promise<number> {
    const { model, out } = this;
    const interrupts = new Interrupts(
      () => {
        this.#progress?.note('Finishing the step, then saving; Ctrl-C again ends at once');
        model.stop();
      },
      () => this.#progress?.stop(),
    );
    this.#announce(resume);
    this.#progress = await Progress.create(this.#output);
    try {
      await this.#fit(resume, interrupts);
      this.#progress.stop();
      await model.save(out);
      this.#report(interrupts.received);
      return interrupts.exitCode;
    } finally {
      this.#progress.stop();
      interrupts.dispose();
    }
  }

  #announce(resume: string | undefined): void {
    const { data, model, values } = this;
    const { isa, threads } = info();
    this.#output.object({
      event: 'start',
      task: values.task,
      data: values.data,
      samples: data.training.samples,
      heldOut: data.validation?.samples ?? 0,
      parameters: model.parameterCount,
      stepsPerEpoch: this.#batches,
      epochs: values.epochs,
      threads,
      isa,
    });
    this.#output.line(`Data: ${data.summary}`);
    this.#output.line(
      `Model: ${describeLayers(model.getConfig().layers)}; ${grouped(model.parameterCount)} parameters`,
    );
    this.#output.line(
      `Training: ${values.epochs} × ${grouped(this.#batches)} steps of ${values.batch} samples on ${threads} threads (${isa})`,
    );
    if (resume !== undefined) this.#output.line(`Going on from ${resume}`);
  }

  async #fit(resume: string | undefined, interrupts: Interrupts): Promise<void> {
    const { data, model, values } = this;
    this.#start = performance.now();
    await model.fit(data.training.x as never, data.training.y as never, {
      ...dataFit(data, values, resume),
      onBatch: (event) => {
        this.#afterStep(event);
        if (interrupts.received) model.stop();
      },
      onEpoch: (event) => this.#afterEpoch(event),
    });
  }

  #afterStep({ loss, step, epoch }: BatchEvent): void {
    const { epochs, batch } = this.values;
    this.#steps = step + 1;
    this.#samples += batch;
    this.#smoothed =
      this.#smoothed === undefined ? loss : this.#smoothed + SMOOTHING * (loss - this.#smoothed);
    const speed = this.#samples / ((performance.now() - this.#start) / 1000);
    const held = this.#last?.['valLoss'];
    this.#progress?.update({
      fraction: this.#steps / (epochs * this.#batches),
      text:
        `epoch ${epoch + 1}/${epochs} | loss ${this.#smoothed.toPrecision(4)}` +
        `${held === undefined ? '' : ` | held out ${held.toPrecision(4)}`} | ${grouped(speed)} samples/s`,
      picture: this.#trace.add(this.#smoothed),
      event: {
        epoch: epoch + 1,
        steps: this.#steps,
        loss: this.#smoothed,
        samplesPerSecond: speed,
      },
    });
  }

  #afterEpoch(event: EpochEvent): void {
    const { epoch, ...scores } = event;
    this.#last = event;
    this.#progress?.note(`epoch ${epoch + 1} of ${this.values.epochs}: ${scoresText(event)}`);
    this.#output.object({
      event: 'epoch',
      epoch: epoch + 1,
      ...(scores as unknown as Record<string, Json>),
    });
  }

  #report(interrupted: boolean): void {
    const { out, values } = this;
    const seconds = (performance.now() - this.#start) / 1000;
    const { epoch: _epoch, ...scores } = this.#last ?? { epoch: 0 };
    this.#output.object({
      event: 'done',
      out,
      interrupted,
      steps: this.#steps,
      seconds,
      scores: scores as unknown as Record<string, Json>,
    });
    const how = interrupted ? 'Stopped' : 'Done';
    this.#output.line(`${how} after ${grouped(this.#steps)} steps in ${durationText(seconds)}`);
    this.#output.line(`Saved ${out}. Go on:`);
    if (interrupted && values.dir !== undefined) {
      this.#output.line(`  ostinato resume ${values.dir}`);
    }
    const command = values.task === 'forecast' ? 'forecast' : 'predict';
    this.#output.line(`  ostinato ${command} ${out} --data FILE`);
    this.#output.line(`  ostinato eval ${out} --data FILE`);
    if (values.dir !== undefined) this.#output.line(`  ostinato report ${values.dir}`);
  }
}
