/** Text from a character model, one character at a time. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { OstinatoError, shapeMismatch, wrongKind, wrongValue } from '../errors';
import { RandomSequence } from '../rng';
import { Session } from '../session';
import { abortSignal, custom, integer, number, parseOptions } from '../validate';
import { CharVocab } from './char-vocab';
import { sample } from './sampling';

/** Options of {@link generate}. */
export interface GenerateOptions {
  /** Read first; not part of what is generated. At least one character. Required. */
  prompt: string;
  /** Characters to generate. Default 200. */
  length?: number;
  /** Below 1 safer, above 1 wilder, 0 always the most probable. Default 1. */
  temperature?: number;
  /** Only among the k most probable; 0: all. Default 0. */
  topK?: number;
  /** Only among the most probable whose probabilities sum to p; 1: all. Default 1. */
  topP?: number;
  /** The same seed gives the same text. Default 0. */
  seed?: number;
  /** Ends the generation; the iteration then throws the signal's reason. */
  signal?: AbortSignal;
}

/** Longest time without a look at the event loop, in milliseconds. */
const TURN_MS = 4;

const schema = {
  prompt: custom<string>((value, label) => {
    if (typeof value !== 'string') throw wrongKind('a string', label, value);
    if (value === '') throw wrongValue('at least one character', label, value);
    return value;
  }),
  length: integer(0, Number.MAX_SAFE_INTEGER, 200),
  temperature: number({ min: 0 }, 1),
  topK: integer(0, 2 ** 24, 0),
  topP: number({ above: 0, max: 1 }, 1),
  seed: integer(0, Number.MAX_SAFE_INTEGER, 0),
  signal: abortSignal(),
};

/**
 * Generates characters from a session's present state, and leaves it where it ends: a further
 * call goes on. Steps are made on this thread, with a turn of the event loop every few
 * milliseconds.
 *
 * @param session of a model whose output is one score for each character, with one stream
 * @throws TypeError, RangeError for wrong options, or a character that the vocabulary lacks
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` for a session that does not fit the vocabulary;
 *     `ERR_DIVERGED` when the model's output is NaN; `ERR_BUSY` while the model trains
 */
export async function* generate(
  session: Session,
  vocab: CharVocab,
  options: GenerateOptions,
): AsyncGenerator<string, void, undefined> {
  if (!(session instanceof Session)) throw wrongKind('a session', 'session', session);
  if (!(vocab instanceof CharVocab)) throw wrongKind('a vocabulary', 'vocab', vocab);
  const { prompt, length, seed, signal, ...sampling } = parseOptions('generate', options, schema);
  if (session.streams !== 1) {
    throw shapeMismatch(`Expected one stream for "session" but received ${session.streams}`);
  }
  if (session.outputFeatures !== vocab.size) {
    throw shapeMismatch(
      `Expected ${vocab.size} scores, one for each character, from "session" but its model gives ${session.outputFeatures}`,
    );
  }
  signal?.throwIfAborted();
  const ids = vocab.encode(prompt);
  if (ids.length === 0) throw wrongValue('at least one known character', 'generate.prompt', prompt);
  const random = new RandomSequence(seed);
  let turn = performance.now();
  const step = async (id: number): Promise<Float32Array> => {
    if (performance.now() - turn > TURN_MS) {
      await nextTurn();
      turn = performance.now();
    }
    signal?.throwIfAborted();
    return session.stepSync(id);
  };
  let scores!: Float32Array;
  for (const id of ids) scores = await step(id);
  for (let made = 0; made < length; made++) {
    if (scores.some(Number.isNaN)) {
      throw new OstinatoError(
        'ERR_DIVERGED',
        "The model's output is NaN; it was trained too far off",
      );
    }
    const logits = session.givesProbabilities ? scores.map(Math.log) : scores;
    const id = sample(logits, sampling, random.next());
    yield vocab.characters[id]!;
    scores = await step(id);
  }
}
