/** Predictions. */
import { range } from './data/batches';
import type { NDArray } from './data/arrays';
import { openData } from './data/source';
import type { OpenData } from './data/source';
import { guardNative, wrongKind, wrongValue } from './errors';
import type { ModelCore } from './model-core';
import type { NativePrediction, NativeStates } from './native';
import { stepsOf } from './shapes';
import type { ValueShape } from './shapes';
import { nameStates, orderStates, pasteState, sliceState } from './states';
import type { States, StatesInput } from './states';
import { abortSignal, anything, flag, integer, optional, parseOptions } from './validate';

/** Options of `model.predict` and `model.predictSync`. */
export interface PredictOptions {
  /** See `FitOptions.lengths`. The output is 0 beyond. Default: the samples' own. */
  lengths?: unknown;
  /** States to start from, by layer. Default zeros. */
  initialState?: StatesInput;
  /** Also return the final states of all layers. Default: of those with `returnState: true`. */
  returnState?: boolean;
  /** Also return the weights of attention layers. Default false. */
  returnAttention?: boolean;
  /** Samples that are computed together. Default 64. */
  batchSize?: number;
  /** Ends the prediction; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Default: `getThreads()`; for `predictSync`, 1. */
  threads?: number;
}

/** An output, [batch, features] or [batch, time, features], and final states if asked for. */
export interface Prediction extends NDArray {
  /** By name, of a model of several outputs; `data` and `shape` are then those of the first. */
  outputs?: Record<string, NDArray>;
  /** By layer and name, [slots, batch, features], after each row's own last step. */
  states?: States;
  /**
   * With `returnAttention`: of each call of a layer that attends, how much each step of the keys
   * counted for a query, [batch, queries, keys], or [batch, keys] for queries without a time axis.
   * Rows add up to 1 over a sample's own steps; zeros beyond its lengths.
   */
  attention?: Record<string, NDArray>;
}

const schema = {
  lengths: anything(),
  initialState: anything(),
  returnState: optional(flag(false)),
  returnAttention: flag(false),
  batchSize: integer(1, 2 ** 24, 64),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

/** Longest array that predictions are put into. */
const MAX_OUTPUT = 2 ** 31;

/**
 * Numbers in the output of a sample.
 *
 * @throws RangeError when all samples' outputs do not fit one array
 */
export function outputSize(shape: ValueShape, data: OpenData): number {
  return checkSize(shape.features * stepsOf(shape, data), data);
}

function checkSize(size: number, { samples }: OpenData): number {
  if (size * samples >= MAX_OUTPUT) {
    throw wrongValue(
      `an output of fewer than ${MAX_OUTPUT} numbers`,
      'x',
      size * samples,
      'give fewer samples at a time',
    );
  }
  return size;
}

/** The shape of a model's output or input for samples of that many steps. */
export function shapeOf(shape: ValueShape, data: OpenData): number[] {
  const { samples } = data;
  const { features, timed } = shape;
  return timed ? [samples, stepsOf(shape, data), features] : [samples, features];
}

/** Numbers of a sample in an array of all. */
function rowSize([, ...rest]: readonly number[]): number {
  return rest.reduce((product, size) => product * size, 1);
}

/** The first array, and all by name where there are several. */
function namedArrays(arrays: readonly ({ name: string } & NDArray)[]): Prediction {
  const { data, shape } = arrays[0]!;
  if (arrays.length === 1) return { data, shape };
  const outputs = Object.fromEntries(
    arrays.map((array) => [array.name, { data: array.data, shape: array.shape }]),
  );
  return { data, shape, outputs };
}

/** Shapes of the weights of all calls that attend, in the core's order. */
function attentionShapes({ plan }: ModelCore, data: OpenData): { name: string; shape: number[] }[] {
  const { inputs, layers, nodes } = plan;
  const shapes = [...inputs.map(({ shape }) => shape), ...nodes.map(({ output }) => output)];
  return nodes
    .filter(({ layer }) => layers[layer]!.layer.attends)
    .map(({ name, inputs: [query, keys] }) => {
      const [from, to] = [shapes[query!]!, shapes[keys!]!];
      return { name, shape: shapeOf({ ...from, features: stepsOf(to, data) }, data) };
    });
}

/** One call of `predict`, cut into batches whose results are put together. */
class PredictionPlan {
  readonly #core: ModelCore;
  readonly #data: OpenData;
  readonly #initial: NativeStates | null;
  readonly #batchSize: number;
  readonly wantStates: boolean;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #rowSizes: number[];
  readonly #attending: { name: string; shape: number[] }[];
  #outputs: Float32Array[] | undefined;
  #states: Float32Array[] | undefined;
  #attention: Float32Array[] | undefined;

  constructor(
    core: ModelCore,
    data: OpenData,
    options: {
      initialState: unknown;
      returnState: boolean | undefined;
      returnAttention: boolean;
      batchSize: number;
    },
  ) {
    this.#core = core;
    this.#data = data;
    this.#batchSize = options.batchSize;
    this.#initial =
      options.initialState === undefined
        ? null
        : orderStates(core, options.initialState, data.samples, 'initialState');
    const { nodes, layers } = core.plan;
    const named = nodes.filter(({ layer }) => layers[layer]!.layer.options['returnState'] === true);
    this.wantStates = options.returnState ?? named.length > 0;
    if (options.returnState === undefined) this.#only = new Set(named.map(({ name }) => name));
    this.#rowSizes = core.plan.outputs.map(({ owner }) => outputSize(owner.output, data));
    this.#attending = options.returnAttention ? attentionShapes(core, data) : [];
    if (options.returnAttention && !this.wantAttention) {
      throw wrongValue(
        'false for a model without attention',
        'model.predict.returnAttention',
        true,
      );
    }
    for (const { shape } of this.#attending) checkSize(rowSize(shape), data);
  }

  get wantAttention(): boolean {
    return this.#attending.length > 0;
  }

  /** First samples of the batches. */
  *begins(): Generator<number> {
    for (let begin = 0; begin < this.#data.samples; begin += this.#batchSize) yield begin;
  }

  #end(begin: number): number {
    return Math.min(begin + this.#batchSize, this.#data.samples);
  }

  samples(begin: number): Int32Array {
    return range(begin, this.#end(begin));
  }

  initial(begin: number): NativeStates | null {
    if (this.#initial === null) return null;
    const { samples } = this.#data;
    return this.#core.description.states.map(({ slots, features }, i) => {
      const whole = this.#initial![i]!;
      return whole && sliceState(whole, [slots, samples, features], begin, this.#end(begin));
    });
  }

  add(begin: number, { outputs, states, attention }: NativePrediction): void {
    const { samples } = this.#data;
    if (this.#end(begin) - begin === samples) {
      this.#outputs = outputs;
      this.#states = states ?? undefined;
      this.#attention = attention ?? undefined;
      return;
    }
    const add = (
      all: Float32Array[] | undefined,
      parts: readonly Float32Array[],
      sizes: readonly number[],
    ): Float32Array[] => {
      const whole = all ?? sizes.map((size) => new Float32Array(samples * size));
      parts.forEach((part, i) => whole[i]!.set(part, begin * sizes[i]!));
      return whole;
    };
    this.#outputs = add(this.#outputs, outputs, this.#rowSizes);
    if (attention !== null) {
      const sizes = this.#attending.map(({ shape }) => rowSize(shape));
      this.#attention = add(this.#attention, attention, sizes);
    }
    if (states === null) return;
    const { states: infos } = this.#core.description;
    this.#states ??= infos.map(
      ({ slots, features }) => new Float32Array(slots * samples * features),
    );
    infos.forEach(({ slots, features }, i) => {
      pasteState(this.#states![i]!, [slots, samples, features], begin, states[i]!);
    });
  }

  finish(): Prediction {
    const prediction: Prediction = namedArrays(
      this.#core.plan.outputs.map(({ name, owner }, i) => ({
        name,
        data: this.#outputs![i]!,
        shape: shapeOf(owner.output, this.#data),
      })),
    );
    if (this.#states !== undefined) {
      const all = nameStates(this.#core, this.#states, this.#data.samples);
      prediction.states = Object.fromEntries(
        Object.entries(all).filter(([name]) => this.#only?.has(name) ?? true),
      );
    }
    if (this.#attention !== undefined) {
      prediction.attention = Object.fromEntries(
        this.#attending.map(({ name, shape }, i) => [name, { data: this.#attention![i]!, shape }]),
      );
    }
    return prediction;
  }
}

/** See `Model.predict`. */
export async function predict(core: ModelCore, x: unknown, given: unknown): Promise<Prediction> {
  const { signal, threads, ...options } = parseOptions('model.predict', given, schema);
  signal?.throwIfAborted();
  return core.shared(async () => {
    const arrays = { x, lengths: options.lengths };
    const data = openData(core, { kind: 'arrays', arrays }, undefined);
    try {
      const plan = new PredictionPlan(core, data, options);
      for (const begin of plan.begins()) {
        const samples = plan.samples(begin);
        const initial = plan.initial(begin);
        const part = await core.job(signal, (native, job) =>
          native.predict(data.native, samples, data.steps, initial, {
            job,
            threads: core.threads(threads),
            wantStates: plan.wantStates,
            wantAttention: plan.wantAttention,
          }),
        );
        plan.add(begin, part);
      }
      return plan.finish();
    } finally {
      data.dispose();
    }
  });
}

/** See `Model.predictSync`. */
export function predictSync(core: ModelCore, x: unknown, given: unknown): Prediction {
  const { signal, threads, ...options } = parseOptions('model.predictSync', given, schema);
  if (signal !== undefined) {
    throw wrongKind('nothing', 'model.predictSync.signal', signal, 'use model.predict');
  }
  core.checkReadable();
  const arrays = { x, lengths: options.lengths };
  const data = openData(core, { kind: 'arrays', arrays }, undefined);
  try {
    const plan = new PredictionPlan(core, data, options);
    for (const begin of plan.begins()) {
      const part = guardNative(() =>
        core.native.predictSync(data.native, plan.samples(begin), data.steps, plan.initial(begin), {
          threads: threads ?? 1,
          wantStates: plan.wantStates,
          wantAttention: plan.wantAttention,
        }),
      );
      plan.add(begin, part);
    }
    return plan.finish();
  } finally {
    data.dispose();
  }
}
