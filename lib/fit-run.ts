/** The training loop: slices of native steps, and callbacks between them. */
import { cutIntoBatches, prefetched, range, readBatch } from './data/batches';
import type { BatchStream } from './data/batches';
import { openData } from './data/source';
import type { OpenData } from './data/source';
import { OstinatoError, wrongValue } from './errors';
import { MAX_BATCHES, SLICE_MS, nextBatches } from './evaluate';
import { scores } from './metrics';
import type { MetricName, Scores, Totals } from './metrics';
import type { ModelCore, Training } from './model-core';
import type { NativeBatches, NativeTrainResult } from './native';

/** What `onBatch` is told after each step. */
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
  metrics: readonly MetricName[];
  carryState: boolean;
  divergence: 'stop' | 'skip' | 'continue';
  signal: AbortSignal | undefined;
  threads: number;
  onBatch: ((event: BatchEvent) => unknown) | undefined;
}

/** What one epoch must not forget between its parts. */
interface Epoch {
  epoch: number;
  batch: number;
  batches: number | undefined;
  totals: Totals;
}

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

  /** Trains on the given samples, in that order. */
  async samples(
    data: OpenData,
    order: Int32Array,
    batchSize: number,
    epoch: number,
  ): Promise<Totals> {
    const batches = cutIntoBatches(order, batchSize);
    const state = this.#begin(epoch, batches.sizes.length);
    await this.#train(data, batches, state);
    return state.totals;
  }

  /** Trains on one pass of a stream. */
  async stream(stream: BatchStream, epoch: number): Promise<Totals> {
    const { training } = this.#options;
    const state = this.#begin(epoch, undefined);
    const open = (batch: unknown) =>
      openData(this.#core, { kind: 'arrays', arrays: readBatch(batch) }, training.loss.targets);
    for await (const data of prefetched(stream, open)) {
      try {
        await this.#train(data, cutIntoBatches(range(0, data.samples), data.samples), state);
      } finally {
        data.dispose();
      }
      if (this.#core.stopRequested) break;
    }
    if (state.batch === 0) {
      const advice =
        epoch === 0
          ? undefined
          : 'a generator can be read once; pass a function that makes a new one for each epoch';
      throw wrongValue(`at least one batch in epoch ${epoch}`, 'data', stream, advice);
    }
    return state.totals;
  }

  #begin(epoch: number, batches: number | undefined): Epoch {
    return { epoch, batch: 0, batches, totals: { lossSum: 0, count: 0, correct: 0 } };
  }

  async #train(data: OpenData, batches: NativeBatches, state: Epoch): Promise<void> {
    const { carryState, divergence, signal, threads } = this.#options;
    let at = 0;
    for (let from = 0; from < batches.sizes.length && !this.#core.stopRequested;) {
      const part = nextBatches(batches, from, at, this.#offer);
      const rates = this.#rates(part.sizes.length);
      const result = await this.#core.job(signal, (native, job) =>
        native.train(data.native, part, rates, {
          job,
          carryState,
          reset: state.batch === 0,
          divergence: divergence === 'continue' ? 'update' : divergence,
          budgetMs: SLICE_MS,
          threads,
        }),
      );
      await this.#report(result, rates, state);
      for (let i = from; i < from + result.steps; i++) at += batches.sizes[i]!;
      from += result.steps;
      this.#offer = Math.min(MAX_BATCHES, Math.max(FIRST_SLICE, result.steps * 2));
      if (result.diverged) this.#fail(result, state);
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

  async #report(result: NativeTrainResult, rates: Float64Array, state: Epoch): Promise<void> {
    const { training, metrics, onBatch, divergence } = this.#options;
    for (let i = 0; i < result.steps; i++) {
      const loss = result.losses[i]!;
      const rows = result.counts[i]!;
      const correct = result.correct[i]!;
      const { batch } = state;
      const step = Math.floor(training.steps++ / training.optimizer.native.accumulateSteps);
      state.batch++;
      if (divergence !== 'skip' || Number.isFinite(loss)) {
        state.totals.lossSum += loss * rows;
        state.totals.count += rows;
        state.totals.correct += correct;
      }
      if (onBatch === undefined) continue;
      const event: BatchEvent = {
        epoch: state.epoch,
        batch,
        batches: state.batches,
        step,
        learningRate: rates[i]!,
        gradientNorm: result.gradientNorms[i]!,
        rows,
        ...scores({ lossSum: loss * rows, count: rows, correct }, metrics),
      };
      await this.#core.paused(() => onBatch(event));
    }
  }

  #fail(result: NativeTrainResult, state: Epoch): never {
    const { training } = this.#options;
    const loss = result.losses[result.steps - 1];
    const norm = result.gradientNorms[result.steps - 1];
    throw new OstinatoError(
      'ERR_DIVERGED',
      `Training diverged at step ${training.steps - 1} (epoch ${state.epoch}, batch ${state.batch - 1}): ` +
        `the loss is ${loss}, the gradients' norm ${norm}. The weights are those before this step. ` +
        'Lower the learning rate, set clipNorm (for example 1) on the optimizer, and look for NaN ' +
        "in the data; onDivergence: 'skip' leaves such updates out and goes on",
    );
  }
}
