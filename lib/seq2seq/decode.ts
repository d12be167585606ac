/** `decode`: sequences in batches, each followed by a search of its own until all have ended. */
import { wrongValue } from '../errors';
import { abortSignal, flag, integer, number, optional, parseOptions } from '../validate';
import { BeamSearch } from './beam';
import type { Hypothesis, SearchOptions } from './beam';
import type { StepBatch, Steps, Work } from './steps';
import { Turns } from './turns';

/** Options of {@link EncoderDecoder.decode}. */
export interface DecodeOptions {
  /** Hypotheses that are followed at a time: 1 … 1024; 1 is greedy decoding. Default 1. */
  beamWidth?: number;
  /**
   * Most tokens of a result, its end not counted. Default: twice the tokens of the source, and ten
   * more.
   */
  maxLength?: number;
  /**
   * α of the length penalty (Wu et al. 2016): hypotheses are ranked by ln p / ((5 + length) / 6)^α,
   * the length with the end. 0 favours short ones, 0.6 … 1 is common. Default 0.
   */
  lengthPenalty?: number;
  /** Give each result with its score, as a {@link Hypothesis}. Default false. */
  returnScores?: boolean;
  /** Give so many hypotheses of each source, best first: 1 … `beamWidth`. Default: the best one. */
  nBest?: number;
  /** Sequences that are decoded together. Default 32. */
  batchSize?: number;
  /** Ends the decoding; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Default: `getThreads()`. Results do not depend on it. */
  threads?: number;
}

const MAX_WIDTH = 1024;

const schema = {
  beamWidth: integer(1, MAX_WIDTH, 1),
  maxLength: optional(integer(1, 2 ** 24)),
  lengthPenalty: number({ min: 0 }, 0),
  returnScores: flag(false),
  nBest: optional(integer(1, MAX_WIDTH)),
  batchSize: integer(1, 2 ** 24, 32),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

/** Checked options. */
export type ReadDecodeOptions = ReturnType<typeof readDecodeOptions>;

/** @throws TypeError, RangeError */
export function readDecodeOptions(given: unknown) {
  const read = parseOptions('encoderDecoder.decode', given, schema);
  if (read.nBest !== undefined && read.nBest > read.beamWidth) {
    throw wrongValue(
      `at most beamWidth, ${read.beamWidth},`,
      'encoderDecoder.decode.nBest',
      read.nBest,
      'a beam holds no more hypotheses than it is wide',
    );
  }
  return read;
}

/** The results of one batch of sources. */
class Decoding {
  readonly #batch: StepBatch;
  readonly #searches: BeamSearch[];
  readonly #startToken: number;
  readonly #turns = new Turns();

  constructor(batch: StepBatch, limits: readonly number[], options: SearchOptions) {
    this.#batch = batch;
    this.#startToken = options.startToken;
    this.#searches = limits.map((limit) => new BeamSearch(options, limit));
  }

  async run(count: number): Promise<Hypothesis[][]> {
    const { width } = this.#batch;
    let alive = this.#searches.map((_search, row) => row);
    for (const row of alive) this.#batch.feed(row * width, this.#startToken);
    while (alive.length > 0) {
      const slots = alive.flatMap((row) =>
        Array.from({ length: this.#searches[row]!.size }, (_value, i) => row * width + i),
      );
      const result = await this.#batch.step(Int32Array.from(slots));
      this.#turns.begin();
      let first = 0;
      for (const row of alive) {
        const search = this.#searches[row]!;
        const { size } = search;
        search.advance(result.probabilities, first).forEach(({ parent, token }, i) => {
          this.#batch.feed(row * width + i, token);
          this.#batch.follow(row * width + i, result, first + parent);
        });
        first += size;
        if (this.#turns.due) await this.#turns.take();
      }
      alive = alive.filter((row) => this.#searches[row]!.size > 0);
    }
    return this.#searches.map((search) => search.results(count));
  }
}

/**
 * Decodes sources.
 *
 * @param limits most tokens of each result
 */
export async function decode(
  steps: Steps,
  sources: readonly Int32Array[],
  limits: readonly number[],
  options: ReadDecodeOptions,
  work: Work,
): Promise<Hypothesis[][]> {
  const { beamWidth: width, batchSize, nBest = 1, lengthPenalty: alpha } = options;
  const search = { width, vocab: steps.vocab, alpha, ...steps.boundaries };
  const results: Hypothesis[][] = [];
  for (let begin = 0; begin < sources.length; begin += batchSize) {
    const end = begin + batchSize;
    const batch = await steps.begin(sources.slice(begin, end), width, work);
    try {
      results.push(...(await new Decoding(batch, limits.slice(begin, end), search).run(nBest)));
    } finally {
      batch.dispose();
    }
  }
  return results;
}
