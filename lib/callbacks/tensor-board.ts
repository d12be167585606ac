/** Writes event files that TensorBoard shows. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { EpochEvent } from '../fit';
import type { BatchEvent } from '../fit-run';
import { EventEncoder } from '../tensorboard/events';
import type { SummaryValue } from '../tensorboard/events';
import { histogramOf } from '../tensorboard/histogram';
import { checkText, custom, integer, parseOptions } from '../validate';
import type { Weights } from '../weights';
import type { Callback, FitContext } from './callback';
import { LogFile } from './log-file';

/** Options of {@link tensorBoard}. */
export interface TensorBoardOptions {
  /** The folder that TensorBoard is given as `--logdir`, or one in it. Required. */
  logDir: string;
  /** Epochs between two histograms of each parameter and its gradient. Default 0: none. */
  histogramFreq?: number;
  /** Steps between two that are written. Default 0: epochs alone. */
  updateFreq?: number;
  /** Under which the state is saved. Default `tensorBoard:<logDir>`. */
  name?: string;
}

const VALIDATION = /^val(?=[A-Z])/;

/** A file of events that goes on when the run does. */
class EventFile {
  readonly #folder: string;
  #file!: LogFile;
  #name = '';

  constructor(folder: string) {
    this.#folder = folder;
  }

  async begin(encoder: EventEncoder, state: { name: string; bytes: number } | undefined) {
    const now = Date.now() / 1000;
    // As TensorFlow names them; runs of the same second in one folder must differ.
    this.#name =
      state?.name ??
      `events.out.tfevents.${Math.floor(now)}.${hostname()}.${process.pid}.${EventFile.#count++}`;
    this.#file = new LogFile(join(this.#folder, this.#name));
    await this.#file.begin(state?.bytes ?? 0);
    if (this.#file.bytes === 0) this.add(encoder.fileVersion(now));
  }

  static #count = 0;

  add(record: Uint8Array): void {
    this.#file.add(record);
  }

  async flush(): Promise<void> {
    await this.#file.flush();
  }

  get state(): { name: string; bytes: number } {
    return { name: this.#name, bytes: this.#file.bytes };
  }
}

interface State {
  train: { name: string; bytes: number };
  validation: { name: string; bytes: number } | null;
}

class TensorBoard implements Callback {
  readonly name: string;
  readonly onBatchEnd?: (event: BatchEvent) => void;
  readonly #options: { histogramFreq: number; updateFreq: number };
  readonly #train: EventFile;
  readonly #validation: EventFile;
  #validates = false;
  #encoder: EventEncoder | undefined;
  #state: State | undefined;

  constructor(options: {
    logDir: string;
    histogramFreq: number;
    updateFreq: number;
    name: string;
  }) {
    this.#options = options;
    this.name = options.name;
    this.#train = new EventFile(join(options.logDir, 'train'));
    this.#validation = new EventFile(join(options.logDir, 'validation'));
    // A hook that is not there costs nothing for each step.
    if (options.updateFreq > 0) this.onBatchEnd = (event) => this.#afterBatch(event);
  }

  async onTrainBegin({ scores }: FitContext): Promise<void> {
    const state = this.#state;
    this.#state = undefined;
    this.#validates = scores.some((score) => VALIDATION.test(score));
    this.#encoder ??= EventEncoder.create();
    await this.#train.begin(this.#encoder, state?.train);
    if (this.#validates)
      await this.#validation.begin(this.#encoder, state?.validation ?? undefined);
  }

  #afterBatch({
    epoch: _epoch,
    batch: _batch,
    batches: _batches,
    rows: _rows,
    ...event
  }: BatchEvent) {
    const { step, ...values } = event;
    if (step % this.#options.updateFreq !== 0) return;
    const all = scalarsOf(values).map(([name, scalar]) => ({
      tag: `batch_${tagOf(name)}`,
      scalar,
    }));
    this.#train.add(this.#encoder!.summary(Date.now() / 1000, step, all));
  }

  async onEpochEnd({ epoch, ...scores }: EpochEvent, context: FitContext): Promise<void> {
    const train: SummaryValue[] = [];
    const validation: SummaryValue[] = [];
    for (const [name, scalar] of scalarsOf(scores)) {
      const held = VALIDATION.test(name);
      const tag = `epoch_${tagOf(name.replace(VALIDATION, ''))}`;
      (held ? validation : train).push({ tag, scalar });
    }
    const now = Date.now() / 1000;
    this.#train.add(this.#encoder!.summary(now, epoch, train));
    if (this.#validates) this.#validation.add(this.#encoder!.summary(now, epoch, validation));
    const { histogramFreq } = this.#options;
    if (histogramFreq === 0 || epoch % histogramFreq !== 0) return;
    await this.#histograms(epoch, context.model.getWeights(), '');
    await this.#histograms(epoch, context.gradients(), '/gradient');
  }

  async #histograms(epoch: number, arrays: Weights, suffix: string): Promise<void> {
    for (const [name, { data }] of Object.entries(arrays)) {
      // `lstm.bias_ih_l0` as `lstm/bias_ih_l0`, by which TensorBoard groups.
      const tag = `${name.replace('.', '/')}${suffix}`;
      const value = { tag, histogram: histogramOf(data) };
      this.#train.add(this.#encoder!.summary(Date.now() / 1000, epoch, [value]));
      await yieldToEvents();
    }
  }

  async onSafePoint(): Promise<void> {
    await this.#flush();
  }

  async onTrainEnd(): Promise<void> {
    await this.#flush();
  }

  async onTrainError(): Promise<void> {
    await this.#flush();
  }

  async getState(): Promise<State> {
    await this.#flush();
    return {
      train: this.#train.state,
      validation: this.#validates ? this.#validation.state : null,
    };
  }

  setState(state: unknown): void {
    this.#state = state as State;
  }

  async #flush(): Promise<void> {
    await this.#train.flush();
    if (this.#validates) await this.#validation.flush();
  }
}

/** What is a number: a confusion matrix is none. */
function scalarsOf(values: Readonly<Record<string, unknown>>): [string, number][] {
  return Object.entries(values).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
}

/** `learningRate` as `learning_rate`, and `Loss` as `loss`: the form of Keras' tags. */
function tagOf(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/**
 * Writes TensorBoard's event files, with Keras' tags: `epoch_loss`, `epoch_learning_rate`, … for each
 * epoch, `batch_loss`, `batch_gradient_norm`, … for every `updateFreq`-th step, in the folder `train`;
 * scores of the validation under the same tags in the folder `validation`; and histograms of the
 * parameters (`lstm/weight_ih_l0`) and of the last step's gradients before clipping
 * (`lstm/weight_ih_l0/gradient`). A resumed run goes on in the same files.
 *
 * @throws TypeError, RangeError for wrong options; later, `ERR_IO` ends the run
 */
export function tensorBoard(options: TensorBoardOptions): Callback {
  const most = Number.MAX_SAFE_INTEGER;
  const read = parseOptions('tensorBoard', options, {
    logDir: custom(checkText),
    histogramFreq: integer(0, most, 0),
    updateFreq: integer(0, most, 0),
    name: custom(checkText, ''),
  });
  return new TensorBoard({ ...read, name: read.name || `tensorBoard:${read.logDir}` });
}
