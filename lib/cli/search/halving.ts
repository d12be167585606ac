/** How a search spends its epochs. */

/** Trains the first `keep` trials, best first, until they have made `epochs` epochs. */
export interface Rung {
  readonly keep: number;
  readonly epochs: number;
}

/** What {@link rungsOf} plans with. */
export interface Budget {
  readonly method: 'random' | 'halving';
  readonly trials: number;
  /** Fewest epochs after which trials are dropped. */
  readonly minEpochs: number;
  readonly maxEpochs: number;
  /** One of so many trials goes on, for so many times the epochs. */
  readonly reduction: number;
}

/**
 * The rungs of a search. Random search has one: all trials, all epochs. Successive halving (Jamieson
 * and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016)
 * trains all trials a little, and of each rung the best 1 / reduction a reduction times longer. The
 * rungs are laid from `maxEpochs` down, as many as the trials suffice for and `minEpochs` allows.
 */
export function rungsOf({ method, trials, minEpochs, maxEpochs, reduction }: Budget): Rung[] {
  const rungs: Rung[] = [];
  let keep = trials;
  let above = 0;
  if (method === 'halving') {
    while (
      reduction ** (above + 1) <= trials &&
      maxEpochs / reduction ** (above + 1) >= minEpochs
    ) {
      above++;
    }
  }
  for (; above >= 0; above--) {
    rungs.push({ keep, epochs: Math.round(maxEpochs / reduction ** above) });
    keep = Math.max(1, Math.floor(keep / reduction));
  }
  return rungs;
}

/** Epochs of all trials together. */
export function epochsOf(rungs: readonly Rung[]): number {
  return rungs.reduce(
    (sum, { keep, epochs }, i) => sum + keep * (epochs - (rungs[i - 1]?.epochs ?? 0)),
    0,
  );
}

/**
 * Indices of scores from the best on; those without a score (a trial that diverged) come last. Equal
 * scores stay in order, so that the same scores always give the same ranking.
 */
export function ranking(scores: readonly (number | null)[], more: boolean): number[] {
  const worth = (i: number): number => {
    const score = scores[i]!;
    return score === null ? -Infinity : more ? score : -score;
  };
  return scores
    .map((_score, i) => i)
    .sort((a, b) => (worth(a) === worth(b) ? a - b : worth(a) > worth(b) ? -1 : 1));
}
