/** Decoding of outputs of models that were trained with the loss `ctc`. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { shapeMismatch, wrongKind, wrongValue } from './errors';
import { PrefixTree } from './ctc-language';
import type { Prefix, Scorer } from './ctc-language';
import type { NDArray } from './data/arrays';
import {
  abortSignal,
  anything,
  callback,
  checkInteger,
  integer,
  isRecord,
  number,
  optional,
  parseOptions,
} from './validate';

export { ngram } from './ctc-language';
export type { NgramOptions, Scorer } from './ctc-language';

/** Options of {@link greedy}. */
export interface GreedyOptions {
  /** The class that stands for no label. Default 0. */
  blank?: number;
  /** Steps of each sample that count: [batch]. Default all. */
  lengths?: ArrayLike<number>;
}

/** Options of {@link beamSearch}. */
export interface BeamSearchOptions extends GreedyOptions {
  /** Prefixes that are kept after each step. Default 16. */
  width?: number;
  /** Alternatives of each sample that are returned, at most. Default 1. */
  alternatives?: number;
  /**
   * The words that a decoded sequence may be made of, as labels; with `separator` between them.
   * Default: anything goes.
   */
  words?: readonly ArrayLike<number>[];
  /** The label between words; required with `words`, unless a sequence is a single word. */
  separator?: number;
  /**
   * ln of the probability of a label after a prefix, from a language model: {@link ngram} makes one.
   * Default none.
   */
  scorer?: Scorer;
  /** What the scorer's logarithms are multiplied by. Default 1. */
  scorerWeight?: number;
  /** Added for each label, against the scorer's liking for short sequences. Default 0. */
  labelBonus?: number;
  /** Classes at a step with a lower logarithm of the probability are passed over. Default -12. */
  leastLogProbability?: number;
  /** Ends the search; it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** A decoded sequence. */
export interface Decoded {
  /** Without blanks and repetitions. */
  labels: number[];
  /** ln of its probability by the model alone, summed over the alignments that were kept. */
  logProbability: number;
  /** The same with what scorer and bonus add: alternatives are sorted by it. */
  score: number;
}

/** ln of softmax, [steps, classes], of one sample. */
interface Sample {
  logits: Float32Array;
  steps: number;
  classes: number;
}

const lengthsSchema = { blank: integer(0, 2 ** 24, 0), lengths: anything() };

function readSamples(
  given: NDArray,
  options: { blank: number; lengths: unknown },
  owner: string,
): Sample[] {
  if (!isRecord(given) || !ArrayBuffer.isView(given.data) || !Array.isArray(given.shape)) {
    throw wrongKind('{ data, shape }, as model.predict gives it,', 'output', given);
  }
  const { data, shape } = given;
  const [batch = 0, steps = 0, classes = 0] = shape;
  if (shape.length !== 3 || data.length !== batch * steps * classes) {
    throw shapeMismatch(
      `Expected [batch, time, classes] for "output" but received ${data.length} numbers of shape [${shape.join(', ')}]`,
    );
  }
  if (options.blank >= classes) {
    throw wrongValue(`a class below ${classes}`, `${owner}.blank`, options.blank);
  }
  const lengths = options.lengths as ArrayLike<unknown> | undefined;
  if (lengths !== undefined && lengths.length !== batch) {
    throw shapeMismatch(
      `Expected ${batch} lengths for "${owner}.lengths" but received ${lengths.length}`,
    );
  }
  return Array.from({ length: batch }, (_value, i) => ({
    logits: data.subarray(i * steps * classes, (i + 1) * steps * classes),
    steps: lengths ? checkInteger(lengths[i], `${owner}.lengths[${i}]`, 0, steps) : steps,
    classes,
  }));
}

/**
 * The labels of the most probable class of each step, without repetitions and blanks: the best path,
 * which need not be that of the most probable labels.
 *
 * @param output logits or probabilities, [batch, time, classes], as `model.predict` gives them
 * @returns labels of each sample
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` for wrong arguments
 */
export function greedy(output: NDArray, options?: GreedyOptions): number[][] {
  const read = parseOptions('ctc.greedy', options, lengthsSchema);
  return readSamples(output, read, 'ctc.greedy').map(({ logits, steps, classes }) => {
    const labels: number[] = [];
    let before = read.blank;
    for (let t = 0; t < steps; t++) {
      let best = 0;
      for (let k = 1; k < classes; k++) {
        if (logits[t * classes + k]! > logits[t * classes + best]!) best = k;
      }
      if (best !== before && best !== read.blank) labels.push(best);
      before = best;
    }
    return labels;
  });
}

const beamSchema = {
  ...lengthsSchema,
  width: integer(1, 2 ** 16, 16),
  alternatives: integer(1, 2 ** 16, 1),
  words: anything(),
  separator: optional(integer(0, 2 ** 24)),
  scorer: callback<Scorer>(),
  scorerWeight: number({ min: 0 }, 1),
  labelBonus: number({}, 0),
  leastLogProbability: number({ max: 0 }, -12),
  signal: abortSignal(),
};

type BeamOptions = ReturnType<typeof parseOptions<typeof beamSchema>>;

function logAdd(a: number, b: number): number {
  const [high, low] = a < b ? [b, a] : [a, b];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

/** ln of the probabilities of a prefix: of the alignments that end with a blank, and of the others. */
interface Beam {
  prefix: Prefix;
  blank: number;
  label: number;
}

const scoreOf = ({ prefix, blank, label }: Beam): number => logAdd(blank, label) + prefix.score;

function logSoftmax({ logits, classes }: Sample, t: number, into: Float64Array): void {
  let largest = -Infinity;
  for (let k = 0; k < classes; k++) largest = Math.max(largest, logits[t * classes + k]!);
  let sum = 0;
  for (let k = 0; k < classes; k++) sum += Math.exp(logits[t * classes + k]! - largest);
  for (let k = 0; k < classes; k++) into[k] = logits[t * classes + k]! - largest - Math.log(sum);
}

/** The beams after one more step. */
function advance(
  beams: readonly Beam[],
  logP: Float64Array,
  tree: PrefixTree,
  options: BeamOptions,
): Beam[] {
  const next = new Map<Prefix, Beam>();
  const at = (prefix: Prefix): Beam => {
    let beam = next.get(prefix);
    if (beam === undefined) {
      beam = { prefix, blank: -Infinity, label: -Infinity };
      next.set(prefix, beam);
    }
    return beam;
  };
  const { blank, leastLogProbability, width } = options;
  for (const { prefix, blank: endsBlank, label: endsLabel } of beams) {
    const total = logAdd(endsBlank, endsLabel);
    const same = at(prefix);
    same.blank = logAdd(same.blank, total + logP[blank]!);
    if (prefix.parent !== undefined) {
      same.label = logAdd(same.label, endsLabel + logP[prefix.label]!);
    }
    for (let k = 0; k < logP.length; k++) {
      if (k === blank || logP[k]! < leastLogProbability) continue;
      const longer = tree.extend(prefix, k);
      if (longer === undefined) continue;
      // Only a blank between them keeps two equal labels apart.
      const before = k === prefix.label && prefix.parent !== undefined ? endsBlank : total;
      if (before === -Infinity) continue;
      const beam = at(longer);
      beam.label = logAdd(beam.label, before + logP[k]!);
    }
  }
  return [...next.values()].sort((a, b) => scoreOf(b) - scoreOf(a)).slice(0, width);
}

/** The longest time without a look at the event loop, in milliseconds. */
const SLICE_MS = 5;

/**
 * The most probable label sequences by a search over prefixes (Graves and Jaitly 2014; Hannun et al.
 * 2014): each prefix counts with the sum over its alignments, so that the result may be better than
 * {@link greedy}'s. With `words` all of them are made of these words; with `scorer` a language model
 * has a say.
 *
 * @param output logits, [batch, time, classes], as `model.predict` gives them
 * @returns for each sample its alternatives, the best first; none when no sequence of words is left
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` for wrong arguments
 * @throws the signal's reason, when it is aborted
 */
export async function beamSearch(
  output: NDArray,
  options?: BeamSearchOptions,
): Promise<Decoded[][]> {
  const read = parseOptions('ctc.beamSearch', options, beamSchema);
  const samples = readSamples(output, read, 'ctc.beamSearch');
  const results: Decoded[][] = [];
  let since = performance.now();
  for (const sample of samples) {
    const tree = new PrefixTree(read);
    let beams: Beam[] = [{ prefix: tree.root, blank: 0, label: -Infinity }];
    const logP = new Float64Array(sample.classes);
    for (let t = 0; t < sample.steps; t++) {
      logSoftmax(sample, t, logP);
      beams = advance(beams, logP, tree, read);
      if (performance.now() - since < SLICE_MS) continue;
      await nextTurn();
      read.signal?.throwIfAborted();
      since = performance.now();
    }
    const whole = beams.filter(({ prefix }) => tree.isWhole(prefix));
    results.push(
      whole.slice(0, read.alternatives).map((beam) => ({
        labels: tree.labelsOf(beam.prefix),
        logProbability: logAdd(beam.blank, beam.label),
        score: scoreOf(beam),
      })),
    );
  }
  read.signal?.throwIfAborted();
  return results;
}
