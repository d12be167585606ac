/**
 * Beam search over the steps of a decoder: which hypotheses of one sequence are followed.
 *
 * The beam is that of Bahdanau, Cho and Bengio (2015) and Sutskever et al. (2014): of all continuations
 * of all hypotheses the most probable ones stay; one that ends leaves the beam with its place, so that
 * the search is over when as many have ended as the beam was wide. A beam of one is greedy decoding.
 */

/** A sequence that was decoded. */
export interface Hypothesis {
  /** Without the tokens that mark begin and end. */
  tokens: number[];
  /** `logProbability / lp`, by which hypotheses are ranked. */
  score: number;
  /** ln of the probability of the tokens and of their end, or, cut off, of the tokens alone. */
  logProbability: number;
  /** Whether the model ended it; false where `maxLength` cut it off. */
  ended: boolean;
}

/** A token and those before it. */
interface Link {
  readonly token: number;
  readonly before: Link | undefined;
}

interface Live {
  link: Link | undefined;
  logProbability: number;
}

/** A way to go on. */
interface Candidate {
  parent: number;
  token: number;
  logProbability: number;
}

/** What every search of a call has in common. */
export interface SearchOptions {
  /** Most hypotheses at a time. */
  width: number;
  vocab: number;
  startToken: number;
  endToken: number;
  /** α of {@link lengthPenalty}. */
  alpha: number;
}

/** ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14); the length counts the end. */
export function lengthPenalty(length: number, alpha: number): number {
  return ((5 + length) / 6) ** alpha;
}

function tokensOf(link: Link | undefined): number[] {
  const tokens: number[] = [];
  for (let at = link; at !== undefined; at = at.before) tokens.push(at.token);
  return tokens.reverse();
}

/** A hypothesis that goes on: from which one before, and by which token. */
export interface Continuation {
  parent: number;
  token: number;
}

/** The search for one sequence. */
export class BeamSearch {
  readonly #options: SearchOptions;
  /** Most tokens of a result. */
  readonly #maxLength: number;
  readonly #done: Hypothesis[] = [];
  #live: Live[] = [{ link: undefined, logProbability: 0 }];
  #length = 0;

  constructor(options: SearchOptions, maxLength: number) {
    this.#options = options;
    this.#maxLength = maxLength;
  }

  /** How many hypotheses are followed. */
  get size(): number {
    return this.#live.length;
  }

  /**
   * Goes one step on.
   *
   * @param probabilities of the next token, [all, vocab]
   * @param first the row of the first hypothesis; the others follow it
   * @returns the hypotheses that are followed from here
   */
  advance(probabilities: Float32Array, first: number): Continuation[] {
    const { endToken } = this.#options;
    const last = this.#length++ === this.#maxLength;
    const before = this.#live;
    const cut = new Set<number>();
    const next: Candidate[] = [];
    const best = this.#best(probabilities, first);
    // Nothing but the start has a probability that a float can hold.
    if (best.length === 0) before.forEach((_live, parent) => cut.add(parent));
    for (const candidate of best) {
      if (candidate.token === endToken) {
        this.#finish(before[candidate.parent]!.link, candidate.logProbability, true);
      } else if (last) {
        cut.add(candidate.parent);
      } else {
        next.push(candidate);
      }
    }
    for (const parent of cut) {
      const { link, logProbability } = before[parent]!;
      this.#finish(link, logProbability, false);
    }
    this.#live = next.map(({ parent, token, logProbability }) => ({
      link: { token, before: before[parent]!.link },
      logProbability,
    }));
    return next.map(({ parent, token }) => ({ parent, token }));
  }

  /**
   * The best hypotheses, those first that the model ended, then by their scores; of equal ones that
   * first which was found first.
   */
  results(count: number): Hypothesis[] {
    return this.#done
      .map((hypothesis, order) => ({ hypothesis, order }))
      .sort(
        (a, b) =>
          Number(b.hypothesis.ended) - Number(a.hypothesis.ended) ||
          b.hypothesis.score - a.hypothesis.score ||
          a.order - b.order,
      )
      .slice(0, count)
      .map(({ hypothesis }) => hypothesis);
  }

  #finish(link: Link | undefined, logProbability: number, ended: boolean): void {
    const tokens = tokensOf(link);
    const length = tokens.length + (ended ? 1 : 0);
    const score = logProbability / lengthPenalty(length, this.#options.alpha);
    this.#done.push({ tokens, score, logProbability, ended });
  }

  /** The best continuations of all; of equal ones that of the first hypothesis, then the lower id. */
  #best(probabilities: Float32Array, first: number): Candidate[] {
    const places = this.#options.width - this.#done.length;
    const all: Candidate[] = [];
    this.#live.forEach(({ logProbability }, parent) => {
      for (const token of this.#mostProbable(probabilities, first + parent, places)) {
        const p = probabilities[(first + parent) * this.#options.vocab + token]!;
        all.push({ parent, token, logProbability: logProbability + Math.log(p) });
      }
    });
    // `sort` is stable, and tokens of equal probability are in order already.
    return all.sort((a, b) => b.logProbability - a.logProbability).slice(0, places);
  }

  /** The most probable tokens of a row, best first; of equal ones the lower id. */
  #mostProbable(probabilities: Float32Array, row: number, count: number): number[] {
    const { vocab, startToken, endToken } = this.#options;
    const never = startToken === endToken ? -1 : startToken;
    const begin = row * vocab;
    const tokens: number[] = [];
    for (let token = 0; token < vocab; token++) {
      const p = probabilities[begin + token]!;
      if (token === never || p === 0) continue;
      if (tokens.length === count && p <= probabilities[begin + tokens[count - 1]!]!) continue;
      let at = tokens.length === count ? count - 1 : tokens.length;
      while (at > 0 && p > probabilities[begin + tokens[at - 1]!]!) {
        tokens[at] = tokens[at - 1]!;
        at--;
      }
      tokens[at] = token;
    }
    return tokens;
  }
}
