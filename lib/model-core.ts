/** What the parts of a model share: the native object, its description, and who may use it when. */
import type { DataShape } from './data/prepare';
import { awaitNative, busy, codeOf, disposed, guardNative } from './errors';
import type { Layer } from './layers/layer';
import type { ModelLoss } from './model-loss';
import { addon } from './native';
import type { NativeDescription, NativeModel } from './native';
import type { Optimizer } from './optimizers';
import type { PlateauState } from './plateau';
import { getThreads } from './runtime';
import { axisName, dataAxes } from './shapes';
import type { ValueShape } from './shapes';

/** A layer with the name that it has in its model. */
export interface NamedLayer {
  name: string;
  layer: Layer;
  output: ValueShape;
}

/** An input with the name that data is given under. */
export interface NamedInput {
  name: string;
  shape: ValueShape;
}

/** One call of a layer. Values are numbered: the inputs first, then what each node gives. */
export interface PlanNode {
  /** The layer's name; with `:2`, `:3`, … for further calls. */
  name: string;
  /** Index in the plan's layers. */
  layer: number;
  /** Values that it reads. */
  inputs: number[];
  output: ValueShape;
}

/** An output: its name in the model, its value, and the layer that gives it. */
export interface NamedOutput {
  name: string;
  value: number;
  owner: NamedLayer;
}

/** The tokens that sequences of an encoder–decoder's target begin and end with. */
export interface Boundaries {
  startToken: number;
  endToken: number;
}

/** A model's plan, checked. Each node comes after those whose values it reads. */
export interface Plan {
  kind: 'sequential' | 'graph';
  seed: number;
  inputs: NamedInput[];
  layers: NamedLayer[];
  nodes: PlanNode[];
  outputs: NamedOutput[];
  /** Of an encoder–decoder. */
  boundaries?: Boundaries | undefined;
}

/** The optimiser that a model last trained with, and where it stands. */
export interface Training {
  optimizer: Optimizer;
  /** The name it was given by, if by name. */
  given: unknown;
  loss: ModelLoss;
  /** Batches, of which an update may take several. */
  steps: number;
  /** Where a schedule that follows a metric stands; undefined for others. */
  plateau: PlateauState | undefined;
}

export class ModelCore {
  readonly plan: Plan;
  readonly description: NativeDescription;
  /** Set by the first `fit`. */
  training: Training | undefined;
  /** Asked for by `stop()`; cleared when a fit begins. */
  stopRequested = false;
  #native: NativeModel | undefined;
  #nextJob = 1;
  #owner: string | undefined;
  #paused = false;
  #readers = 0;
  #evaluating = false;

  /** @param base of a view: whose layers and weights those of the plan with the same names are */
  constructor(plan: Plan, base?: ModelCore) {
    this.plan = plan;
    const axes = dataAxes(plan.inputs.map(({ shape }) => shape));
    this.#native = guardNative(
      () =>
        new (addon().Model)(
          {
            seed: plan.seed,
            inputs: plan.inputs.map(({ shape }) => ({
              features: shape.features,
              timed: shape.timed,
              tokens: shape.tokens,
              axis: shape.timed ? axes.indexOf(axisName(shape)) : 0,
            })),
            layers: plan.layers.map(({ name, layer }) => ({
              type: layer.nativeType,
              name,
              options: layer.nativeOptions(),
            })),
            nodes: plan.nodes.map(({ layer, inputs }) => ({ layer, inputs })),
            outputs: plan.outputs.map(({ value }) => value),
          },
          base?.native,
        ),
    );
    this.description = this.#native.describe();
  }

  /** @throws OstinatoError `ERR_DISPOSED` */
  get native(): NativeModel {
    if (this.#native === undefined) throw disposed('model');
    return this.#native;
  }

  get isDisposed(): boolean {
    return this.#native === undefined;
  }

  /** The layer that gives the first output. */
  get last(): NamedLayer {
    return this.plan.outputs[0]!.owner;
  }

  get dataShape(): DataShape {
    const { inputs, outputs } = this.plan;
    return {
      inputs,
      outputs: outputs.map(({ name, owner }) => ({
        name,
        shape: owner.output,
        owner: this.outputOwner(owner),
      })),
    };
  }

  /** The layer that decides whether an output has a time axis, as far as can be told. */
  private outputOwner(owner: NamedLayer): string {
    if (this.plan.kind === 'graph') return owner.name;
    const temporal = this.plan.layers.filter(({ layer }) => layer.temporal);
    return (temporal.at(-1) ?? owner).name;
  }

  threads(asked: number | undefined): number {
    return asked ?? getThreads();
  }

  /** Rejects a use that the running call excludes. */
  checkReadable(): void {
    void this.native;
    if (this.#owner !== undefined && !this.#paused) throw busy('model', this.#owner);
  }

  /** Rejects a change while anyone else uses the model. */
  checkWritable(): void {
    this.checkReadable();
    if (this.#readers > 0) throw busy('model', 'a prediction');
  }

  /** Runs `work` as the only call that uses the model. */
  async exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
    void this.native;
    if (this.#owner !== undefined) throw busy('model', this.#owner);
    if (this.#readers > 0) throw busy('model', 'a prediction or an evaluation');
    this.#owner = name;
    try {
      return await work();
    } finally {
      this.#owner = undefined;
      this.#paused = false;
    }
  }

  /** Lets others read the model while the exclusive call waits for a callback of the user. */
  async paused<T>(work: () => T | PromiseLike<T>): Promise<T> {
    this.#paused = true;
    try {
      return await work();
    } finally {
      this.#paused = false;
    }
  }

  /** Runs `work`, which only reads parameters, beside other readers. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    this.checkReadable();
    this.#readers++;
    try {
      return await work();
    } finally {
      this.#readers--;
    }
  }

  /** Like {@link shared}, for the one evaluation that may run: it carries states of its own. */
  async evaluating<T>(work: () => Promise<T>): Promise<T> {
    if (this.#evaluating) throw busy('model', 'evaluate()');
    this.#evaluating = true;
    try {
      return await this.shared(work);
    } finally {
      this.#evaluating = false;
    }
  }

  /**
   * Runs one native job that a signal may cancel.
   *
   * @throws the signal's reason when it was aborted
   */
  async job<T>(
    signal: AbortSignal | undefined,
    start: (native: NativeModel, job: number) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const { native } = this;
    const job = this.#nextJob++;
    const cancel = (): void => native.cancel(job);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await awaitNative(() => start(native, job));
    } catch (error) {
      if (codeOf(error) === 'ERR_ABORTED') {
        signal?.throwIfAborted();
        void this.native;
      }
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Ends running work and frees the native model when the last job lets go of it. */
  dispose(): void {
    this.#native?.dispose();
    this.#native = undefined;
  }
}
