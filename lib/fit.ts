/** `model.fit`: options, epochs, validation, going on from a checkpoint, and the history. */
import { checkCallbacks } from './callbacks/callback';
import type { Callback } from './callbacks/callback';
import { CallbackList } from './callbacks/callback-list';
import { findCheckpoint } from './checkpoint/directory';
import { checkIdentity, identityOf, restore } from './checkpoint/training-state';
import type { Identity } from './checkpoint/training-state';
import { isBatchStream, range } from './data/batches';
import { openData, readSource, readValidation } from './data/source';
import type { Source } from './data/source';
import { guardNative, wrongKind } from './errors';
import { evaluateSamples, evaluateSource } from './evaluate';
import type { PassOptions } from './evaluate';
import { RunContext, startOfEpoch } from './fit-context';
import { FitRun } from './fit-run';
import type { BatchEvent, BeforeStep } from './fit-run';
import { splitIdentity, useSamples } from './fit-split';
import type { LossByOutput, LossName, LossOptions } from './losses';
import { validationName } from './metrics';
import type { MetricsOption, Scores } from './metrics';
import type { Model } from './model';
import type { ModelCore, Training } from './model-core';
import { Scoring, isSameModelLoss, resolveModelLoss } from './model-loss';
import type { ModelLoss } from './model-loss';
import { nativeOptimizer, resolveOptimizer } from './optimizers';
import type { Optimizer, OptimizerName } from './optimizers';
import { monitoring, startOf } from './plateau';
import { RandomSequence } from './rng';
import {
  abortSignal,
  anything,
  callback,
  checkText,
  custom,
  flag,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
} from './validate';

/** What `onEpoch` is told: the epoch, its scores, and those of the validation with `val` before. */
export interface EpochEvent extends Scores {
  /** From 0. */
  epoch: number;
  valLoss?: number;
  valAccuracy?: number;
  valPerplexity?: number;
  valBits?: number;
  valConfusionMatrix?: number[][];
  /** The rate of its last step. */
  learningRate: number;
  /** Time of the epoch, validation included, in seconds. */
  seconds: number;
}

/** A value for each finished epoch, by name. */
export interface History {
  epoch: number[];
  loss: number[];
  accuracy?: number[];
  perplexity?: number[];
  bits?: number[];
  valLoss?: number[];
  valAccuracy?: number[];
  valPerplexity?: number[];
  valBits?: number[];
  valConfusionMatrix?: number[][][];
  learningRate: number[];
  seconds: number[];
  /** Other metrics, e.g. `valF1`, under their names. */
  [name: string]: number[] | number[][][] | undefined;
}

/** Options of `model.fit`. */
export interface FitOptions {
  /** Required. With several outputs: one loss for all of them, or `{ output: loss }`. */
  loss: LossName | LossOptions | LossByOutput;
  /** With several outputs: what the loss of each is multiplied by in the total. Default: all 1. */
  lossWeights?: Record<string, number>;
  /**
   * Whether the output is logits, to which the loss applies softmax or sigmoid itself. Default: as
   * the last layer says; a value that contradicts it is an error.
   */
  fromLogits?: boolean;
  /** Default `adam`. */
  optimizer?: Optimizer | OptimizerName;
  /** Passes over the data. Default 1. */
  epochs?: number;
  /** The number of the first epoch, for runs that go on. Default 0; `epochs` is where it ends. */
  initialEpoch?: number;
  /** Samples of a step. Default 32. */
  batchSize?: number;
  /**
   * What is reported beside the loss: names, or objects with options. Metrics that need predictions
   * are those of the validation alone. With several outputs: for each that has them, or
   * `{ output: metrics }`. Default none.
   */
  metrics?: MetricsOption;
  /** Data to evaluate after each epoch: [x, y], { x, y, … }, windows, or a stream. */
  validationData?: unknown;
  /** Or: hold out this share of the samples, the last ones. Default 0. */
  validationSplit?: number;
  /** New order of samples in each epoch. Default true, but false with carried state. */
  shuffle?: boolean;
  /** Of the orders. Default: the model's seed. */
  seed?: number;
  /**
   * Steps of each sample that count: [batch]; of a model of several time axes, by their names:
   * `{ source: […], target: […] }`. What lies beyond is neither read nor computed.
   */
  lengths?: unknown;
  /** 1 for target rows that count, 0 for those that do not: [batch] or [batch, time]. */
  mask?: unknown;
  /** Factors of the rows' losses: [batch], or [batch, time] for outputs with a time axis. */
  sampleWeights?: unknown;
  /**
   * Truncated backpropagation through time: each batch begins with the states in which the batch
   * before ended, row by row. Default: as the dataset says, else false.
   */
  stateful?: boolean;
  /**
   * What to do when the loss or a gradient is NaN or infinite: `stop` with ERR_DIVERGED (default),
   * `skip` that update, or `continue` as if nothing had happened.
   */
  onDivergence?: 'stop' | 'skip' | 'continue';
  /** Ends the training within about 50 ms; `fit` then rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Called after each step, in order. Steps are made in slices of up to 50 ms, so calls come in
   * groups. A promise is awaited. The model can be read (predict, save) meanwhile.
   */
  onBatch?: (event: BatchEvent) => unknown;
  /** Called after each epoch; a promise is awaited. The model can be read meanwhile. */
  onEpoch?: (event: EpochEvent) => unknown;
  /**
   * Observers, called in this order, then `onBatch` and `onEpoch`: those of `callbacks`, or your own.
   */
  callbacks?: readonly Callback[];
  /**
   * Goes on from a checkpoint, or from the newest whole one in a directory: the weights, the
   * optimiser, the place in the data, the history and the callbacks become those of that run, and
   * what follows is bit for bit what would have followed there. The model, the data and the options
   * must be the same; `epochs`, the learning rate, `signal`, `threads` and callbacks without a state
   * may differ. A stream must give the same batches again.
   */
  resume?: string;
  /** Default: `getThreads()`. Results do not depend on it. */
  threads?: number;
}

const MAX_EPOCHS = 2 ** 31;

const schema = {
  loss: anything(),
  lossWeights: anything(),
  fromLogits: optional(flag(true)),
  optimizer: anything(),
  epochs: integer(1, MAX_EPOCHS, 1),
  initialEpoch: integer(0, MAX_EPOCHS, 0),
  batchSize: optional(integer(1, 2 ** 24)),
  metrics: anything(),
  validationData: anything(),
  validationSplit: number({ min: 0, below: 1 }, 0),
  shuffle: optional(flag(true)),
  seed: optional(integer(0, Number.MAX_SAFE_INTEGER)),
  lengths: anything(),
  mask: anything(),
  sampleWeights: anything(),
  stateful: optional(flag(false)),
  onDivergence: oneOf(['stop', 'skip', 'continue'] as const, 'stop'),
  signal: abortSignal(),
  onBatch: callback<(event: BatchEvent) => unknown>(),
  onEpoch: callback<(event: EpochEvent) => unknown>(),
  callbacks: custom<Callback[]>(checkCallbacks, []),
  resume: optional(custom(checkText)),
  threads: optional(integer(1, 1024)),
};

type Options = ReturnType<typeof parseOptions<typeof schema>>;

/** What a model that is trained in a way of its own adds to a run over arrays. */
export interface FitHooks {
  beforeStep: BeforeStep;
  /** What of it has to be the same when a run goes on. */
  identity: Identity;
}

/** Makes the core's trainer, or goes on with the last one when the optimiser is the same. */
function configure(core: ModelCore, loss: ModelLoss, given: unknown): Training {
  const before = core.training;
  const same = before !== undefined && before.given === given;
  if (same && isSameModelLoss(before.loss, loss)) {
    before.loss = loss;
    return before;
  }
  const optimizer = same ? before.optimizer : resolveOptimizer(given);
  const { native } = core;
  guardNative(() => {
    const kept = same ? native.readOptimizer() : undefined;
    native.configureTraining(loss.native, nativeOptimizer(optimizer, core.description.parameters));
    if (kept !== undefined) native.writeOptimizer(kept);
  });
  const plateau = same ? before.plateau : startOf(optimizer.learningRate);
  core.training = { optimizer, given, loss, steps: same ? before.steps : 0, plateau };
  return core.training;
}

function record(history: History, event: EpochEvent): void {
  const lists = history as unknown as Record<string, unknown[] | undefined>;
  for (const [key, value] of Object.entries(event)) {
    (lists[key] ??= []).push(value);
  }
}

function withValidation(event: EpochEvent, validation: Scores | undefined): EpochEvent {
  for (const [key, value] of Object.entries(validation ?? {})) event[validationName(key)] = value;
  return event;
}

/** The callbacks of the options, then the functions. */
function callbackList(core: ModelCore, { callbacks, onBatch, onEpoch }: Options): CallbackList {
  const functions: Callback = {};
  if (onBatch !== undefined) functions.onBatchEnd = (event) => onBatch(event);
  if (onEpoch !== undefined) functions.onEpochEnd = (event) => onEpoch(event);
  return new CallbackList(core, [...callbacks, functions]);
}

async function run(
  core: ModelCore,
  model: Model,
  source: Source,
  validation: Source | undefined,
  loss: ModelLoss,
  scoring: Scoring,
  options: Options,
  hooks: FitHooks | undefined,
): Promise<History> {
  const { signal, epochs, initialEpoch, resume } = options;
  const threads = core.threads(options.threads);
  const seed = options.seed ?? core.plan.seed;
  // Samples that are held out are among those of the source.
  const keep = validation === undefined && scoring.comparing.length > 0;
  const opened = source.kind === 'stream' ? undefined : openData(core, source, loss.targets, keep);
  const callbacks = callbackList(core, options);
  try {
    const split = opened === undefined ? undefined : useSamples(opened, options);
    const given = options.optimizer ?? 'adam';
    const checkpoint = resume === undefined ? undefined : await findCheckpoint(resume);
    const identity = {
      ...identityOf(core, resolveOptimizer(given), loss),
      data: source.kind,
      ...splitIdentity(split, seed),
      metrics: scoring.identity,
      ...hooks?.identity,
    };
    if (checkpoint !== undefined) {
      checkIdentity(checkpoint.file, identity, checkpoint.path);
      core.training = undefined;
    }
    const training = configure(core, loss, given);
    const saved = checkpoint && restore(core, checkpoint.file, checkpoint.path);
    const carryState = split?.carryState ?? options.stateful ?? false;
    const validates =
      validation !== undefined || (split !== undefined && split.trainSamples < split.data.samples);
    const names = scoring.names(validates);
    const history = saved?.history ?? { epoch: [], loss: [], learningRate: [], seconds: [] };
    const context = new RunContext({
      core,
      model,
      callbacks,
      identity,
      epochs,
      batches: split && Math.ceil(split.trainSamples / split.batchSize),
      scores: names,
      history,
      position: saved?.position ?? startOfEpoch(initialEpoch, scoring),
      resumed: saved !== undefined,
    });
    callbacks.context = context;
    const fitRun = new FitRun(core, {
      training,
      scoring,
      carryState,
      divergence: options.onDivergence,
      signal,
      threads,
      callbacks,
      context,
      beforeStep: hooks?.beforeStep,
    });
    const pass: PassOptions = {
      loss,
      batchSize: split?.batchSize ?? options.batchSize ?? 32,
      carryState: false,
      signal,
      threads,
      scoring,
    };
    const validate = async () => {
      if (validation !== undefined) return evaluateSource(core, validation, pass);
      if (split === undefined || !validates) return undefined;
      const held = range(split.trainSamples, split.data.samples);
      return evaluateSamples(core, split.data, held, { ...pass, carryState });
    };
    const observe = monitoring(training, names);
    if (saved !== undefined) callbacks.setStates(saved.callbacks);
    const begun = callbacks.trainBegin();
    if (begun !== undefined) await begun;
    while (context.epoch < epochs && !core.stopRequested) {
      const { position } = context;
      const { epoch } = position;
      context.enter(position);
      const told = position.batch === 0 ? callbacks.epochBegin() : undefined;
      if (told !== undefined) await told;
      let whole;
      if (source.kind === 'stream') {
        whole = await fitRun.stream(source.stream);
      } else {
        const order = split!.shuffle
          ? new RandomSequence(seed, epoch).permutation(split!.trainSamples)
          : range(0, split!.trainSamples);
        whole = await fitRun.samples(split!.data, order, split!.batchSize);
      }
      const validated = await validate();
      const { learningRate } = position;
      const event = withValidation(
        { epoch, ...scoring.scores(position.totals), learningRate, seconds: context.seconds },
        validated,
      );
      record(history, event);
      observe(event);
      await context.epochEnd(event);
      context.position = startOfEpoch(epoch + 1, scoring);
      // An epoch that was cut short has been saved where it was left.
      if (whole) await context.safePoint();
    }
    await callbacks.trainEnd();
    return history;
  } catch (error) {
    await callbacks.trainError(error);
    throw error;
  } finally {
    opened?.dispose();
  }
}

/** See `Model.fit`. */
export async function fit(
  core: ModelCore,
  model: Model,
  args: readonly unknown[],
  hooks?: FitHooks,
): Promise<History> {
  const [x, second] = args;
  const bare = isBatchStream(x) || readSource.takesNoTargets(x);
  if (args.length > (bare ? 2 : 3)) throw wrongKind('nothing', 'the last argument', args.at(-1));
  const options = parseOptions('model.fit', bare ? second : args[2], schema);
  const loss = resolveModelLoss(core, options.loss, options.fromLogits, options.lossWeights);
  const scoring = new Scoring(core, loss, options.metrics);
  const source = readSource(x, bare ? undefined : second, options);
  if (options.validationData !== undefined && options.validationSplit > 0) {
    throw wrongKind(
      'nothing beside validationData',
      'model.fit.validationSplit',
      options.validationSplit,
    );
  }
  if (source.kind === 'stream' && options.validationSplit > 0) {
    throw wrongKind(
      'nothing for a stream',
      'model.fit.validationSplit',
      options.validationSplit,
      'give validationData',
    );
  }
  if (options.resume !== undefined && options.initialEpoch > 0) {
    throw wrongKind(
      'nothing beside resume',
      'model.fit.initialEpoch',
      options.initialEpoch,
      'the checkpoint knows its epoch',
    );
  }
  const validation =
    options.validationData === undefined ? undefined : readValidation(options.validationData);
  scoring.names(validation !== undefined || options.validationSplit > 0);
  options.signal?.throwIfAborted();
  return core.exclusive('fit()', () => {
    core.stopRequested = false;
    return run(core, model, source, validation, loss, scoring, options, hooks);
  });
}
