/** Evaluation: losses and metrics over data, with dropout off. */
import { cutIntoBatches, isBatchStream, prefetched, range, readBatch } from './data/batches';
import type { BatchStream } from './data/batches';
import { openData, readSource } from './data/source';
import type { OpenData, Source } from './data/source';
import { wrongKind, wrongValue } from './errors';
import type { LossName, LossOptions, Loss } from './losses';
import { resolveLoss } from './losses';
import { resolveMetrics, scores } from './metrics';
import type { MetricName, Scores, Totals } from './metrics';
import type { ModelCore } from './model-core';
import type { NativeBatches } from './native';
import { abortSignal, anything, flag, integer, optional, parseOptions } from './validate';

/** The longest run of native work between two looks at the event loop, in milliseconds. */
export const SLICE_MS = 50;

/** Most batches that one native call is offered. */
export const MAX_BATCHES = 1024;

/** Options of `model.evaluate`. */
export interface EvaluateOptions {
  /** Default: that of the last `fit`. */
  loss?: LossName | LossOptions;
  /** Default: as the last layer says. */
  fromLogits?: boolean;
  /** Default: none. */
  metrics?: readonly MetricName[];
  /** Samples that are evaluated together. Default 32. */
  batchSize?: number;
  /** Steps of each sample that count: [batch]. */
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
  loss: Loss;
  batchSize: number;
  carryState: boolean;
  signal: AbortSignal | undefined;
  threads: number;
}

function add(totals: Totals, more: Totals): void {
  totals.lossSum += more.lossSum;
  totals.count += more.count;
  totals.correct += more.correct;
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

/** Sums over the given samples of data. */
export async function evaluateSamples(
  core: ModelCore,
  data: OpenData,
  order: Int32Array,
  { loss, batchSize, carryState, signal, threads }: PassOptions,
  first = true,
): Promise<Totals> {
  const totals: Totals = { lossSum: 0, count: 0, correct: 0 };
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
    add(totals, result);
    for (let i = from; i < from + result.batches; i++) at += batches.sizes[i]!;
    from += result.batches;
  }
  return totals;
}

/** Sums over one pass of a stream of batches. */
export async function evaluateStream(
  core: ModelCore,
  stream: BatchStream,
  options: PassOptions,
): Promise<Totals> {
  const totals: Totals = { lossSum: 0, count: 0, correct: 0 };
  let first = true;
  const open = (batch: unknown) =>
    openData(core, { kind: 'arrays', arrays: readBatch(batch) }, options.loss.targets);
  for await (const data of prefetched(stream, open)) {
    try {
      const all = { ...options, batchSize: data.samples };
      add(totals, await evaluateSamples(core, data, range(0, data.samples), all, first));
    } finally {
      data.dispose();
    }
    first = false;
  }
  if (first) throw wrongValue('at least one batch', 'data', stream);
  return totals;
}

/** Sums over a whole source. */
export async function evaluateSource(
  core: ModelCore,
  source: Source,
  options: PassOptions,
): Promise<Totals> {
  if (source.kind === 'stream') return evaluateStream(core, source.stream, options);
  const data = openData(core, source, options.loss.targets);
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
    options.loss === undefined && options.fromLogits === undefined
      ? core.training?.loss
      : resolveLoss(options.loss, options.fromLogits, core.last);
  if (loss === undefined) {
    throw wrongKind('a loss', 'model.evaluate.loss', undefined, 'the model was not trained yet');
  }
  const metrics = resolveMetrics(options.metrics, loss);
  const source = readSource(x, bare ? undefined : second, options);
  const totals = await core.evaluating(() =>
    evaluateSource(core, source, {
      loss,
      batchSize: options.batchSize ?? 32,
      carryState: options.stateful ?? false,
      signal: options.signal,
      threads: core.threads(options.threads),
    }),
  );
  return scores(totals, metrics);
}
