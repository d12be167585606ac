/** Windows over a text, for language models that predict the next character. */
import { isNumericArray, copyIntegers } from '../data/arrays';
import { WindowDataset } from '../data/window-dataset';
import { wrongKind, wrongValue } from '../errors';
import { custom, flag, integer, optional, parseOptions } from '../validate';
import { CharVocab } from './char-vocab';

/** Options of {@link windows}. */
export interface WindowsOptions {
  /** Encodes the corpus. Required for a string. */
  vocab?: CharVocab;
  /** Steps of a window. Required. */
  length: number;
  /**
   * Cut the text into this many lanes of contiguous text, and let training carry the states along
   * each of them (truncated backpropagation through time). It is also the batch size.
   */
  batchSize?: number;
  /** Whether states are carried; false makes independent windows. Default: whether there is a `batchSize`. */
  stateful?: boolean;
  /** Steps from one independent window to the next. Default `length`: no overlap. */
  stride?: number;
}

const MAX = 2 ** 31 - 1;

function encode(corpus: unknown, vocab: CharVocab | undefined): Int32Array {
  if (typeof corpus === 'string') {
    if (vocab === undefined) throw wrongKind('a vocabulary', 'windows.vocab', vocab);
    return vocab.encode(corpus);
  }
  if (!isNumericArray(corpus, 'corpus')) {
    throw wrongKind('a string or an array of token ids', 'corpus', corpus);
  }
  const ids = new Int32Array(corpus.length);
  copyIntegers(corpus, 0, corpus.length, ids, 0, 'corpus');
  return ids;
}

/** Lane l holds `perLane` steps from l · perLane on; windows go step by step over all lanes. */
function cutLanes(ids: Int32Array, length: number, lanes: number): WindowDataset {
  const perLane = Math.floor((ids.length - 1) / lanes);
  if (perLane < 1) {
    throw wrongValue(
      `at least ${lanes + 1} tokens for ${lanes} lanes`,
      'corpus.length',
      ids.length,
      'use a smaller batchSize',
    );
  }
  const rounds = Math.ceil(perLane / length);
  const offsets = new Float64Array(rounds * lanes);
  const lengths = new Int32Array(rounds * lanes);
  for (let round = 0; round < rounds; round++) {
    const begin = round * length;
    for (let lane = 0; lane < lanes; lane++) {
      offsets[round * lanes + lane] = lane * perLane + begin;
      lengths[round * lanes + lane] = Math.min(length, perLane - begin);
    }
  }
  return new WindowDataset(ids, offsets, lengths, lanes);
}

function cutFreely(ids: Int32Array, length: number, stride: number): WindowDataset {
  const steps = ids.length - 1;
  const count = steps < 1 ? 0 : Math.max(1, Math.floor((steps - length) / stride) + 1);
  if (count === 0) throw wrongValue('at least 2 tokens', 'corpus.length', ids.length);
  const offsets = Float64Array.from({ length: count }, (_value, i) => i * stride);
  const lengths = new Int32Array(count).fill(Math.min(length, steps));
  return new WindowDataset(ids, offsets, lengths, undefined);
}

/**
 * Windows of `length` steps over a text; the target of a step is the next character. The text is
 * kept once, however many windows overlap.
 *
 * With `batchSize`, the text is cut into as many lanes, window i continues window i - batchSize,
 * and `fit` carries the states over; the last windows may be shorter.
 *
 * @param corpus a text, or token ids
 * @throws TypeError, RangeError for wrong options or a text that is too short
 */
export function windows(
  corpus: string | Int32Array | Uint8Array | Uint16Array | Uint32Array,
  options: WindowsOptions,
): WindowDataset {
  const { vocab, length, batchSize, stateful, stride } = parseOptions('windows', options, {
    vocab: optional(
      custom<CharVocab>((value, label) => {
        if (!(value instanceof CharVocab)) throw wrongKind('a vocabulary', label, value);
        return value;
      }),
    ),
    length: integer(1, MAX),
    batchSize: optional(integer(1, 2 ** 24)),
    stateful: optional(flag(true)),
    stride: optional(integer(1, MAX)),
  });
  const lanes = (stateful ?? batchSize !== undefined) ? batchSize : undefined;
  if (stateful === true && batchSize === undefined) {
    throw wrongKind('a number of lanes', 'windows.batchSize', batchSize, 'stateful needs it');
  }
  if (stateful === false && batchSize !== undefined) {
    throw wrongKind(
      'nothing with stateful: false',
      'windows.batchSize',
      batchSize,
      'give batchSize to model.fit',
    );
  }
  if (lanes !== undefined && stride !== undefined) {
    throw wrongKind('nothing with batchSize', 'windows.stride', stride);
  }
  const ids = encode(corpus, vocab);
  if (lanes !== undefined) return cutLanes(ids, length, lanes);
  return cutFreely(ids, length, stride ?? length);
}
