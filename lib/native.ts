/**
 * The only file that loads the addon and the only one that knows its objects; the values that they
 * take and give are in native-types.ts. Everything above it hands over validated, normalised values;
 * the addon re-checks only what memory safety needs.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OstinatoError } from './errors';
import type {
  NativeBatches,
  NativeDatasetConfig,
  NativeDescription,
  NativeEvaluateResult,
  NativeGradients,
  NativeModelConfig,
  NativeOptimizerConfig,
  NativeOptimizerState,
  NativeOutputLoss,
  NativePrediction,
  NativeStates,
  NativeTrainResult,
} from './native-types';

export type * from './native-types';

/** Owned native copy of a dataset; freed when collected or disposed. */
export interface NativeDataset {
  readonly samples: number;
  /**
   * Overwrites rows of an input from the first row of a sample on, through those of the samples that
   * are stored behind it. Throws `ERR_BUSY` while a job reads the data.
   */
  writeInput(input: number, sample: number, values: Int32Array | Float32Array): void;
  dispose(): void;
}

export interface NativeModel {
  describe(): NativeDescription;
  /** True while an asynchronous job of this model runs. */
  readonly busy: boolean;
  /** Copies; throws `ERR_BUSY` during training. */
  readParameter(index: number): Float32Array;
  writeParameter(index: number, values: Float32Array): void;
  readGradient(index: number): Float32Array;

  /** Makes a trainer (fresh optimiser slots); replaces the one before. */
  configureTraining(losses: NativeOutputLoss[], optimizer: NativeOptimizerConfig): void;
  /** The optimiser's state, for saving. */
  readOptimizer(): NativeOptimizerState;
  writeOptimizer(state: NativeOptimizerState): void;
  /** States that the next step of a `carryState` run begins with; empty before its first step. */
  readCarried(): Float32Array[];
  /** `rows` is the batch size of the states; null forgets them. */
  writeCarried(states: NativeStates | null, rows: number): void;
  /**
   * Runs whole steps over the batches until `budgetMs` has passed or they are done; at least one.
   * `learningRates[i]` and `momenta[i]` are those of the update of which batch i is a part. Rejects
   * with `ERR_ABORTED` after `cancel`.
   */
  train(
    data: NativeDataset,
    batches: NativeBatches,
    learningRates: Float64Array,
    options: {
      job: number;
      /** Rows go on from the final states of the batch before. */
      carryState: boolean;
      /** Forget carried states before the first batch. */
      reset: boolean;
      /** What a loss or gradient that is not finite does: end the slice, skip the update, update. */
      divergence: 'stop' | 'skip' | 'update';
      /** Empty: the optimiser's own. */
      momenta: Float64Array;
      budgetMs: number;
      threads: number;
    },
  ): Promise<NativeTrainResult>;
  evaluate(
    data: NativeDataset,
    batches: NativeBatches,
    losses: NativeOutputLoss[],
    options: {
      job: number;
      carryState: boolean;
      reset: boolean;
      budgetMs: number;
      threads: number;
    },
  ): Promise<NativeEvaluateResult>;
  /**
   * One batch: [samples, steps, features] or [samples, features], zeros beyond a row's length.
   * `steps` of the first time axis; others have their own.
   */
  predict(
    data: NativeDataset,
    samples: Int32Array,
    steps: number,
    initialStates: NativeStates | null,
    options: { job: number; threads: number; wantStates: boolean; wantAttention?: boolean },
  ): Promise<NativePrediction>;
  predictSync(
    data: NativeDataset,
    samples: Int32Array,
    steps: number,
    initialStates: NativeStates | null,
    options: { threads: number; wantStates: boolean; wantAttention?: boolean },
  ): NativePrediction;
  /**
   * Gradients of one batch, of the loss plus sum(final state * state gradient); the parameters' are
   * then read by `readGradient`. Without a loss the data's dense targets, if there are any, are the
   * gradient of the output.
   */
  gradients(
    data: NativeDataset,
    samples: Int32Array,
    steps: number,
    losses: NativeOutputLoss[] | null,
    initialStates: NativeStates | null,
    stateGradients: NativeStates | null,
    options: { job: number; threads: number },
  ): Promise<NativeGradients>;
  /** Ends the running or waiting job that was given this number, at its next safe point. */
  cancel(job: number): void;
  session(streams: number): NativeSession;
  dispose(): void;
}

export interface NativeSession {
  readonly streams: number;
  /** One step of all streams; the output is [streams, features]. Of models of one of each only. */
  step(input: Int32Array | Float32Array, threads: number): Promise<Float32Array>;
  /** The same at once; into `output`, which is then returned, or into a fresh array. */
  stepSync(input: Int32Array | Float32Array, threads: number, output?: Float32Array): Float32Array;
  /** The same for a list of the model's inputs; gives a list of its outputs. */
  stepAll(inputs: (Int32Array | Float32Array)[], threads: number): Promise<Float32Array[]>;
  stepAllSync(inputs: (Int32Array | Float32Array)[], threads: number): Float32Array[];
  reset(): void;
  /** In the order of `NativeDescription.states`. */
  readState(index: number): Float32Array;
  writeState(index: number, values: Float32Array): void;
  clone(): NativeSession;
  dispose(): void;
}

export interface NativeInfo {
  isa: string;
  /** Built and supported here, best first. */
  isas: string[];
  /** `openmp`, `threads` or `serial`. */
  parallel: string;
  compiler: string;
  /** Cells by name: gates, states. */
  cells: { name: string; gates: number; states: string[] }[];
}

export interface NativeAddon {
  info(): NativeInfo;
  /**
   * With a base the model is a view: a graph of its own over the base's layers, found by name, and
   * their weights, with further layers that have none. It predicts; both are never busy alone.
   */
  Model: new (config: NativeModelConfig, base?: NativeModel) => NativeModel;
  Dataset: new (config: NativeDatasetConfig, model: NativeModel) => NativeDataset;
}

const ADDON_NAME = 'ostinato.node';

/** Linux with musl instead of glibc, which needs a binary of its own. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined;
}

/** Where the addon may be, in the order in which it is looked for. */
function candidates(): string[] {
  const forced = process.env['OSTINATO_NATIVE'];
  if (forced !== undefined && forced !== '') return [resolve(forced)];
  const root = join(__dirname, '..');
  const platform = `${process.platform}${isMusl() ? 'musl' : ''}-${process.arch}`;
  return [
    join(root, 'build', 'Release', ADDON_NAME),
    join(root, 'prebuilds', platform, ADDON_NAME),
  ];
}

/**
 * How often an idle thread of libgomp looks for work before it sleeps: about half a millisecond,
 * longer than any pause inside a training step. By default it is some ten milliseconds, in which
 * the thread takes its processor from whoever could use it, and from itself: a scheduler lets those
 * wait who have just used up their time.
 */
const SPIN_COUNT = '10000';

/**
 * Loads the addon, and with it libgomp, which reads its settings from the environment of the
 * process at that moment only. What the user has set stands. In a worker the environment is a copy,
 * so there the default remains if no one has loaded the addon before.
 */
function requireAddon(path: string): NativeAddon {
  const { env } = process;
  const ours = env['GOMP_SPINCOUNT'] === undefined && env['OMP_WAIT_POLICY'] === undefined;
  if (ours) env['GOMP_SPINCOUNT'] = SPIN_COUNT;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require(path) as NativeAddon;
  } finally {
    if (ours) delete env['GOMP_SPINCOUNT'];
  }
}

function load(): NativeAddon {
  const failures: string[] = [];
  let cause: unknown;
  for (const path of candidates()) {
    if (!existsSync(path)) {
      failures.push(`${path}: no such file`);
      continue;
    }
    try {
      return requireAddon(path);
    } catch (error) {
      cause ??= error;
      failures.push(`${path}: ${(error as Error).message}`);
    }
  }
  throw new OstinatoError(
    'ERR_ADDON',
    [
      `Could not load the native addon for ${process.platform}-${process.arch}, Node ${process.version}:`,
      ...failures.map((failure) => `  ${failure}`),
      'Build it with "npm run build" in the package\'s directory (needs a C++20 compiler, make and',
      'Python 3), or set OSTINATO_NATIVE to the path of an addon that fits this machine.',
    ].join('\n'),
    { cause },
  );
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded by the first call.
 *
 * @throws OstinatoError `ERR_ADDON`, with every place that was tried and why it failed
 */
export function addon(): NativeAddon {
  loaded ??= load();
  return loaded;
}
