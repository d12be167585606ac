/** A search at work: which trial is trained next, and what people and machines are told. */
import { join } from 'node:path';
import { codeOf } from '../../errors';
import type { BatchEvent, Model } from '../../index';
import type { ConfigFile } from '../config-file';
import { Failure } from '../failures';
import { Interrupts } from '../interrupts';
import type { Output } from '../output';
import { Progress } from '../progress';
import { Sparkline } from '../sparkline';
import { UsageError } from '../usage-error';
import { epochsOf, ranking, rungsOf } from './halving';
import type { Rung } from './halving';
import { findParameters, valuesAt } from './space';
import type { Parameter, Point } from './space';
import { searchFileOf, writeSearch } from './state';
import type { Result, SearchState, Trial } from './state';
import { moreOf, trainTrial } from './trial';
import type { Metric } from './trial';

const SMOOTHING = 0.05;

/** A number for people. */
export const short = (value: number): string => String(Number(value.toPrecision(4)));

/** `learningRate 0.01, units 32` */
export function pointText(point: Point): string {
  return Object.entries(point)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ');
}

/** What became of a search so far. */
export interface Standing {
  /** The score that trials are judged by; undefined until a trial has begun. */
  metric: string | undefined;
  /** Trials, best first: those that went further before those that were dropped earlier. */
  ranked: Trial[];
}

/** The result that a trial stands for: its last. */
export function lastResult({ results }: Trial): Result | undefined {
  return results.at(-1);
}

export class Search {
  readonly #directory: string;
  readonly #state: SearchState;
  readonly #place: ConfigFile['place'];
  readonly #metricPlace: string;
  readonly #output: Output;
  readonly #parameters: readonly Parameter[];
  readonly #rungs: readonly Rung[];
  readonly #total: number;
  readonly #interrupts: Interrupts;
  #progress: Progress | undefined;
  #model: Model | undefined;
  #metric: string | undefined;
  /** Epochs that the results of the rungs at hand and before stand for. */
  #spent = 0;

  /**
   * @param state changed in place, and written to the directory after every trial
   * @param place where the keys of the configuration stand, for errors
   * @param metricPlace where the metric was named
   */
  constructor(
    directory: string,
    state: SearchState,
    place: ConfigFile['place'],
    metricPlace: string,
    output: Output,
  ) {
    this.#directory = directory;
    this.#state = state;
    this.#place = place;
    this.#metricPlace = metricPlace;
    this.#output = output;
    this.#parameters = findParameters({ values: state.values, place });
    const { search, trials } = state;
    // A small space may have fewer points than were asked for.
    this.#rungs = rungsOf({ ...search, trials: trials.length });
    this.#total = epochsOf(this.#rungs);
    this.#metric = search.metric ?? state.judgedBy;
    this.#interrupts = new Interrupts(
      () => {
        this.#progress?.note('Finishing the step, then saving; Ctrl-C again ends at once');
        this.#model?.stop();
      },
      () => this.#progress?.stop(),
    );
  }

  /** The code that the command ends with. */
  get exitCode(): number {
    return this.#interrupts.exitCode;
  }

  get interrupted(): boolean {
    return this.#interrupts.received;
  }

  get parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  get #more(): boolean {
    return this.#metric !== undefined && moreOf(this.#state.search, this.#metric);
  }

  get standing(): Standing {
    const { trials } = this.#state;
    const ranked: Trial[] = [];
    // Scores of different budgets do not compare, so the longest trained come first.
    for (const { epochs } of [...this.#rungs].reverse()) {
      const here = trials.filter((trial) => lastResult(trial)?.epochs === epochs);
      const scores = here.map((trial) => lastResult(trial)!.score);
      for (const i of ranking(scores, this.#more)) ranked.push(here[i]!);
    }
    // One that diverged never is the best, however long it was trained before.
    const [sound, failed] = [true, false].map((wanted) =>
      ranked.filter((trial) => (trial.failure === undefined) === wanted),
    );
    return { metric: this.#metric, ranked: [...sound!, ...failed!] };
  }

  /** Trains what is left; the state says then how far that went. */
  async run(): Promise<void> {
    await writeSearch(this.#directory, this.#state);
    this.#announce();
    this.#progress = await Progress.create(this.#output);
    try {
      let order = this.#state.trials.map((_trial, i) => i);
      for (const rung of this.#rungs.keys()) {
        const { keep } = this.#rungs[rung]!;
        for (const index of order.slice(0, keep)) {
          if (this.interrupted) return;
          await this.#advance(index, rung);
        }
        if (this.interrupted) return;
        order = this.#order(order.slice(0, keep), rung);
      }
    } finally {
      this.#progress.stop();
      this.#interrupts.dispose();
    }
  }

  /** Trials that may go on, best first. */
  #order(indices: readonly number[], rung: number): number[] {
    const scoreOf = (index: number): number | null =>
      this.#state.trials[index]!.results[rung]!.score;
    // By the scores of this rung alone, so that a search that goes on chooses as it did before.
    const sound = indices.filter((index) => scoreOf(index) !== null);
    return ranking(sound.map(scoreOf), this.#more).map((i) => sound[i]!);
  }

  #announce(): void {
    const { search, trials } = this.#state;
    const { method, seed, maxEpochs, metric } = search;
    const done = trials.filter(({ results }) => results.length > 0).length;
    this.#output.object({
      event: 'start',
      directory: this.#directory,
      method,
      trials: trials.length,
      begun: done,
      metric: metric ?? null,
      seed,
      parameters: this.#parameters.map(({ name }) => name),
      rungs: this.#rungs.map(({ keep, epochs }) => ({ trials: keep, epochs })),
      epochs: this.#total,
    });
    this.#output.line(
      `Space: ${this.#parameters.map(({ name }) => name).join(', ')}; seed ${seed}`,
    );
    const steps = this.#rungs.map(({ keep, epochs }) => `${keep} to epoch ${epochs}`).join(', ');
    this.#output.line(`Search: ${method}, ${steps}: ${this.#total} epochs in all`);
    if (trials.length < search.trials) {
      this.#output.line(`The space has only ${trials.length} different points that were found`);
    }
    if (done > 0) {
      this.#output.line(`Going on: ${done} of ${trials.length} trials have results already`);
    } else {
      this.#output.line(`At most ${maxEpochs} epochs a trial, in ${this.#directory}`);
    }
  }

  /** Trains a trial up to a rung, unless it has been there. */
  async #advance(index: number, rung: number): Promise<void> {
    const trial = this.#state.trials[index]!;
    const { epochs } = this.#rungs[rung]!;
    const before = this.#rungs[rung - 1]?.epochs ?? 0;
    if (trial.results.length <= rung && trial.failure === undefined) {
      const result = await this.#train(trial, index, rung, before);
      if (result === undefined) return;
      trial.results.push(result);
      await writeSearch(this.#directory, this.#state);
      this.#tell(trial, index, rung, result);
    }
    this.#spent += epochs - before;
  }

  async #train(
    trial: Trial,
    index: number,
    rung: number,
    before: number,
  ): Promise<Result | undefined> {
    const { search, values } = this.#state;
    const { epochs } = this.#rungs[rung]!;
    const directory = join(this.#directory, trial.name);
    const at = valuesAt(values, this.#parameters, trial.point);
    const config = { values: { ...at, epochs: search.maxEpochs }, place: this.#place };
    const metric: Metric = { name: search.metric, mode: search.mode, place: this.#metricPlace };
    const head = `trial ${index + 1}/${this.#state.trials.length}`;
    const where = this.#rungs.length === 1 ? '' : ` | rung ${rung + 1}/${this.#rungs.length}`;
    const best = this.#bestText();
    const trace = new Sparkline();
    let smoothed: number | undefined;
    let stepsPerEpoch = 1;
    const batch = ({ epoch, batch: step, loss }: BatchEvent): void => {
      smoothed = smoothed === undefined ? loss : smoothed + SMOOTHING * (loss - smoothed);
      if (this.interrupted) this.#model?.stop();
      const made = epoch + (step + 1) / stepsPerEpoch - before;
      this.#progress?.update({
        fraction: (this.#spent + Math.max(0, made)) / this.#total,
        text: `${head}${where} | epoch ${epoch + 1}/${epochs} | loss ${short(smoothed)}${best}`,
        picture: trace.add(smoothed),
        event: { trial: trial.name, rung: rung + 1, epoch: epoch + 1, loss: smoothed },
      });
    };
    try {
      const outcome = await trainTrial(config, directory, epochs, metric, {
        begun: (model, steps) => {
          this.#model = model;
          stepsPerEpoch = steps;
        },
        batch,
      });
      this.#metric = outcome.metric;
      this.#state.judgedBy = outcome.metric;
      return outcome.result;
    } catch (error) {
      if (codeOf(error) === 'ERR_DIVERGED') {
        trial.failure = (error as Error).message;
        return { epochs, score: null, bestEpoch: null };
      }
      if (error instanceof UsageError) throw error;
      const { message, code = 'ERR_UNEXPECTED' } = error as Error & { code?: string };
      throw new Failure(
        `${trial.name} (${pointText(trial.point)}) failed: ${message}; what was found is kept in ${searchFileOf(this.#directory)}`,
        code,
        { cause: error },
      );
    } finally {
      this.#model = undefined;
    }
  }

  #bestText(): string {
    const [best] = this.standing.ranked;
    const score = best === undefined ? null : lastResult(best)!.score;
    return score === null ? '' : ` | best ${short(score)}`;
  }

  #tell(trial: Trial, index: number, rung: number, { epochs, score, bestEpoch }: Result): void {
    const name = this.#metric;
    const what = score === null ? 'diverged' : `${name} ${short(score)}`;
    this.#progress?.note(
      `trial ${index + 1} of ${this.#state.trials.length}, ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}: ${what} (${pointText(trial.point)})`,
    );
    this.#output.object({
      event: 'trial',
      trial: trial.name,
      rung: rung + 1,
      epochs,
      metric: name ?? null,
      score,
      bestEpoch,
      parameters: trial.point,
      failure: trial.failure ?? null,
    });
  }
}
