/** Keeps the learning rates of a run. */
import type { BatchEvent } from '../fit-run';
import { checkText, custom, integer, parseOptions } from '../validate';
import type { Callback, FitContext } from './callback';

/** Options of {@link learningRateLogger}. */
export interface LearningRateLoggerOptions {
  /** Steps between two that are kept. Default 1: all. */
  every?: number;
  /** Under which the state is saved. Default `learningRateLogger`. */
  name?: string;
}

export class LearningRateLogger implements Callback {
  readonly name: string;
  readonly #every: number;
  #steps: number[] = [];
  #learningRates: number[] = [];

  /** @internal Use {@link learningRateLogger}. */
  constructor(options: LearningRateLoggerOptions | undefined) {
    const { every, name } = parseOptions('learningRateLogger', options, {
      every: integer(1, Number.MAX_SAFE_INTEGER, 1),
      name: custom(checkText, 'learningRateLogger'),
    });
    this.#every = every;
    this.name = name;
  }

  /** The steps that were kept, from 0. */
  get steps(): readonly number[] {
    return this.#steps;
  }

  /** Their learning rates. */
  get learningRates(): readonly number[] {
    return this.#learningRates;
  }

  onTrainBegin({ resumed }: FitContext): void {
    if (!resumed) this.setState({ steps: [], learningRates: [] });
  }

  onBatchEnd({ step, learningRate }: BatchEvent): void {
    if (step % this.#every !== 0) return;
    this.#steps.push(step);
    this.#learningRates.push(learningRate);
  }

  getState(): { steps: number[]; learningRates: number[] } {
    return { steps: this.#steps, learningRates: this.#learningRates };
  }

  setState(state: unknown): void {
    const { steps, learningRates } = state as { steps: number[]; learningRates: number[] };
    this.#steps = [...steps];
    this.#learningRates = [...learningRates];
  }
}

/**
 * Keeps the learning rate of every step, or every n-th, in memory. Files of loggers and TensorBoard
 * hold it as well.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function learningRateLogger(options?: LearningRateLoggerOptions): LearningRateLogger {
  return new LearningRateLogger(options);
}
