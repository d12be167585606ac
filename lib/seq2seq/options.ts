/** What an encoder–decoder is made of, and how its token sequences are read. */
import { kindOf, wrongKind, wrongValue } from '../errors';
import type { AttentionScore, MergeMode } from '../layers';
import { recurrentSchema } from '../layers/recurrent';
import {
  MAX_DIMENSION,
  checkInteger,
  checkOneOf,
  custom,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
} from '../validate';

/** Token ids of one sequence: an array, or a typed array. */
export type TokenSequence = ArrayLike<number>;

/** The tokens of one side. */
export interface SourceTokens {
  /** Number of different tokens: ids run from 0 to `vocab - 1`. Required. */
  vocab: number;
  /** Size of a token's learned vector. Default `units`. */
  embedding?: number;
}

/** The tokens of the target, among them two that mark where a sequence begins and ends. */
export interface TargetTokens extends SourceTokens {
  /** The token that the decoder reads before the first one of a sequence. Required. */
  startToken: number;
  /** The token that ends a sequence; may be the same as `startToken`. Required. */
  endToken: number;
}

/** Options of {@link encoderDecoder}. */
export interface EncoderDecoderOptions {
  /** What is read. Required. */
  source: SourceTokens;
  /** What is written. Required. */
  target: TargetTokens;
  /** Size of the hidden states, of the encoder (of each direction) and of the decoder. Required. */
  units: number;
  /** Of both sides. Default `lstm`. */
  cell?: 'lstm' | 'gru' | 'simpleRnn';
  /** Stacked recurrent layers of each side. Default 1. */
  layers?: number;
  /**
   * Whether the encoder reads in both directions, and how these are merged (true: `concat`). Learned
   * dense layers then make the decoder's initial states of both. Default false.
   */
  bidirectional?: boolean | MergeMode;
  /**
   * How the decoder attends to the encoder's outputs; false: not at all, it has the encoder's final
   * states alone. `dot` needs outputs as large as the decoder's. Default `general`.
   */
  attention?: AttentionScore | false;
  /** Length of the vector under the tanh of `additive` attention. Default `units`. */
  attentionUnits?: number;
  /**
   * Probability with which numbers are dropped in training: of the embeddings, between stacked layers,
   * and before the output. Default 0.
   */
  dropout?: number;
  /** Of the initial weights, dropout, shuffling and sampling: 0 … 2^53 - 1. Default 0. */
  seed?: number;
}

/** Checked options, defaults included. */
export type ReadOptions = Required<Omit<EncoderDecoderOptions, 'source' | 'target'>> & {
  source: Required<SourceTokens>;
  target: Required<TargetTokens>;
};

const SCORES = ['additive', 'dot', 'general'] as const;

const side = { vocab: integer(1, MAX_DIMENSION), embedding: optional(integer(1, MAX_DIMENSION)) };

const schema = {
  source: custom((value, label) => parseOptions(label, value, side)),
  target: custom((value, label) => {
    const token = integer(0, MAX_DIMENSION - 1);
    const read = parseOptions(label, value, { ...side, startToken: token, endToken: token });
    for (const name of ['startToken', 'endToken'] as const) {
      checkInteger(read[name], `${label}.${name}`, 0, read.vocab - 1);
    }
    return read;
  }),
  units: integer(1, MAX_DIMENSION),
  cell: oneOf(['lstm', 'gru', 'simpleRnn'] as const, 'lstm'),
  layers: integer(1, 64, 1),
  bidirectional: recurrentSchema.bidirectional,
  attention: custom<AttentionScore | false>((value, label) => {
    if (value === false) return value;
    if (typeof value !== 'string') throw wrongKind('false or a score', label, value);
    return checkOneOf(value, label, SCORES);
  }, 'general'),
  attentionUnits: optional(integer(1, MAX_DIMENSION)),
  dropout: number({ min: 0, below: 1 }, 0),
  seed: integer(0, Number.MAX_SAFE_INTEGER, 0),
};

/**
 * @throws TypeError, RangeError for wrong options, and those that contradict each other
 */
export function readOptions(given: unknown): ReadOptions {
  const { source, target, attentionUnits, ...rest } = parseOptions('encoderDecoder', given, schema);
  const { units, attention, bidirectional } = rest;
  if (attentionUnits !== undefined && attention !== 'additive') {
    throw wrongKind(
      'nothing without attention: "additive"',
      'encoderDecoder.attentionUnits',
      attentionUnits,
    );
  }
  if (attention === 'dot' && (bidirectional === true || bidirectional === 'concat')) {
    throw wrongValue(
      '"general" or "additive" with both directions side by side',
      'encoderDecoder.attention',
      attention,
      'or merge the directions into vectors of the decoder\'s size: bidirectional: "sum"',
    );
  }
  return {
    ...rest,
    source: { vocab: source.vocab, embedding: source.embedding ?? units },
    target: { ...target, embedding: target.embedding ?? units },
    attentionUnits: attentionUnits ?? units,
  };
}

/** What sequences of tokens must look like. */
export interface Tokens {
  vocab: number;
  /** The fewest tokens of a sequence. */
  least: number;
  /** Tokens that the model adds itself. */
  reserved: readonly number[];
}

/**
 * Copies sequences of tokens.
 *
 * @throws TypeError, RangeError for anything but sequences of tokens of the vocabulary
 */
export function readSequences(given: unknown, tokens: Tokens, label: string): Int32Array[] {
  if (!Array.isArray(given)) throw wrongKind('an array of sequences of tokens', label, given);
  if (given.length === 0) throw wrongValue('at least one sequence', label, given);
  return given.map((sequence: unknown, i) => readSequence(sequence, tokens, `${label}[${i}]`));
}

function readSequence(
  given: unknown,
  { vocab, least, reserved }: Tokens,
  label: string,
): Int32Array {
  if (!Array.isArray(given) && !(ArrayBuffer.isView(given) && kindOf(given) !== 'DataView')) {
    throw wrongKind('an array of tokens', label, given);
  }
  const sequence = given as ArrayLike<unknown>;
  if (sequence.length < least) throw wrongValue('at least one token', label, given);
  const ids = new Int32Array(sequence.length);
  for (let t = 0; t < ids.length; t++) {
    const id = checkInteger(sequence[t], `${label}[${t}]`, 0, vocab - 1);
    if (reserved.includes(id)) {
      throw wrongValue(
        'a token that does not mark the begin or the end',
        `${label}[${t}]`,
        id,
        'the model adds startToken and endToken itself; leave them out',
      );
    }
    ids[t] = id;
  }
  return ids;
}
