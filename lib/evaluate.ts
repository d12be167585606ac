/** Evaluation: losses and metrics over data, with dropout off. */
import { cutIntoBatches, isBatchStream, prefetched, range, readBatch } from './data/batches';
import type { BatchStream } from './data/batches';
import { openData, readSource } from './data/source';
import type { OpenData, Source } from './data/source';
import { wrongKind, wrongValue } from './errors';
import type { LossByOutput, LossName, LossOptions } from './losses';
import { addTotals } from './metrics';
import type { MetricsOption, Scores, Totals } from './metrics';
import type { ModelCore } from './model-core';
import { Scoring, resolveModelLoss } from './model-loss';
import type { ModelLoss } from './model-loss';
import type { NativeBatches } from './native';
import { scoreSamples } from './scoring/pass';
import type { CarriedStates } from './scoring/pass';
import type { Scorer } from './scoring/scorer';
import { abortSignal, anything, flag, integer, optional, parseOptions } from './validate';

/** The longest run of native work between two looks at the event loop, in milliseconds. */
export const SLICE_MS = 50;

/** Most batches that one native call is offered. */
export const MAX_BATCHES = 1024;

/** Options of `model.evaluate`. */
export interface EvaluateOptions {
  /** Default: that of the last `fit`. */
  loss?: LossName | LossOptions | LossByOutput;
  /** Of several outputs, as in `fit`. Default: all 1. */
  lossWeights?: Record<string, number>;
  /** Default: as the last layer says. */
  fromLogits?: boolean;
  /** Default: none. */
  metrics?: MetricsOption;
  /** Samples that are evaluated together. Default 32. */
  batchSize?: number;
  /** See `FitOptions.lengths`. */
  lengths?: unknown;
  /** 1 for target rows that count, 0 for those that do not. */
  mask?: unknown;
  /** Factors of the rows' losses: [batch], or as the targets. */
  sampleWeights?: unknown;
  /** Batches continue each other's rows. Default: as the dataset says. */
  stateful?: boolean;
  /** Ends the evaluation; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Default: `getThreads()`. */
  threads?: number;
}

const schema = {
  loss: anything(),
  lossWeights: anything(),
  fromLogits: optional(flag(true)),
  metrics: anything(),
  batchSize: optional(integer(1, 2 ** 24)),
  lengths: anything(),
  mask: anything(),
  sampleWeights: anything(),
  stateful: optional(flag(false)),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

/** What a pass over data needs to know. */
export interface PassOptions {
  loss: ModelLoss;
  batchSize: number;
  carryState: boolean;
  signal: AbortSignal | undefined;
  threads: number;
  /** What is reported beside the loss. */
  scoring: Scoring;
}

/** One pass over data: its sums, and the metrics that need predictions. */
class Evaluation {
  readonly totals: Totals;
  readonly #scorers: { name: string; scorer: Scorer }[];
  readonly #carried: CarriedStates = { states: null };

  constructor(
    readonly core: ModelCore,
    readonly options: PassOptions,
  ) {
    this.totals = options.scoring.zeros();
    this.#scorers = options.scoring.comparing.map(({ name, scorer }) => ({
      name,
      scorer: scorer!(),
    }));
  }

  /** Whether data must be opened with its targets kept. */
  get comparesPredictions(): boolean {
    return this.#scorers.length > 0;
  }

  async add(data: OpenData, order: Int32Array, first: boolean): Promise<void> {
    await addLosses(this.core, data, order, this.options, first, this.totals);
    if (!this.comparesPredictions) return;
    const scorers = this.#scorers.map(({ scorer }) => scorer);
    await scoreSamples(this.core, data, order, scorers, this.options, this.#carried);
  }

  scores(): Scores {
    const all = this.options.scoring.scores(this.totals);
    for (const { name, scorer } of this.#scorers) all[name] = scorer.result();
    return all;
  }
}

/** The batches from `from` on, at most {@link MAX_BATCHES}; `at` is the first one's first sample. */
export function nextBatches(
  { samples, sizes }: NativeBatches,
  from: number,
  at: number,
  most: number,
): NativeBatches {
  const part = sizes.subarray(from, from + most);
  const count = part.reduce((sum, size) => sum + size, 0);
  return { samples: samples.subarray(at, at + count), sizes: part };
}

/** Adds up losses over the given samples of data. */
async function addLosses(
  core: ModelCore,
  data: OpenData,
  order: Int32Array,
  { loss, scoring, batchSize, carryState, signal, threads }: PassOptions,
  first: boolean,
  totals: Totals,
): Promise<void> {
  const batches = cutIntoBatches(order, batchSize);
  let at = 0;
  for (let from = 0; from < batches.sizes.length;) {
    const part = nextBatches(batches, from, at, MAX_BATCHES);
    const result = await core.job(signal, (native, job) =>
      native.evaluate(data.native, part, loss.native, {
        job,
        carryState,
        reset: first && from === 0,
        budgetMs: SLICE_MS,
        threads,
      }),
    );
    addTotals(totals, scoring.totals(result.outputs, result.penalty));
    for (let i = from; i < from + result.batches; i++) at += batches.sizes[i]!;
    from += result.batches;
  }
}

/**
 * The scores of the given samples of data.
 *
 * @param data opened with its targets kept, if the metrics compare predictions
 */
export async function evaluateSamples(
  core: ModelCore,
  data: OpenData,
  order: Int32Array,
  options: PassOptions,
): Promise<Scores> {
  const evaluation = new Evaluation(core, options);
  await evaluation.add(data, order, true);
  return evaluation.scores();
}

/** The scores of one pass of a stream of batches. */
async function evaluateStream(
  core: ModelCore,
  stream: BatchStream,
  options: PassOptions,
): Promise<Scores> {
  const evaluation = new Evaluation(core, options);
  const { targets } = options.loss;
  const keep = evaluation.comparesPredictions;
  let first = true;
  const open = (batch: unknown) =>
    openData(core, { kind: 'arrays', arrays: readBatch(batch) }, targets, keep);
  for await (const data of prefetched(stream, open)) {
    try {
      evaluation.options.batchSize = data.samples;
      await evaluation.add(data, range(0, data.samples), first);
    } finally {
      data.dispose();
    }
    first = false;
  }
  if (first) throw wrongValue('at least one batch', 'data', stream);
  return evaluation.scores();
}

/** The scores of a whole source. */
export async function evaluateSource(
  core: ModelCore,
  source: Source,
  options: PassOptions,
): Promise<Scores> {
  if (source.kind === 'stream') return evaluateStream(core, source.stream, { ...options });
  const keep = options.scoring.comparing.length > 0;
  const data = openData(core, source, options.loss.targets, keep);
  try {
    const lanes = data.lanes;
    const carryState = options.carryState || lanes !== undefined;
    const batchSize = lanes ?? options.batchSize;
    const all = { ...options, carryState, batchSize };
    return await evaluateSamples(core, data, range(0, data.samples), all);
  } finally {
    data.dispose();
  }
}

/** See `Model.evaluate`. */
export async function evaluate(core: ModelCore, args: readonly unknown[]): Promise<Scores> {
  const [x, second] = args;
  const bare = isBatchStream(x) || readSource.takesNoTargets(x);
  if (args.length > (bare ? 2 : 3)) throw wrongKind('nothing', 'the last argument', args.at(-1));
  const options = parseOptions('model.evaluate', bare ? second : args[2], schema);
  const loss =
    options.loss === undefined &&
    options.fromLogits === undefined &&
    options.lossWeights === undefined
      ? core.training?.loss
      : resolveModelLoss(core, options.loss, options.fromLogits, options.lossWeights);
  if (loss === undefined) {
    throw wrongKind('a loss', 'model.evaluate.loss', undefined, 'the model was not trained yet');
  }
  const scoring = new Scoring(core, loss, options.metrics);
  const source = readSource(x, bare ? undefined : second, options);
  return core.evaluating(() =>
    evaluateSource(core, source, {
      loss,
      batchSize: options.batchSize ?? 32,
      carryState: options.stateful ?? false,
      signal: options.signal,
      threads: core.threads(options.threads),
      scoring,
    }),
  );
}
