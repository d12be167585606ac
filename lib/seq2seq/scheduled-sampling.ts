/**
 * Scheduled sampling (Bengio, Vinyals, Jaitly and Shazeer, "Scheduled Sampling for Sequence Prediction
 * with Recurrent Neural Networks", 2015): before a step of training, each token that the decoder will
 * read is drawn to be the true one or the model's own guess.
 *
 * The guesses come from decoding the batch step by step with the weights at hand, reading what was
 * drawn so far, with dropout off. The step of training is then an ordinary one over the tokens that
 * were drawn, so its gradients are exact; as in the paper, none flows through a guess.
 */
import type { OpenData } from '../data/source';
import { wrongValue } from '../errors';
import { RandomSequence } from '../rng';
import { TARGET_INPUT } from './graphs';
import type { StepBatch, Steps, Work } from './steps';
import type { TeacherForcing } from './teacher-forcing';
import { Turns } from './turns';

/** What the model's guess is: drawn from its probabilities, or the most probable token. */
export type Guess = 'sample' | 'greedy';

/** Purposes of random sequences; 0 are the orders of samples. */
const COINS = 1;
const DRAWS = 2;

/** What scheduled sampling needs to know. */
export interface SamplingOptions {
  teacherForcing: TeacherForcing;
  guess: Guess;
  seed: number;
  /** Of all samples. */
  sources: readonly Int32Array[];
  /** What the decoder reads of each sample: the start, then the true tokens. */
  truth: readonly Int32Array[];
}

/** The tokens that the decoder reads of one sample. */
interface Row {
  tokens: Int32Array;
  /** Whether the token at a place is a guess. */
  guessed: boolean[];
  /** The last place that is; 0 for none, since the first token is the start. */
  last: number;
}

/** Draws what the decoder reads in each step of a run. */
export class ScheduledSampling {
  readonly #steps: Steps;
  readonly #options: SamplingOptions;
  readonly #work: Work;

  constructor(steps: Steps, options: SamplingOptions, work: Work) {
    this.#steps = steps;
    this.#options = options;
    this.#work = work;
  }

  /** Draws the tokens of the step's samples and puts them into the data. */
  async beforeStep(data: OpenData, samples: Int32Array, step: number): Promise<void> {
    const { teacherForcing, truth, sources } = this.#options;
    const probability: unknown = teacherForcing(step);
    if (typeof probability !== 'number' || !(probability >= 0 && probability <= 1)) {
      throw wrongValue('a number from 0 to 1', `teacherForcing(${step})`, probability);
    }
    const rows = this.#toss(
      Array.from(samples, (sample) => truth[sample]!),
      probability,
      step,
    );
    if (rows.some(({ last }) => last > 0)) {
      const batch = await this.#steps.begin(
        Array.from(samples, (sample) => sources[sample]!),
        1,
        this.#work,
      );
      try {
        await this.#guess(batch, rows, step);
      } finally {
        batch.dispose();
      }
    }
    rows.forEach(({ tokens }, i) => data.native.writeInput(TARGET_INPUT, samples[i]!, tokens));
  }

  #toss(truth: readonly Int32Array[], probability: number, step: number): Row[] {
    const random = new RandomSequence(this.#options.seed, step, COINS);
    return truth.map((tokens) => {
      const guessed = Array.from(tokens, (_token, t) => t > 0 && random.next() >= probability);
      return { tokens: tokens.slice(), guessed, last: Math.max(0, guessed.lastIndexOf(true)) };
    });
  }

  /** Decodes as far as guesses are wanted, and fills them in. */
  async #guess(batch: StepBatch, rows: readonly Row[], step: number): Promise<void> {
    const random = new RandomSequence(this.#options.seed, step, DRAWS);
    const turns = new Turns();
    let alive = rows.map((_row, i) => i).filter((i) => rows[i]!.last > 0);
    for (let t = 0; alive.length > 0; t++) {
      for (const i of alive) batch.feed(i, rows[i]!.tokens[t]!);
      const result = await batch.step(Int32Array.from(alive));
      turns.begin();
      for (const [at, i] of alive.entries()) {
        const { tokens, guessed } = rows[i]!;
        if (guessed[t + 1] === true) tokens[t + 1] = this.#choose(result.probabilities, at, random);
        batch.follow(i, result, at);
        if (turns.due) await turns.take();
      }
      alive = alive.filter((i) => rows[i]!.last > t + 1);
    }
  }

  /** A token by the probabilities of a row; never the start, unless it is the end, too. */
  #choose(probabilities: Float32Array, row: number, random: RandomSequence): number {
    const { vocab, boundaries } = this.#steps;
    const own = probabilities.slice(row * vocab, (row + 1) * vocab);
    if (boundaries.startToken !== boundaries.endToken) own[boundaries.startToken] = 0;
    const likeliest = own.indexOf(own.reduce((a, b) => Math.max(a, b)));
    if (this.#options.guess === 'greedy') return likeliest;
    let left = random.next() * own.reduce((sum, p) => sum + p, 0);
    for (let id = 0; id < vocab; id++) {
      left -= own[id]!;
      if (left < 0) return id;
    }
    return likeliest; // rounding has left a rest
  }
}
