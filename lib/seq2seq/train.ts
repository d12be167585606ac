/** Training and evaluation of an encoder–decoder: its data, and which runs sample their inputs. */
import { wrongKind, wrongValue } from '../errors';
import { evaluate } from '../evaluate';
import { fit } from '../fit';
import type { FitHooks, FitOptions, History } from '../fit';
import type { LossOptions } from '../losses';
import type { Scores } from '../metrics';
import { Model } from '../model';
import { anything, checkNumber, number, oneOf, optional, parseOptions } from '../validate';
import { decode, readDecodeOptions } from './decode';
import type { DecodeOptions } from './decode';
import { readSequences } from './options';
import type { TokenSequence } from './options';
import { ScheduledSampling } from './scheduled-sampling';
import type { Guess } from './scheduled-sampling';
import type { Steps } from './steps';
import type { TeacherForcing } from './teacher-forcing';

/**
 * Options of {@link EncoderDecoder.fit}: those of `model.fit` that go with sequences of tokens, and
 * its own. The loss is `sparseCategoricalCrossentropy`, the mean over all tokens of the targets and
 * their ends; metrics are `accuracy` unless given.
 */
export interface EncoderDecoderFitOptions extends Omit<
  FitOptions,
  'loss' | 'lossWeights' | 'fromLogits' | 'lengths' | 'mask' | 'stateful' | 'validationData'
> {
  /**
   * Probability with which the decoder is fed the true token before, not the model's own guess
   * (scheduled sampling; Bengio et al. 2015): a number, or a function of the step, as `teacherForcing`
   * makes them. Below 1 each step also decodes its batch once. The first token is always the start.
   * Default 1.
   */
  teacherForcing?: number | TeacherForcing;
  /** The model's guess: drawn from its probabilities, or the most probable token. Default `sample`. */
  guess?: Guess;
  /** How much of a target is spread evenly over the vocabulary. Default 0. */
  labelSmoothing?: number;
  /** Data to evaluate after each epoch, with true tokens fed: [sources, targets]. */
  validationData?: readonly [readonly TokenSequence[], readonly TokenSequence[]];
}

/** Options of {@link EncoderDecoder.evaluate}; of decoding those of `decode`. */
export type EncoderDecoderEvaluateOptions = Pick<
  DecodeOptions,
  'beamWidth' | 'lengthPenalty' | 'batchSize' | 'signal' | 'threads'
>;

/** What {@link EncoderDecoder.evaluate} gives. */
export interface EncoderDecoderScores {
  /** Mean over all tokens of the targets and their ends, with true tokens fed. */
  loss: number;
  /** e^loss. */
  perplexity: number;
  /** Share of these tokens that are the most probable ones, with true tokens fed. */
  accuracy: number;
  /** Share of the sequences that `decode` gives as they are, their ends included. */
  sequenceAccuracy: number;
}

const PASSED_ON = [
  'optimizer',
  'epochs',
  'initialEpoch',
  'batchSize',
  'metrics',
  'validationSplit',
  'shuffle',
  'seed',
  'sampleWeights',
  'onDivergence',
  'signal',
  'onBatch',
  'onEpoch',
  'callbacks',
  'resume',
  'threads',
] as const;

const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, anything()])) as Record<
  (typeof PASSED_ON)[number],
  ReturnType<typeof anything>
>;

const fitSchema = {
  ...passedOn,
  teacherForcing: anything(),
  guess: oneOf(['sample', 'greedy'] as const, 'sample'),
  labelSmoothing: optional(number({ min: 0, below: 1 })),
  validationData: anything(),
};

const LOSS = 'sparseCategoricalCrossentropy';

/** Sequences as the training graph takes them. */
interface Pairs {
  sources: Int32Array[];
  targets: Int32Array[];
  /** What the decoder reads: the start, then the tokens of the target. */
  read: Int32Array[];
  /** What it shall write: the tokens of the target, then the end. */
  written: Int32Array[];
}

/** The inputs and targets of the training graph. */
function asData({ sources, read, written }: Pairs): [object, Int32Array[]] {
  return [{ source: sources, target: read }, written];
}

/** The part of the encoder–decoder that its data must fit. */
export interface Trained {
  model: Model;
  steps: Steps;
  sourceVocab: number;
}

export function readSources({ sourceVocab }: Trained, given: unknown, label: string): Int32Array[] {
  return readSequences(given, { vocab: sourceVocab, least: 1, reserved: [] }, label);
}

function readPairs(
  trained: Trained,
  sources: unknown,
  targets: unknown,
  [sourceLabel, targetLabel]: readonly [string, string] = ['sources', 'targets'],
): Pairs {
  const { vocab, boundaries } = trained.steps;
  const { startToken, endToken } = boundaries;
  const read = readSources(trained, sources, sourceLabel);
  const reserved = [startToken, endToken];
  const tokens = readSequences(targets, { vocab, least: 0, reserved }, targetLabel);
  if (tokens.length !== read.length) {
    throw wrongValue(`${read.length} sequences, as many as sources,`, targetLabel, targets);
  }
  return {
    sources: read,
    targets: tokens,
    read: tokens.map((own) => Int32Array.of(startToken, ...own)),
    written: tokens.map((own) => Int32Array.of(...own, endToken)),
  };
}

function readValidation(trained: Trained, given: unknown): [object, Int32Array[]] | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given) || given.length !== 2) {
    throw wrongKind('[sources, targets]', 'encoderDecoder.fit.validationData', given);
  }
  const labels = ['validationData[0]', 'validationData[1]'] as const;
  return asData(readPairs(trained, given[0], given[1], labels));
}

/** Undefined where the true tokens are always fed. */
function readTeacherForcing(given: unknown): TeacherForcing | undefined {
  if (given === undefined || given === 1) return undefined;
  if (typeof given === 'function') return given as TeacherForcing;
  const probability = checkNumber(given, 'encoderDecoder.fit.teacherForcing', { min: 0, max: 1 });
  return () => probability;
}

/** See `EncoderDecoder.fit`. */
export async function fitPairs(
  trained: Trained,
  sources: unknown,
  targets: unknown,
  given: unknown,
): Promise<History> {
  const { teacherForcing, guess, labelSmoothing, validationData, ...rest } = parseOptions(
    'encoderDecoder.fit',
    given,
    fitSchema,
  );
  const forcing = readTeacherForcing(teacherForcing);
  const pairs = readPairs(trained, sources, targets);
  const loss: LossOptions = { kind: LOSS, labelSmoothing: labelSmoothing ?? 0 };
  const validation = readValidation(trained, validationData);
  const options = {
    ...rest,
    metrics: rest.metrics ?? ['accuracy'],
    loss,
    ...(validation === undefined ? {} : { validationData: validation }),
  };
  const core = Model.coreOf(trained.model);
  let hooks: FitHooks | undefined;
  if (forcing !== undefined) {
    const seed = (rest.seed as number | undefined) ?? core.plan.seed;
    const sampling = new ScheduledSampling(
      trained.steps,
      { teacherForcing: forcing, guess, seed, sources: pairs.sources, truth: pairs.read },
      {
        signal: rest.signal as AbortSignal | undefined,
        threads: core.threads(rest.threads as number | undefined),
      },
    );
    hooks = {
      beforeStep: (data, samples, step) => sampling.beforeStep(data, samples, step),
      identity: { scheduledSampling: { guess, seed } },
    };
  }
  return fit(core, trained.model, [...asData(pairs), options], hooks);
}

/** See `EncoderDecoder.evaluate`. */
export async function evaluatePairs(
  trained: Trained,
  sources: unknown,
  targets: unknown,
  given: unknown,
): Promise<EncoderDecoderScores> {
  const { beamWidth, lengthPenalty, batchSize, signal, threads } = parseOptions(
    'encoderDecoder.evaluate',
    given,
    {
      beamWidth: anything(),
      lengthPenalty: anything(),
      batchSize: anything(),
      signal: anything(),
      threads: anything(),
    },
  );
  const options = readDecodeOptions({ beamWidth, lengthPenalty, batchSize, signal, threads });
  const pairs = readPairs(trained, sources, targets);
  const core = Model.coreOf(trained.model);
  const metrics = ['accuracy', 'perplexity'];
  const native = { batchSize: options.batchSize, signal: options.signal, threads: options.threads };
  const scores: Scores = await evaluate(core, [
    ...asData(pairs),
    { ...native, loss: LOSS, metrics },
  ]);
  const work = { signal: options.signal, threads: core.threads(options.threads) };
  const limits = pairs.targets.map(({ length }) => length);
  const decoded = await core.shared(() =>
    decode(trained.steps, pairs.sources, limits, options, work),
  );
  const right = decoded.filter(([best], i) => {
    const wanted = pairs.targets[i]!;
    return best!.ended && best!.tokens.join() === wanted.join();
  });
  return {
    loss: scores.loss,
    perplexity: scores['perplexity'] as number,
    accuracy: scores['accuracy'] as number,
    sequenceAccuracy: right.length / decoded.length,
  };
}
