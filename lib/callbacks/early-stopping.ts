/** Ends a run that no longer gets better. */
import type { EpochEvent } from '../fit';
import { custom, checkText, flag, integer, number, optional, parseOptions } from '../validate';
import type { NDArray } from '../data/arrays';
import type { Callback, FitContext } from './callback';
import { Monitor, monitorSchema } from './monitor';
import type { MonitorOptions } from './monitor';

/** Options of {@link earlyStopping}. */
export interface EarlyStoppingOptions extends MonitorOptions {
  /** Epochs without improvement after which the run ends. Default 0: with the first. */
  patience?: number;
  /** An epoch counts as an improvement only if it is also better than this. Default: none. */
  baseline?: number;
  /** Give the model the weights of its best epoch when the run ends. Default true. */
  restoreBestWeights?: boolean;
  /** Epochs that are not looked at, from the first on. Default 0. */
  startFromEpoch?: number;
  /** Under which the state is saved. Default `earlyStopping`. */
  name?: string;
}

interface State {
  best: number | null;
  bestEpoch: number | null;
  stoppedEpoch: number | null;
  waited: number;
  weights: Record<string, NDArray> | null;
}

const schema = {
  ...monitorSchema,
  patience: integer(0, Number.MAX_SAFE_INTEGER, 0),
  baseline: optional(number({})),
  restoreBestWeights: flag(true),
  startFromEpoch: integer(0, Number.MAX_SAFE_INTEGER, 0),
  name: custom(checkText, 'earlyStopping'),
};

export class EarlyStopping implements Callback {
  readonly name: string;
  readonly #monitor: Monitor;
  readonly #options: ReturnType<typeof parseOptions<typeof schema>>;
  #bestEpoch: number | undefined;
  #stoppedEpoch: number | undefined;
  #waited = 0;
  #weights: Record<string, NDArray> | undefined;

  /** @internal Use {@link earlyStopping}. */
  constructor(options: EarlyStoppingOptions | undefined) {
    this.#options = parseOptions('earlyStopping', options, schema);
    this.#monitor = new Monitor('earlyStopping', this.#options);
    this.name = this.#options.name;
  }

  /** The best value of the score; undefined before the first epoch. */
  get best(): number | undefined {
    return this.#monitor.best;
  }

  /** The epoch in which the score was best. */
  get bestEpoch(): number | undefined {
    return this.#bestEpoch;
  }

  /** The epoch after which the run was ended; undefined if it was not. */
  get stoppedEpoch(): number | undefined {
    return this.#stoppedEpoch;
  }

  onTrainBegin(context: FitContext): void {
    this.#monitor.begin(context);
    if (!context.resumed) {
      this.setState({ best: null, bestEpoch: null, stoppedEpoch: null, waited: 0, weights: null });
    } else if (this.#stoppedEpoch !== undefined) {
      context.stop();
    }
  }

  onEpochEnd(event: EpochEvent, context: FitContext): void {
    const { patience, baseline, startFromEpoch, restoreBestWeights } = this.#options;
    if (event.epoch < startFromEpoch) return;
    this.#waited++;
    if (this.#monitor.observe(event)) {
      this.#bestEpoch = event.epoch;
      if (restoreBestWeights) this.#weights = context.model.getWeights();
      // As in Keras: worse than the baseline, it is the best but does not reset the patience.
      if (baseline === undefined || this.#monitor.isBetter(this.#monitor.best!, baseline)) {
        this.#waited = 0;
        return;
      }
    }
    if (this.#waited >= patience && event.epoch > startFromEpoch) {
      this.#stoppedEpoch = event.epoch;
      context.stop();
    }
  }

  onTrainEnd({ model }: FitContext): void {
    if (this.#weights !== undefined) model.setWeights(this.#weights);
  }

  getState(): State {
    return {
      best: this.#monitor.best ?? null,
      bestEpoch: this.#bestEpoch ?? null,
      stoppedEpoch: this.#stoppedEpoch ?? null,
      waited: this.#waited,
      weights: this.#weights ?? null,
    };
  }

  setState(state: unknown): void {
    const { best, bestEpoch, stoppedEpoch, waited, weights } = state as State;
    this.#monitor.best = best ?? undefined;
    this.#bestEpoch = bestEpoch ?? undefined;
    this.#stoppedEpoch = stoppedEpoch ?? undefined;
    this.#waited = waited;
    this.#weights = weights ?? undefined;
  }
}

/**
 * Ends the run when a score has not improved for `patience` epochs, and gives the model the weights
 * of its best epoch (Keras' `EarlyStopping`, which keeps the last ones unless told otherwise).
 *
 * @throws TypeError, RangeError for wrong options
 */
export function earlyStopping(options?: EarlyStoppingOptions): EarlyStopping {
  return new EarlyStopping(options);
}
