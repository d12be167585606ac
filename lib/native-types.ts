/**
 * The plain values that go down to the addon and come back from it. Nothing here exists at run time.
 */

/**
 * Options of a layer by their public names; nested values are never passed down. The type of a
 * recurrent layer is the name of its cell in the native table (`elman_tanh`, `elman_relu`, `lstm`,
 * `gru`, `gru_reset_before`, …; see `NativeInfo.cells`), so that a new cell needs no line in the core;
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
  /**
   * `features` of a float input; 1 for tokens. `timed`: rows are steps of sequences, on the time axis
   * whose lengths are the data's list number `axis` (default 0).
   */
  inputs: { features: number; tokens: boolean; timed: boolean; axis?: number }[];
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
 * Data to copy into native memory. Samples are windows over flat arrays: sample i has as many steps
 * as the lengths of the time axis say, which begin at step `inputOffsets[i]`; its targets begin at
 * row `targetOffsets[i]`.
 */
export interface NativeDatasetConfig extends NativeInputData, NativeTargetData {
  /** Of the sequences on the first time axis; 1 without any. */
  lengths: Int32Array;
  /** Of the second time axis on; `steps` of the longest sequence, padding included. */
  moreLengths?: { lengths: Int32Array; steps: number }[];
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

/** Initial or final states in the order of `NativeDescription.states`, [slots, B, features]. */
export type NativeStates = (Float32Array | null)[];

export interface NativePrediction {
  outputs: Float32Array[];
  states: Float32Array[] | null;
  /**
   * By call of a layer that attends: [samples, query steps, key steps], or [samples, key steps] for
   * queries without a time axis.
   */
  attention: Float32Array[] | null;
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
