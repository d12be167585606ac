/** `model.fit`: options, the split of the data, epochs, validation and the history. */
import { isBatchStream, range } from './data/batches';
import { openData, readSource, readValidation } from './data/source';
import type { OpenData, Source } from './data/source';
import { guardNative, wrongKind, wrongValue } from './errors';
import { evaluateSamples, evaluateSource } from './evaluate';
import type { PassOptions } from './evaluate';
import { FitRun } from './fit-run';
import type { BatchEvent } from './fit-run';
import { isSameLoss, resolveLoss } from './losses';
import type { Loss, LossName, LossOptions } from './losses';
import { resolveMetrics, scores } from './metrics';
import type { MetricName, Scores } from './metrics';
import type { ModelCore, Training } from './model-core';
import { nativeOptimizer, resolveOptimizer } from './optimizers';
import type { Optimizer, OptimizerName } from './optimizers';
import { monitoring, startOf } from './plateau';
import { RandomSequence } from './rng';
import {
  abortSignal,
  anything,
  callback,
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
  seconds: number[];
}

/** Options of `model.fit`. */
export interface FitOptions {
  /** Required. */
  loss: LossName | LossOptions;
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
  /** Default none. */
  metrics?: readonly MetricName[];
  /** Data to evaluate after each epoch: [x, y], { x, y, … }, windows, or a stream. */
  validationData?: unknown;
  /** Or: hold out this share of the samples, the last ones. Default 0. */
  validationSplit?: number;
  /** New order of samples in each epoch. Default true, but false with carried state. */
  shuffle?: boolean;
  /** Of the orders. Default: the model's seed. */
  seed?: number;
  /** Steps of each sample that count: [batch]. What lies beyond is neither read nor computed. */
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
  /** Default: `getThreads()`. Results do not depend on it. */
  threads?: number;
}

const MAX_EPOCHS = 2 ** 31;

const schema = {
  loss: anything(),
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
  threads: optional(integer(1, 1024)),
};

type Options = ReturnType<typeof parseOptions<typeof schema>>;

/** Data in the core, and how its samples are used. */
interface Split {
  data: OpenData;
  batchSize: number;
  carryState: boolean;
  shuffle: boolean;
  trainSamples: number;
}

function useSamples(data: OpenData, options: Options): Split {
  const { lanes, samples } = data;
  if (lanes !== undefined && options.batchSize !== undefined && options.batchSize !== lanes) {
    throw wrongValue(
      `${lanes}, the dataset's batchSize,`,
      'model.fit.batchSize',
      options.batchSize,
    );
  }
  if (lanes !== undefined && options.stateful === false) {
    throw wrongKind('true for a stateful dataset', 'model.fit.stateful', false);
  }
  const carryState = options.stateful ?? lanes !== undefined;
  const batchSize = lanes ?? options.batchSize ?? 32;
  if (carryState && options.shuffle === true) {
    throw wrongKind('false with carried state', 'model.fit.shuffle', true);
  }
  const unit = carryState ? batchSize : 1;
  if (carryState && samples % batchSize !== 0) {
    throw wrongValue(
      `a divisor of the ${samples} samples`,
      'model.fit.batchSize',
      batchSize,
      'carried state needs the same number of rows in every batch',
    );
  }
  let trainSamples = samples;
  if (options.validationSplit > 0) {
    const held = Math.max(1, Math.floor((samples / unit) * options.validationSplit)) * unit;
    trainSamples = samples - held;
    if (trainSamples === 0) {
      throw wrongValue(
        'a share that leaves samples to train on',
        'model.fit.validationSplit',
        options.validationSplit,
      );
    }
  }
  return {
    data,
    batchSize,
    carryState,
    shuffle: options.shuffle ?? !carryState,
    trainSamples,
  };
}

/** Makes the core's trainer, or goes on with the last one when the optimiser is the same. */
function configure(core: ModelCore, loss: Loss, given: unknown): Training {
  const before = core.training;
  const same = before !== undefined && before.given === given;
  if (same && isSameLoss(before.loss, loss)) {
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
  const lists = history as unknown as Record<string, number[] | undefined>;
  for (const [key, value] of Object.entries(event) as [string, number][]) {
    (lists[key] ??= []).push(value);
  }
}

const VALIDATION_NAMES = {
  loss: 'valLoss',
  accuracy: 'valAccuracy',
  perplexity: 'valPerplexity',
  bits: 'valBits',
} as const;

function withValidation(event: EpochEvent, validation: Scores | undefined): EpochEvent {
  if (validation === undefined) return event;
  for (const [key, value] of Object.entries(validation) as [keyof Scores, number][]) {
    event[VALIDATION_NAMES[key]] = value;
  }
  return event;
}

function validates(validation: Source | undefined, split: Split | undefined): boolean {
  return validation !== undefined || (split?.trainSamples ?? 0) < (split?.data.samples ?? 0);
}

async function run(
  core: ModelCore,
  source: Source,
  validation: Source | undefined,
  loss: Loss,
  metrics: MetricName[],
  options: Options,
): Promise<History> {
  const { signal, epochs, initialEpoch, onEpoch } = options;
  const threads = core.threads(options.threads);
  const opened = source.kind === 'stream' ? undefined : openData(core, source, loss.targets);
  try {
    const split = opened === undefined ? undefined : useSamples(opened, options);
    const training = configure(core, loss, options.optimizer ?? 'adam');
    const carryState = split?.carryState ?? options.stateful ?? false;
    const fitRun = new FitRun(core, {
      training,
      metrics,
      carryState,
      divergence: options.onDivergence,
      signal,
      threads,
      onBatch: options.onBatch,
    });
    const pass: PassOptions = {
      loss,
      batchSize: split?.batchSize ?? options.batchSize ?? 32,
      carryState: false,
      signal,
      threads,
    };
    const validate = async () => {
      if (validation !== undefined) return evaluateSource(core, validation, pass);
      if (split === undefined || split.trainSamples === split.data.samples) return undefined;
      const held = range(split.trainSamples, split.data.samples);
      return evaluateSamples(core, split.data, held, { ...pass, carryState });
    };
    const observe = monitoring(training, metrics, validates(validation, split));
    const history: History = { epoch: [], loss: [], seconds: [] };
    for (let epoch = initialEpoch; epoch < epochs && !core.stopRequested; epoch++) {
      const start = performance.now();
      let totals;
      if (source.kind === 'stream') {
        totals = await fitRun.stream(source.stream, epoch);
      } else {
        const order = split!.shuffle
          ? new RandomSequence(options.seed ?? core.plan.seed, epoch).permutation(
              split!.trainSamples,
            )
          : range(0, split!.trainSamples);
        totals = await fitRun.samples(split!.data, order, split!.batchSize, epoch);
      }
      const validated = await validate();
      const event = withValidation(
        { epoch, ...scores(totals, metrics), seconds: (performance.now() - start) / 1000 },
        validated && scores(validated, metrics),
      );
      record(history, event);
      observe(event);
      if (onEpoch !== undefined) await core.paused(() => onEpoch(event));
    }
    return history;
  } finally {
    opened?.dispose();
  }
}

/** See `Model.fit`. */
export async function fit(core: ModelCore, args: readonly unknown[]): Promise<History> {
  const [x, second] = args;
  const bare = isBatchStream(x) || readSource.takesNoTargets(x);
  if (args.length > (bare ? 2 : 3)) throw wrongKind('nothing', 'the last argument', args.at(-1));
  const options = parseOptions('model.fit', bare ? second : args[2], schema);
  const loss = resolveLoss(options.loss, options.fromLogits, core.last);
  const metrics = resolveMetrics(options.metrics, loss);
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
  const validation =
    options.validationData === undefined ? undefined : readValidation(options.validationData);
  options.signal?.throwIfAborted();
  return core.exclusive('fit()', () => {
    core.stopRequested = false;
    return run(core, source, validation, loss, metrics, options);
  });
}
