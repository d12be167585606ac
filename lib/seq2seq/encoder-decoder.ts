/** The encoder–decoder as users see it. */
import { OstinatoError } from '../errors';
import type { History } from '../fit';
import { Model, load } from '../model';
import type { SaveOptions } from '../model';
import type { Hypothesis } from './beam';
import { decode, readDecodeOptions } from './decode';
import type { DecodeOptions } from './decode';
import { trainingPlan } from './graphs';
import { readOptions } from './options';
import type { EncoderDecoderOptions, TokenSequence } from './options';
import { Steps } from './steps';
import { evaluatePairs, fitPairs, readSources } from './train';
import type {
  EncoderDecoderEvaluateOptions,
  EncoderDecoderFitOptions,
  EncoderDecoderScores,
  Trained,
} from './train';

/** Tokens of a result beyond twice those of its source. */
const SPARE_LENGTH = 10;

/**
 * A model from sequences of tokens to sequences of tokens of other lengths: translation,
 * transliteration, spelling. An encoder reads the source; a decoder that begins with its final states,
 * and may attend to its outputs, writes the target token by token.
 *
 * Long calls are promises; the work happens on native threads. While one call trains, others are
 * rejected with `ERR_BUSY`, except in its callbacks.
 */
export class EncoderDecoder implements Disposable {
  /**
   * The graph that is trained, as a model of its own: inputs `source` and `target`, both tokens (the
   * target with its start token first), and logits of the next token for each step of the target.
   */
  readonly model: Model;
  readonly #trained: Trained;

  /** @internal Use {@link encoderDecoder} or {@link loadEncoderDecoder}. */
  constructor(model: Model) {
    this.model = model;
    const core = Model.coreOf(model);
    const embedding = core.plan.layers.find(({ name }) => name === 'source_embedding');
    if (core.plan.boundaries === undefined || embedding === undefined) {
      throw new OstinatoError('ERR_FORMAT', 'The model is no encoder–decoder; use load() for it');
    }
    const sourceVocab = embedding.layer.options['inputDim'] as number;
    this.#trained = { model, steps: new Steps(core), sourceVocab };
  }

  /** What `save` keeps with the model, and `loadEncoderDecoder` brings back; any JSON value. */
  get metadata(): unknown {
    return this.model.metadata;
  }

  set metadata(value: unknown) {
    this.model.metadata = value;
  }

  /** A table of the layers of the graph that is trained. */
  summary(): string {
    return this.model.summary();
  }

  /**
   * Trains on pairs of sequences.
   *
   * @param sources at least one token each
   * @param targets without start and end; may be empty sequences
   * @returns the scores of each epoch
   * @throws TypeError, RangeError for wrong options or data
   * @throws OstinatoError as `model.fit`
   */
  async fit(
    sources: readonly TokenSequence[],
    targets: readonly TokenSequence[],
    options?: EncoderDecoderFitOptions,
  ): Promise<History> {
    return fitPairs(this.#trained, sources, targets, options);
  }

  /** Ends a running `fit` after the slice of steps at hand; its promise resolves as usual. */
  stop(): void {
    this.model.stop();
  }

  /**
   * The loss and accuracies over pairs of sequences, with dropout off.
   *
   * @throws as {@link fit}
   */
  async evaluate(
    sources: readonly TokenSequence[],
    targets: readonly TokenSequence[],
    options?: EncoderDecoderEvaluateOptions,
  ): Promise<EncoderDecoderScores> {
    return evaluatePairs(this.#trained, sources, targets, options);
  }

  /**
   * The sequences that the model makes of sources, without start and end: greedily, or by beam search.
   * The same sources give the same results in any batches but for the rounding of sums, and for any
   * number of threads.
   *
   * @throws TypeError, RangeError for wrong options or sources
   * @throws OstinatoError `ERR_BUSY` while the model trains; `ERR_DISPOSED`; `ERR_DIVERGED` where its
   *     output is NaN
   * @throws the signal's reason, when it is aborted
   */
  async decode(
    sources: readonly TokenSequence[],
    options: DecodeOptions & { nBest: number },
  ): Promise<Hypothesis[][]>;
  async decode(
    sources: readonly TokenSequence[],
    options: DecodeOptions & { returnScores: true },
  ): Promise<Hypothesis[]>;
  async decode(sources: readonly TokenSequence[], options?: DecodeOptions): Promise<number[][]>;
  async decode(
    sources: readonly TokenSequence[],
    given?: DecodeOptions,
  ): Promise<Hypothesis[][] | Hypothesis[] | number[][]> {
    const options = readDecodeOptions(given);
    const read = readSources(this.#trained, sources, 'sources');
    const { signal, threads, maxLength, nBest, returnScores } = options;
    signal?.throwIfAborted();
    const limits = read.map(({ length }) => maxLength ?? 2 * length + SPARE_LENGTH);
    const core = Model.coreOf(this.model);
    const work = { signal, threads: core.threads(threads) };
    const all = await core.shared(() => decode(this.#trained.steps, read, limits, options, work));
    if (nBest !== undefined) return all;
    const best = all.map(([first]) => first!);
    return returnScores ? best : best.map(({ tokens }) => tokens);
  }

  /**
   * Writes weights and configuration to a safetensors file; {@link loadEncoderDecoder} reads it, and so
   * it does checkpoints of `fit`.
   *
   * @throws OstinatoError `ERR_IO`; `ERR_BUSY` while the model trains; `ERR_DISPOSED`
   */
  async save(path: string, options?: SaveOptions): Promise<void> {
    return this.model.save(path, options);
  }

  /** Frees the native memory, as `model.dispose` does. */
  dispose(): void {
    this.#trained.steps.dispose();
    this.model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Makes an encoder–decoder with fresh weights.
 *
 * ```ts
 * const model = encoderDecoder({
 *   source: { vocab: 40 },
 *   target: { vocab: 14, startToken: 12, endToken: 13 },
 *   units: 64,
 * });
 * await model.fit(sources, targets, { epochs: 20 });
 * const written = await model.decode(sources, { beamWidth: 4 });
 * ```
 *
 * @throws TypeError, RangeError for wrong options
 * @throws OstinatoError `ERR_ADDON`
 */
export function encoderDecoder(options: EncoderDecoderOptions): EncoderDecoder {
  return new EncoderDecoder(new Model(trainingPlan(readOptions(options))));
}

/**
 * Loads an encoder–decoder that {@link EncoderDecoder.save} wrote.
 *
 * @throws OstinatoError `ERR_FORMAT` with the reason; `ERR_IO`; `ERR_SHAPE_MISMATCH`
 */
export async function loadEncoderDecoder(path: string): Promise<EncoderDecoder> {
  const model = await load(path);
  try {
    return new EncoderDecoder(model);
  } catch (error) {
    model.dispose();
    throw error;
  }
}
