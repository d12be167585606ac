/**
 * The only file that loads the addon and the only one that knows its types. Everything above it
 * hands over validated, normalised values; the addon re-checks only what memory safety needs.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OstinatoError } from './errors';

/**
 * Options of a layer by their public names; nested values are never passed down. The type of a
 * recurrent layer is the name of its cell in the native table (`elman_tanh`, `elman_relu`, `lstm`,
 * `gru`, `gru_reset_before`; see `NativeInfo.cells`), so that a new cell needs no line in the core;
 * `unitBiasGate` is the gate whose input bias begins at 1 (the forget gate of an LSTM: 1), or -1.
 */
export interface NativeLayerConfig {
  type: string;
  name: string;
  options: Record<string, number | boolean | string>;
}

export interface NativeModelConfig {
  /** 0 … 2^53 - 1. */
  seed: number;
  /** `features` of a float input; 1 for tokens. `timed`: rows are steps of sequences. */
  inputs: { features: number; tokens: boolean; timed: boolean }[];
  layers: NativeLayerConfig[];
  /**
   * Calls of layers, by index. Values are numbered: the inputs first, then the output of each node;
   * a node reads values before its own.
   */
  nodes: { layer: number; inputs: number[] }[];
  /** Values, each once. */
  outputs: number[];
}

export interface NativeParameterInfo {
  /** `<layer>.<PyTorch name>`, e.g. `lstm.weight_ih_l0`. */
  name: string;
  shape: number[];
  role: 'kernel' | 'recurrent' | 'bias' | 'norm' | 'embedding' | 'statistic';
}

export interface NativeStateInfo {
  /** Index of the node in the model. */
  node: number;
  /** `h`, `c`, … */
  name: string;
  /** layers * directions. */
  slots: number;
  features: number;
}

export interface NativeDescription {
  /** Of each layer, with the output of its first call. */
  layers: { name: string; type: string; features: number; timed: boolean; parameters: number }[];
  parameters: NativeParameterInfo[];
  states: NativeStateInfo[];
}

export interface NativeLossConfig {
  kind:
    | 'sparseCategoricalCrossentropy'
    | 'categoricalCrossentropy'
    | 'binaryCrossentropy'
    | 'meanSquaredError'
    | 'meanAbsoluteError'
    | 'huber'
    | 'sparseCategoricalFocalCrossentropy'
    | 'categoricalFocalCrossentropy'
    | 'binaryFocalCrossentropy'
    | 'klDivergence'
    | 'cosine'
    | 'quantile'
    | 'gaussian'
    | 'studentT'
    | 'negativeBinomial'
    | 'ctc';
  fromLogits: boolean;
  delta: number;
  labelSmoothing: number;
  gamma: number;
  /** Empty: all 1. */
  classWeights: Float32Array;
  quantiles: Float32Array;
  /** Of `ctc`, whose labels lie at the begin of their sample's rows, blanks after them. */
  blank: number;
}

/** The loss of an output, and its factor in the total of them all. */
export interface NativeOutputLoss extends NativeLossConfig {
  weight: number;
}

export interface NativeOptimizerConfig {
  kind: 'sgd' | 'rmsprop' | 'adam' | 'adagrad' | 'nadam' | 'radam' | 'lion' | 'scheduleFreeAdamw';
  momentum: number;
  nesterov: boolean;
  rho: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  decayAll: boolean;
  /** 0: off. */
  clipNorm: number;
  /** 0: off. */
  clipValue: number;
  momentumDecay: number;
  initialAccumulator: number;
  /** Batches of an update. */
  accumulateSteps: number;
  averaging: 'none' | 'ema' | 'swa';
  averageDecay: number;
  averageStart: number;
  averageEvery: number;
  /** By parameter, or empty: all 1. */
  rateFactors: Float64Array;
  /** By parameter, or empty; below 0: `weightDecay`, as far as the parameter's role decays. */
  weightDecays: Float64Array;
}

/**
 * Where an optimiser stands: updates, slots by name (arrays in the parameters' order), and numbers
 * that only the core understands. `average` is a slot, too.
 */
export interface NativeOptimizerState {
  steps: number;
  slots: { name: string; values: Float32Array[] }[];
  counters: Float64Array;
}

/**
 * Data to copy into native memory. Samples are windows over flat arrays: sample i has `lengths[i]`
 * steps that begin at step `inputOffsets[i]`; its targets begin at row `targetOffsets[i]`.
 */
export interface NativeDatasetConfig extends NativeInputData, NativeTargetData {
  /** Of all sequences of a sample; 1 without any. */
  lengths: Int32Array;
  /** Of the second input and output on. */
  moreInputs: NativeInputData[];
  moreTargets: NativeTargetData[];
}

/** Rows of one input. */
export interface NativeInputData {
  tokens?: Int32Array;
  floats?: Float32Array;
  /** Floats of an input step; 1 for tokens. */
  features: number;
  inputOffsets: Float64Array;
}

/** Rows that one output is compared with. */
export interface NativeTargetData {
  /** Class ids, or dense rows of `targetFeatures`; neither for prediction. */
  labels?: Int32Array;
  targets?: Float32Array;
  /** Labels are read from `tokens` by `targetOffsets` (language models). */
  targetsAreInputs?: boolean;
  targetFeatures: number;
  /** One target row a step, or one a sample. */
  targetTimed: boolean;
  targetOffsets?: Float64Array;
  /** Indexed as the targets are. */
  weights?: Float32Array;
  mask?: Float32Array;
}

/** Owned native copy of a dataset; freed when collected or disposed. */
export interface NativeDataset {
  readonly samples: number;
  dispose(): void;
}

/** Initial or final states in the order of `NativeDescription.states`, [slots, B, features]. */
export type NativeStates = (Float32Array | null)[];

export interface NativePrediction {
  outputs: Float32Array[];
  states: Float32Array[] | null;
}

export interface NativeGradients {
  /** Null without a loss. */
  loss: number | null;
  outputs: Float32Array[];
  finalStates: Float32Array[];
  /** Null for tokens. */
  inputs: (Float32Array | null)[];
  initialStates: Float32Array[];
}

export interface NativeTrainResult {
  /** Whole steps made in this slice. */
  steps: number;
  /** Of each step: the (total) mean loss, and the gradient norm before clipping. */
  losses: Float64Array;
  /** Of each step: what regularisers add to the mean loss. */
  penalties: Float64Array;
  gradientNorms: Float64Array;
  /** [steps, outputs]: the mean loss of an output, its row count, right answers. */
  outputLosses: Float64Array;
  counts: Float64Array;
  correct: Float64Array;
  /** With `stop`: the last step's loss or gradient was not finite and no update was made. */
  diverged: boolean;
}

export interface NativeEvaluateResult {
  batches: number;
  /** What regularisers add to the mean loss. */
  penalty: number;
  /** Sums of each output. */
  outputs: { lossSum: number; count: number; correct: number }[];
}

/** Batches as consecutive runs of sample indices: batch i has `sizes[i]` samples. */
export interface NativeBatches {
  samples: Int32Array;
  sizes: Int32Array;
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
   * `learningRates[i]` is that of the update of which batch i is a part. Rejects with `ERR_ABORTED`
   * after `cancel`.
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
  /** One batch: [samples, steps, features] or [samples, features], zeros beyond a row's length. */
  predict(
    data: NativeDataset,
    samples: Int32Array,
    steps: number,
    initialStates: NativeStates | null,
    options: { job: number; threads: number; wantStates: boolean },
  ): Promise<NativePrediction>;
  predictSync(
    data: NativeDataset,
    samples: Int32Array,
    steps: number,
    initialStates: NativeStates | null,
    options: { threads: number; wantStates: boolean },
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
  /** One step of all streams; the output is [streams, features]. */
  step(input: Int32Array | Float32Array, threads: number): Promise<Float32Array>;
  /** The same at once; into `output`, which is then returned, or into a fresh array. */
  stepSync(input: Int32Array | Float32Array, threads: number, output?: Float32Array): Float32Array;
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
  Model: new (config: NativeModelConfig) => NativeModel;
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
