/** The model: what `sequential` makes and `load` brings back. */
import type { ArrayInput, ModelData } from './data/arrays';
import type { BatchStream } from './data/batches';
import type { WindowDataset } from './data/window-dataset';
import { guardNative, wrongKind } from './errors';
import { evaluate } from './evaluate';
import type { EvaluateOptions } from './evaluate';
import { fit } from './fit';
import type { FitOptions, History } from './fit';
import { gradients } from './gradients';
import type { GradientOptions, Gradients, UpstreamOptions } from './gradients';
import { makeGraphPlan } from './graph';
import type { Tensors } from './graph';
import type { Layer } from './layers';
import type { LossName } from './losses';
import type { Scores } from './metrics';
import { ModelCore } from './model-core';
import type { Plan } from './model-core';
import { makePlan } from './plan';
import { predict, predictSync } from './predict';
import type { PredictOptions, Prediction } from './predict';
import * as safetensors from './safetensors';
import { configOf, loadWeights, planFromFile, planOf, save } from './serialize';
import type { ModelConfig } from './serialize';
import { Session } from './session';
import type { SessionOptions } from './session';
import type { ValueShape } from './shapes';
import { summary } from './summary';
import { anything, checkJson, flag, integer, parseOptions } from './validate';
import { getAveragedWeights, getWeights, setWeights } from './weights';
import type { GetWeightsOptions, LoadReport, NameMap, Weights } from './weights';

/** Options of {@link sequential}. */
export interface SequentialOptions {
  /** Of the initial weights, dropout and shuffling: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number;
}

/** Options of {@link Model.save}. */
export interface SaveOptions {
  /** Any JSON value to keep with the model, e.g. a vocabulary. Default: `model.metadata`. */
  metadata?: unknown;
}

/** Options of {@link Model.loadWeights}. */
export interface LoadWeightsOptions {
  /** How the file's names become the model's; see {@link NameMap}. Default: as they are. */
  map?: NameMap;
  /** Reject a file that does not match exactly. Default true. */
  strict?: boolean;
}

/**
 * Layers in a row, with their weights. All long calls are promises; the work happens on native
 * threads. While one call trains, others are rejected with `ERR_BUSY`, except in its callbacks.
 */
export class Model implements Disposable {
  readonly #core: ModelCore;

  /** What `save` keeps with the model, and `load` brings back; any JSON value. */
  metadata: unknown;

  /** @internal Use {@link sequential} or {@link load}. */
  constructor(plan: Plan, metadata?: unknown) {
    this.#core = new ModelCore(plan);
    this.metadata = metadata;
  }

  /** @internal What the parts of the library share of a model. */
  static coreOf(model: Model): ModelCore {
    return model.#core;
  }

  /** The layers with their names and output shapes. */
  get layers(): readonly { name: string; layer: Layer; output: ValueShape }[] {
    return this.#core.plan.layers.map((layer) => ({ ...layer }));
  }

  /** What goes in: numbers in a row, whether there is a time axis, whether they are token ids. */
  get input(): ValueShape {
    return this.#core.plan.inputs[0]!.shape;
  }

  /** What comes out. */
  get output(): ValueShape {
    return this.#core.last.output;
  }

  /** All inputs by name, in order; `input` is the first. */
  get inputs(): Record<string, ValueShape> {
    return Object.fromEntries(this.#core.plan.inputs.map(({ name, shape }) => [name, shape]));
  }

  /** All outputs by name, in order; `output` is the first. */
  get outputs(): Record<string, ValueShape> {
    return Object.fromEntries(
      this.#core.plan.outputs.map(({ name, owner }) => [name, owner.output]),
    );
  }

  /** The seed that it was built with. */
  get seed(): number {
    return this.#core.plan.seed;
  }

  /** Number of parameters. */
  get parameterCount(): number {
    return this.#core.description.layers.reduce((sum, layer) => sum + layer.parameters, 0);
  }

  /** Updates that the present optimiser has made. */
  get trainedSteps(): number {
    const { training } = this.#core;
    if (training === undefined) return 0;
    return Math.floor(training.steps / training.optimizer.native.accumulateSteps);
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#core.isDisposed;
  }

  /** A table of the layers, their output shapes and parameters. */
  summary(): string {
    return summary(this.#core);
  }

  /** The configuration as JSON; `fromConfig` builds an equal model with fresh weights. */
  getConfig(): ModelConfig {
    return configOf(this.#core.plan);
  }

  /**
   * Trains.
   *
   * Inputs are [batch, time, features], token ids [batch, time], or [batch, features] for models
   * without recurrent layers; nested arrays may have sequences of different lengths. Targets: see
   * {@link LossName}.
   *
   * @returns the scores of each epoch
   * @throws TypeError, RangeError for wrong options or data
   * @throws OstinatoError `ERR_SHAPE_MISMATCH`; `ERR_BUSY`; `ERR_DISPOSED`; `ERR_DIVERGED`; with `resume`
   *     `ERR_CHECKPOINT`, `ERR_FORMAT`, `ERR_IO`; whatever a callback throws
   * @throws the signal's reason, when it is aborted; the weights are those after the last whole step
   */
  async fit(x: ModelData, y: ModelData, options: FitOptions): Promise<History>;
  /** Trains on windows of a text, or on a stream of batches, one pass an epoch. */
  async fit(data: WindowDataset | BatchStream, options: FitOptions): Promise<History>;
  async fit(...args: unknown[]): Promise<History> {
    return fit(this.#core, this, args);
  }

  /** Ends a running `fit` after the slice of steps at hand; its promise resolves as usual. */
  stop(): void {
    this.#core.stopRequested = true;
  }

  /**
   * The loss and metrics over data, with dropout off.
   *
   * @throws as {@link fit}
   */
  async evaluate(x: ModelData, y: ModelData, options?: EvaluateOptions): Promise<Scores>;
  /** The loss and metrics over windows or a stream. */
  async evaluate(data: WindowDataset | BatchStream, options?: EvaluateOptions): Promise<Scores>;
  async evaluate(...args: unknown[]): Promise<Scores> {
    return evaluate(this.#core, args);
  }

  /**
   * The outputs for samples, with dropout off.
   *
   * @returns [batch, features], or [batch, time, features] with zeros beyond a sample's length
   * @throws TypeError, RangeError, OstinatoError as {@link fit}
   */
  async predict(x: ModelData, options?: PredictOptions): Promise<Prediction> {
    return predict(this.#core, x, options);
  }

  /** As {@link predict}, on this thread: for scripts, and where a hop would cost more. */
  predictSync(x: ModelData, options?: PredictOptions): Prediction {
    return predictSync(this.#core, x, options);
  }

  /**
   * The loss of samples as one batch, and its gradients, with dropout off. Nothing is updated.
   *
   * @param loss a loss, or options with one
   * @throws TypeError, RangeError, OstinatoError as {@link fit}
   */
  async gradients(x: ModelData, y: ModelData, loss: LossName | GradientOptions): Promise<Gradients>;
  /**
   * The same without a loss, for upstream gradients dy and ds that come from elsewhere: the
   * gradients of sum(output · dy) + sum(final state · ds), a vector-Jacobian product.
   *
   * @param upstream `outputGradient`, `stateGradients` or both
   */
  async gradients(
    x: ModelData,
    y: null | undefined,
    upstream: UpstreamOptions,
  ): Promise<Gradients<null>>;
  async gradients(x: unknown, y: unknown, options: unknown): Promise<Gradients<number | null>> {
    return gradients(this.#core, x, y, options);
  }

  /**
   * A session: states of its own, and single steps.
   *
   * @throws RangeError when a layer cannot go step by step: one that reads from the end, or attends,
   *     or gives another number of steps than it reads
   * @throws OstinatoError `ERR_DISPOSED`
   */
  session(options?: SessionOptions): Session {
    const { streams, threads } = parseOptions('model.session', options, {
      streams: integer(1, 2 ** 24, 1),
      threads: integer(1, 1024, 1),
    });
    const core = this.#core;
    return new Session(
      core,
      guardNative(() => core.native.session(streams)),
      threads,
    );
  }

  /**
   * Copies of all parameters by their names, e.g. `lstm.weight_ih_l0`, in PyTorch's shapes.
   *
   * `averaged: true` gives the means over updates that the optimiser's `averaging` keeps;
   * `setWeights` makes them the model's own.
   *
   * @throws OstinatoError `ERR_BUSY` while the model trains; `ERR_DISPOSED`
   * @throws RangeError for averages that do not exist (yet)
   */
  getWeights(options?: GetWeightsOptions): Weights {
    const { averaged } = parseOptions('model.getWeights', options, { averaged: flag(false) });
    return averaged ? getAveragedWeights(this.#core) : getWeights(this.#core);
  }

  /**
   * Sets parameters; those that are left out stay as they are.
   *
   * @throws RangeError for an unknown name; OstinatoError `ERR_SHAPE_MISMATCH`, `ERR_BUSY`,
   *     `ERR_DISPOSED`; nothing is changed then
   */
  setWeights(weights: Record<string, ArrayInput>): void {
    setWeights(this.#core, weights);
  }

  /**
   * Writes weights and configuration to a safetensors file that PyTorch tools can read too. The
   * file is replaced as a whole, or not at all.
   *
   * @throws OstinatoError `ERR_IO`; `ERR_BUSY` while the model trains; `ERR_DISPOSED`
   */
  async save(path: string, options?: SaveOptions): Promise<void> {
    const { metadata = this.metadata } = parseOptions('model.save', options, {
      metadata: anything(),
    });
    if (metadata !== undefined) checkJson(metadata, 'model.save.metadata');
    await save(this.#core, path, metadata);
  }

  /**
   * Reads weights from a safetensors file, for example a PyTorch state dict:
   * `loadWeights('rnn.safetensors', { map: { rnn: 'lstm', fc: 'dense' } })`.
   *
   * @returns which parameters were set, which are missing, and what was left over
   * @throws OstinatoError `ERR_SHAPE_MISMATCH` with all names that do not match (strict);
   *     `ERR_FORMAT`; `ERR_IO`; `ERR_BUSY`; nothing is changed then
   */
  async loadWeights(path: string, options?: LoadWeightsOptions): Promise<LoadReport> {
    const read = parseOptions('model.loadWeights', options, {
      map: anything(),
      strict: flag(true),
    });
    return loadWeights(this.#core, path, read);
  }

  /**
   * Frees the native memory. A running call rejects with `ERR_DISPOSED`; further calls throw it; a
   * second `dispose` does nothing. A model that is forgotten is freed by the garbage collector.
   */
  dispose(): void {
    this.#core.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Builds a model of layers in a row. Shapes are checked at once, before any data.
 *
 * The first layer must be an embedding (token ids [batch, time]) or have `inputFeatures`.
 *
 * @throws TypeError, RangeError for wrong options
 * @throws OstinatoError `ERR_SHAPE_MISMATCH`, naming the layer and what to change; `ERR_ADDON`
 */
export function sequential(layers: readonly Layer[], options?: SequentialOptions): Model {
  const { seed } = parseOptions('sequential', options, {
    seed: integer(0, Number.MAX_SAFE_INTEGER, 0),
  });
  return new Model(makePlan(layers, seed));
}

/** Options of {@link model}. */
export interface ModelOptions extends SequentialOptions {
  /** What `input` made: one, several in order, or several by name. */
  inputs: Tensors;
  /** What `layer.apply` made: likewise. Without names they are called as their layers. */
  outputs: Tensors;
}

/**
 * Builds a model of a graph: of everything on the way from the inputs to the outputs.
 *
 * With one input, data is an array as for {@link sequential}; with several `{ name: array }`, or an
 * array of them in order. Targets, losses, metrics and predictions of several outputs likewise.
 *
 * @throws TypeError, RangeError for wrong options
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` for an input that no output depends on, an output that
 *     depends on an input of another model, or a layer whose calls have different shapes;
 *     `ERR_ADDON`
 */
export function model(options: ModelOptions): Model {
  const { inputs, outputs, seed } = parseOptions('model', options, {
    inputs: anything(),
    outputs: anything(),
    seed: integer(0, Number.MAX_SAFE_INTEGER, 0),
  });
  return new Model(makeGraphPlan(inputs, outputs, seed));
}

/**
 * Builds a model with fresh weights from what {@link Model.getConfig} gave.
 *
 * @throws TypeError, RangeError, OstinatoError for a configuration that cannot be used
 */
export function fromConfig(config: ModelConfig): Model {
  return new Model(planOf(config));
}

/**
 * Loads a model that {@link Model.save} wrote: layers, weights and metadata.
 *
 * @throws OstinatoError `ERR_FORMAT` with the reason; `ERR_IO`; `ERR_SHAPE_MISMATCH`
 */
export async function load(path: string): Promise<Model> {
  if (typeof path !== 'string') throw wrongKind('a path', 'path', path);
  const { plan, metadata } = planFromFile(await safetensors.inspect(path), path);
  const model = new Model(plan, metadata);
  try {
    await model.loadWeights(path);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}
