/** One training run of a language model: progress, validation, saving, and Ctrl-C. */
import { stat } from 'node:fs/promises';
import type { schedules } from '../index';
import type { BatchEvent, EpochEvent, Scores, WindowDataset } from '../index';
import { Interrupts } from './interrupts';
import { saveLanguageModel } from './language-model';
import type { LanguageModel } from './language-model';
import { bytesText, durationText, grouped } from './output';
import type { Output } from './output';
import { Progress } from './progress';
import { Sparkline } from './sparkline';
import { LAST_RATE, rateOverSteps, textFit } from './text-run';

/** What a run needs to know. */
export interface TrainingRunOptions {
  training: WindowDataset;
  validation: WindowDataset | undefined;
  stepsPerEpoch: number;
  /** One of the two says how long to train. */
  epochs: number | undefined;
  seconds: number | undefined;
  learningRate: number;
  clip: number;
  /** The run directory, and the checkpoint in it to go on from. */
  run: { directory: string; shown: string; resume: string | undefined } | undefined;
  /** Where to save, and how messages write it. */
  out: string;
  shownOut: string;
  output: Output;
}

/** Share of a new value in the loss that progress shows. */
const SMOOTHING = 0.02;
const ENDLESS = 1_000_000;
/** Short epochs are neither all told to people nor all saved: seconds between two of them. */
const TELL_EVERY = 1;
const SAVE_EVERY = 10;

/** The scores of the held-out text that `fit` measured itself. */
function heldOut({ valLoss, valBits, valAccuracy }: EpochEvent): Scores | undefined {
  if (valLoss === undefined) return undefined;
  return { loss: valLoss, bits: valBits!, accuracy: valAccuracy! };
}

export class TrainingRun {
  readonly #language: LanguageModel;
  readonly #options: TrainingRunOptions;
  readonly #cancelled = new AbortController();
  readonly #trace = new Sparkline();
  #progress: Progress | undefined;
  #interrupts!: Interrupts;
  #start = 0;
  #steps = 0;
  #characters = 0;
  #smoothed: number | undefined;
  #told = -Infinity;
  #saved = 0;
  #last: { bits: number; validation: Scores | undefined } | undefined;

  constructor(language: LanguageModel, options: TrainingRunOptions) {
    this.#language = language;
    this.#options = options;
  }

  /**
   * Trains, saves and reports; returns the exit code.
   *
   * @param announce tells what begins; from here on Ctrl-C saves
   */
  async run(announce: () => void): Promise<number> {
    this.#interrupts = new Interrupts(
      () => this.#interrupt(),
      () => this.#progress?.stop(),
    );
    announce();
    this.#progress = await Progress.create(this.#options.output);
    try {
      await this.#fit();
      this.#progress?.stop();
      await saveLanguageModel(this.#language, this.#options.out);
      await this.#report();
      return this.#interrupts.exitCode;
    } finally {
      this.#progress?.stop();
      this.#interrupts.dispose();
    }
  }

  get #elapsed(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** How much of the run is done, 0 … 1. */
  get #fraction(): number {
    const { seconds, epochs, stepsPerEpoch } = this.#options;
    if (seconds !== undefined) return Math.min(1, this.#elapsed / seconds);
    return this.#steps / (epochs! * stepsPerEpoch);
  }

  #schedule(): schedules.Schedule {
    const { seconds, epochs, stepsPerEpoch, learningRate } = this.#options;
    if (seconds === undefined) return rateOverSteps(learningRate, epochs! * stepsPerEpoch);
    // How many steps will fit is not known, so the rate follows the clock.
    const minimum = LAST_RATE * learningRate;
    return () =>
      minimum + ((learningRate - minimum) * (1 + Math.cos(Math.PI * this.#fraction))) / 2;
  }

  async #fit(): Promise<void> {
    const { training, validation, epochs = ENDLESS, clip, run } = this.#options;
    this.#start = performance.now();
    await this.#language.model.fit(training, {
      ...textFit({ epochs, schedule: this.#schedule(), clip, validation, run }),
      onBatch: (event) => this.#afterStep(event),
      onEpoch: (event) => this.#afterEpoch(event),
    });
  }

  #afterStep({ bits, rows, epoch, step }: BatchEvent): void {
    const { seconds, epochs } = this.#options;
    this.#steps = step + 1;
    this.#characters += rows;
    this.#smoothed =
      this.#smoothed === undefined ? bits! : this.#smoothed + SMOOTHING * (bits! - this.#smoothed);
    const speed = this.#characters / this.#elapsed;
    const place = epochs === undefined ? '' : `epoch ${epoch + 1}/${epochs} | `;
    this.#progress?.update({
      fraction: this.#fraction,
      text: `${place}${this.#smoothed.toFixed(2)} bits/char | ${grouped(speed)} chars/s`,
      picture: this.#trace.add(this.#smoothed),
      event: {
        epoch: epoch + 1,
        steps: this.#steps,
        bits: this.#smoothed,
        charactersPerSecond: speed,
      },
    });
    const over = seconds !== undefined && this.#elapsed >= seconds;
    if (over || this.#interrupts.received) this.#language.model.stop();
  }

  async #afterEpoch(event: EpochEvent): Promise<void> {
    const { epoch, bits } = event;
    const { epochs, output, out, run } = this.#options;
    const validation = run === undefined ? await this.#validate() : heldOut(event);
    this.#last = { bits: bits!, validation };
    if (this.#interrupts.received) return;
    if (this.#elapsed - this.#told >= TELL_EVERY || epoch + 1 === epochs) {
      this.#told = this.#elapsed;
      const measured = validation === undefined ? '' : `, held out ${validation.bits!.toFixed(3)}`;
      const name = epochs === undefined ? `epoch ${epoch + 1}` : `epoch ${epoch + 1} of ${epochs}`;
      this.#progress?.note(
        `${name}: ${bits!.toFixed(3)} bits per character${measured} (${durationText(this.#elapsed)})`,
      );
    }
    output.object({
      event: 'epoch',
      epoch: epoch + 1,
      steps: this.#steps,
      bits: bits!,
      validationBits: validation?.bits ?? null,
      validationAccuracy: validation?.accuracy ?? null,
      elapsedSeconds: this.#elapsed,
    });
    if (run !== undefined) return;
    // What a power cut can cost is an epoch, or a few short ones.
    if (this.#elapsed - this.#saved < SAVE_EVERY) return;
    await saveLanguageModel(this.#language, out);
    this.#saved = this.#elapsed;
  }

  /** Measures the model on the held-out text, unless the user wants to leave. */
  async #validate(): Promise<Scores | undefined> {
    const { validation } = this.#options;
    if (validation === undefined || this.#interrupts.received) return undefined;
    try {
      return await this.#language.model.evaluate(validation, {
        loss: 'sparseCategoricalCrossentropy',
        metrics: ['bits', 'accuracy'],
        signal: this.#cancelled.signal,
      });
    } catch (error) {
      if (this.#cancelled.signal.aborted) return undefined;
      throw error;
    }
  }

  #interrupt(): void {
    this.#progress?.note('Finishing the step, then saving; Ctrl-C again ends at once');
    this.#language.model.stop();
    this.#cancelled.abort();
  }

  async #report(): Promise<void> {
    const { output, out, shownOut, run } = this.#options;
    const seconds = this.#elapsed;
    const interrupted = this.#interrupts.received;
    const speed = this.#characters / seconds;
    const { size } = await stat(out);
    output.object({
      event: 'done',
      out: shownOut,
      interrupted,
      steps: this.#steps,
      bits: this.#last?.bits ?? null,
      validationBits: this.#last?.validation?.bits ?? null,
      validationAccuracy: this.#last?.validation?.accuracy ?? null,
      seconds,
      charactersPerSecond: speed,
    });
    output.line(
      `${interrupted ? 'Stopped' : 'Done'} after ${grouped(this.#steps)} steps in ` +
        `${durationText(seconds)}, ${grouped(speed)} characters per second`,
    );
    if (this.#last !== undefined) {
      const { bits, validation } = this.#last;
      const held = validation === undefined ? '' : `; held out ${validation.bits!.toFixed(3)}`;
      output.line(`The last epoch: ${bits.toFixed(3)} bits per character${held}`);
    }
    output.line(`Saved ${shownOut} (${bytesText(size)}). Go on:`);
    if (run !== undefined && interrupted) output.line(`  ostinato resume ${run.shown}`);
    output.line(`  ostinato generate ${shownOut} --length 500`);
    output.line(`  ostinato eval ${shownOut} --text FILE`);
    output.line(`  ostinato train --text FILE --resume ${shownOut} --out ${shownOut}`);
  }
}
