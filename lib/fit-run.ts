/** The training loop: slices of native steps, and callbacks between them. */
import type { CallbackList } from './callbacks/callback-list';
import type { Position } from './checkpoint/training-state';
import { cutIntoBatches, prefetched, range, readBatch } from './data/batches';
import type { BatchStream } from './data/batches';
import { openData } from './data/source';
import type { OpenData } from './data/source';
import { OstinatoError, wrongValue } from './errors';
import { MAX_BATCHES, SLICE_MS, nextBatches } from './evaluate';
import type { RunContext } from './fit-context';
import { addTotals } from './metrics';
import type { Scores, Totals } from './metrics';
import type { ModelCore, Training } from './model-core';
import type { Scoring } from './model-loss';
import type { NativeBatches, NativeTrainResult } from './native';

/** What `onBatch` is told after each step; of the metrics those that do not need predictions. */
export interface BatchEvent extends Scores {
  /** From 0. */
  epoch: number;
  /** Of the epoch, from 0. */
  batch: number;
  /** Batches of the epoch; undefined for a stream. */
  batches: number | undefined;
  /** Updates that the optimiser has made before this batch, over all epochs. */
  step: number;
  /** The rate of the update that the batch is a part of. */
  learningRate: number;
  /** The gradients' global norm before clipping; of the mean so far, where they accumulate. */
  gradientNorm: number;
  /** Rows of targets in the batch. */
  rows: number;
}

/** What a whole training run needs to know. */
export interface RunOptions {
  training: Training;
  scoring: Scoring;
  carryState: boolean;
  divergence: 'stop' | 'skip' | 'continue';
  signal: AbortSignal | undefined;
  threads: number;
  callbacks: CallbackList;
  context: RunContext;
  /**
   * Called before each step with its samples and its number, and awaited; may change the data. Steps
   * are then made one at a time.
   */
  beforeStep: BeforeStep | undefined;
}

export type BeforeStep = (data: OpenData, samples: Int32Array, step: number) => Promise<void>;

/** The sums of one step of a slice, by output. */
function sumsOfStep(
  result: NativeTrainResult,
  step: number,
  outputs: number,
): Omit<Totals, 'penaltySum'>[] {
  return Array.from({ length: outputs }, (_value, i) => {
    const at = step * outputs + i;
    const count = result.counts[at]!;
    return { lossSum: result.outputLosses[at]! * count, count, correct: result.correct[at]! };
  });
}

const NONE = new Float64Array(0);
/** Steps of the first slice: few, until it is known how long a step takes. */
const FIRST_SLICE = 16;

export class FitRun {
  readonly #core: ModelCore;
  readonly #options: RunOptions;
  /** How many batches the next slice is offered. */
  #offer = FIRST_SLICE;

  constructor(core: ModelCore, options: RunOptions) {
    this.#core = core;
    this.#options = options;
  }

  /**
   * Trains on the given samples, in that order, from the position of the context on.
   *
   * @returns whether all of them were reached
   */
  async samples(data: OpenData, order: Int32Array, batchSize: number): Promise<boolean> {
    const { position } = this.#options.context;
    const batches = cutIntoBatches(order, batchSize);
    await this.#train(data, batches, position.batch);
    return position.batch === batches.sizes.length;
  }

  /**
   * Trains on one pass of a stream, from the position of the context on.
   *
   * @returns whether its end was reached
   */
  async stream(stream: BatchStream): Promise<boolean> {
    const { training, context } = this.#options;
    const { position } = context;
    const { epoch } = position;
    const open = (batch: unknown) =>
      openData(this.#core, { kind: 'arrays', arrays: readBatch(batch) }, training.loss.targets);
    for await (const data of prefetched(stream, open, epoch, position.batch)) {
      try {
        await this.#train(data, cutIntoBatches(range(0, data.samples), data.samples), 0);
      } finally {
        data.dispose();
      }
      if (this.#core.stopRequested) return false;
    }
    if (position.batch === 0) {
      const advice =
        epoch === 0
          ? undefined
          : 'a generator can be read once; pass a function that makes a new one for each epoch';
      throw wrongValue(`at least one batch in epoch ${epoch}`, 'data', stream, advice);
    }
    return true;
  }

  /** Trains on batches from number `from` of these on. */
  async #train(data: OpenData, batches: NativeBatches, from: number): Promise<void> {
    const { carryState, divergence, signal, threads, training, callbacks, context, beforeStep } =
      this.#options;
    const { position } = context;
    let at = batches.sizes.subarray(0, from).reduce((sum, size) => sum + size, 0);
    while (from < batches.sizes.length && !this.#core.stopRequested) {
      const most = Math.min(
        beforeStep === undefined ? this.#offer : 1,
        callbacks.stepsUntilStop(training.steps),
      );
      const part = nextBatches(batches, from, at, most);
      if (beforeStep !== undefined) await beforeStep(data, part.samples, training.steps);
      const rates = this.#rates(part.sizes.length);
      const momenta = this.#momenta(part.sizes.length);
      const result = await this.#core.job(signal, (native, job) =>
        native.train(data.native, part, rates, {
          job,
          carryState,
          reset: position.batch === 0,
          divergence: divergence === 'continue' ? 'update' : divergence,
          momenta,
          budgetMs: SLICE_MS,
          threads,
        }),
      );
      await this.#report(result, rates, position);
      for (let i = from; i < from + result.steps; i++) at += batches.sizes[i]!;
      from += result.steps;
      this.#offer = Math.min(MAX_BATCHES, Math.max(FIRST_SLICE, result.steps * 2));
      if (result.diverged) this.#fail(result, position);
      const saved = context.safePoint();
      if (saved !== undefined) await saved;
    }
  }

  #rates(count: number): Float64Array {
    const { optimizer, plateau, steps } = this.#options.training;
    const { learningRate } = optimizer;
    const { accumulateSteps } = optimizer.native;
    return Float64Array.from({ length: count }, (_value, i) => {
      const step = Math.floor((steps + i) / accumulateSteps);
      const rate: unknown = typeof learningRate === 'function' ? learningRate(step) : plateau!.rate;
      if (typeof rate !== 'number' || !(rate >= 0 && rate < Infinity)) {
        throw wrongValue('a number of 0 or more', `learningRate(${step})`, rate);
      }
      return rate;
    });
  }

  /** Momenta of the next batches; none where the schedule leaves the optimiser its own. */
  #momenta(count: number): Float64Array {
    const { optimizer, steps } = this.#options.training;
    const { learningRate } = optimizer;
    const schedule = typeof learningRate === 'function' ? learningRate.momentum : undefined;
    if (schedule === undefined) return NONE;
    const { accumulateSteps } = optimizer.native;
    return Float64Array.from({ length: count }, (_value, i) => {
      const step = Math.floor((steps + i) / accumulateSteps);
      const momentum: unknown = schedule(step);
      if (typeof momentum !== 'number' || !(momentum >= 0 && momentum < 1)) {
        throw wrongValue('a number from 0 to below 1', `learningRate.momentum(${step})`, momentum);
      }
      return momentum;
    });
  }

  async #report(result: NativeTrainResult, rates: Float64Array, position: Position): Promise<void> {
    const { training, scoring, callbacks, context, divergence } = this.#options;
    for (let i = 0; i < result.steps; i++) {
      const loss = result.losses[i]!;
      const sums = sumsOfStep(result, i, training.loss.outputs.length);
      const totals = scoring.totals(sums, result.penalties[i]!);
      const batch = position.batch++;
      const step = Math.floor(training.steps++ / training.optimizer.native.accumulateSteps);
      position.learningRate = rates[i]!;
      if (divergence !== 'skip' || Number.isFinite(loss)) addTotals(position.totals, totals);
      if (!callbacks.hearsBatches) continue;
      const event: BatchEvent = {
        epoch: position.epoch,
        batch,
        batches: context.batches,
        step,
        learningRate: rates[i]!,
        gradientNorm: result.gradientNorms[i]!,
        rows: totals.count,
        ...scoring.scores(totals),
      };
      await callbacks.batchEnd(event);
    }
  }

  #fail(result: NativeTrainResult, position: Position): never {
    const { training } = this.#options;
    const loss = result.losses[result.steps - 1];
    const norm = result.gradientNorms[result.steps - 1];
    throw new OstinatoError(
      'ERR_DIVERGED',
      `Training diverged at step ${training.steps - 1} (epoch ${position.epoch}, batch ${position.batch - 1}): ` +
        `the loss is ${loss}, the gradients' norm ${norm}. The weights are those before this step. ` +
        'Lower the learning rate, set clipNorm (for example 1) on the optimizer, and look for NaN ' +
        "in the data; onDivergence: 'skip' leaves such updates out and goes on",
    );
  }
}
