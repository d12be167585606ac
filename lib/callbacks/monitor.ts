/** Follows one score of the epochs, for callbacks that look for the best one. */
import { wrongValue } from '../errors';
import type { EpochEvent } from '../fit';
import { custom, checkText, number, oneOf, optional } from '../validate';
import type { FitContext } from './callback';

/** Options of callbacks that follow a score. */
export interface MonitorOptions {
  /**
   * A score as `onEpoch` names it: `loss`, `valLoss`, `valAccuracy`, … Default: `valLoss` where there
   * is validation, else `loss`.
   */
  monitor?: string;
  /**
   * Whether less or more is better. Default: more for `accuracy` and other scores that are known to
   * grow, less for all others.
   */
  mode?: 'min' | 'max';
  /** A smaller change than this is no improvement. Default 0. */
  minDelta?: number;
}

export const monitorSchema = {
  monitor: optional(custom(checkText)),
  mode: optional(oneOf(['min', 'max'] as const)),
  minDelta: number({ min: 0 }, 0),
};

/** Scores of which more is better. */
const GROWING = /accuracy|precision|recall|f1|auc/i;

/** Whether more of a score is better, by its name. */
export function moreIsBetter(name: string): boolean {
  return GROWING.test(name);
}

export class Monitor {
  /** The best value so far; undefined before the first. */
  best: number | undefined;
  readonly #options: Required<Pick<MonitorOptions, 'minDelta'>> &
    Pick<{ monitor: string | undefined; mode: 'min' | 'max' | undefined }, 'monitor' | 'mode'>;
  readonly #owner: string;
  #name: string | undefined;

  constructor(
    owner: string,
    options: { monitor: string | undefined; mode: 'min' | 'max' | undefined; minDelta: number },
  ) {
    this.#owner = owner;
    this.#options = options;
  }

  /**
   * Settles which score is followed.
   *
   * @throws RangeError for one that the run does not report
   */
  begin({ scores }: FitContext): void {
    const name = this.#options.monitor ?? (scores.includes('valLoss') ? 'valLoss' : 'loss');
    if (!scores.includes(name)) {
      const advice = `this run reports ${scores.join(', ')}; ask for more by "metrics" or validation data`;
      throw wrongValue('a score of the run', `${this.#owner}.monitor`, name, advice);
    }
    this.#name = name;
  }

  /** The value of the score in an epoch. */
  read(event: EpochEvent): number {
    return (event as unknown as Record<string, number>)[this.#name!]!;
  }

  /** Whether a value is better than another, by `minDelta`; NaN never is. */
  isBetter(value: number, than: number | undefined): boolean {
    if (Number.isNaN(value)) return false;
    if (than === undefined) return true;
    const { minDelta } = this.#options;
    const more = (this.#options.mode ?? (moreIsBetter(this.#name!) ? 'max' : 'min')) === 'max';
    return more ? value > than + minDelta : value < than - minDelta;
  }

  /** Takes an epoch in; returns whether it is the best so far. */
  observe(event: EpochEvent): boolean {
    const value = this.read(event);
    if (!this.isBetter(value, this.best)) return false;
    this.best = value;
    return true;
  }
}
