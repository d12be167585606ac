/** Ends a run whose numbers are no longer numbers, and says where they went. */
import type { BatchEvent } from '../fit-run';
import { checkText, custom, integer, parseOptions } from '../validate';
import type { Callback, FitContext } from './callback';

/** Options of {@link terminateOnNaN}. */
export interface TerminateOnNaNOptions {
  /** Steps in a row that must be NaN or infinite. Default 1: the first one ends the run. */
  patience?: number;
  /** Under which the state is saved. Default `terminateOnNaN`. */
  name?: string;
}

/** What was found. */
export interface NaNReport {
  /** The step that ended the run, and its place. */
  step: number;
  epoch: number;
  batch: number;
  loss: number;
  gradientNorm: number;
  /** Parameters that hold NaN or infinite values at the end of that slice of steps. */
  parameters: string[];
}

export class TerminateOnNaN implements Callback {
  readonly name: string;
  readonly #patience: number;
  #inARow = 0;
  #report: NaNReport | undefined;

  /** @internal Use {@link terminateOnNaN}. */
  constructor(options: TerminateOnNaNOptions | undefined) {
    const { patience, name } = parseOptions('terminateOnNaN', options, {
      patience: integer(1, Number.MAX_SAFE_INTEGER, 1),
      name: custom(checkText, 'terminateOnNaN'),
    });
    this.#patience = patience;
    this.name = name;
  }

  /** What ended the run; undefined if this callback did not. */
  get report(): NaNReport | undefined {
    return this.#report;
  }

  onTrainBegin({ resumed }: FitContext): void {
    this.#report = undefined;
    if (!resumed) this.#inARow = 0;
  }

  onBatchEnd(event: BatchEvent, context: FitContext): void {
    const { step, epoch, batch, loss, gradientNorm } = event;
    const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    this.#inARow = finite ? 0 : this.#inARow + 1;
    if (this.#report !== undefined || this.#inARow < this.#patience) return;
    const parameters = Object.entries(context.model.getWeights())
      .filter(([, { data }]) => !data.every(Number.isFinite))
      .map(([name]) => name);
    this.#report = { step, epoch, batch, loss, gradientNorm, parameters };
    context.stop();
  }

  getState(): number {
    return this.#inARow;
  }

  setState(state: unknown): void {
    this.#inARow = state as number;
  }
}

/**
 * Ends the run when the loss or the gradients' norm is NaN or infinite (Keras' `TerminateOnNaN`).
 * `fit` by itself rejects with `ERR_DIVERGED` at the first such step; this is for runs with
 * `onDivergence: 'skip'` or `'continue'`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function terminateOnNaN(options?: TerminateOnNaNOptions): TerminateOnNaN {
  return new TerminateOnNaN(options);
}
