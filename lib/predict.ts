/** Predictions, and losses with all gradients. */
import { range } from './data/batches';
import type { NDArray } from './data/arrays';
import { openData } from './data/source';
import type { OpenData } from './data/source';
import { guardNative, wrongKind, wrongValue } from './errors';
import { resolveLoss } from './losses';
import type { LossName, LossOptions } from './losses';
import type { ModelCore } from './model-core';
import type { NativePrediction, NativeStates } from './native';
import { nameStates, orderStates, pasteState, sliceState } from './states';
import type { States, StatesInput } from './states';
import { abortSignal, anything, flag, integer, isRecord, optional, parseOptions } from './validate';

/** Options of `model.predict` and `model.predictSync`. */
export interface PredictOptions {
  /** Steps of each sample: [batch]. The output is 0 beyond. Default: the samples' own. */
  lengths?: unknown;
  /** States to start from, by layer. Default zeros. */
  initialState?: StatesInput;
  /** Also return the final states of all layers. Default: of those with `returnState: true`. */
  returnState?: boolean;
  /** Samples that are computed together. Default 64. */
  batchSize?: number;
  /** Ends the prediction; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Default: `getThreads()`; for `predictSync`, 1. */
  threads?: number;
}

/** An output, [batch, features] or [batch, time, features], and final states if asked for. */
export interface Prediction extends NDArray {
  /** By layer and name, [slots, batch, features], after each row's own last step. */
  states?: States;
}

/** Options of `model.gradients`. */
export interface GradientOptions {
  /** Required. */
  loss: LossName | LossOptions;
  fromLogits?: boolean;
  lengths?: unknown;
  mask?: unknown;
  sampleWeights?: unknown;
  initialState?: StatesInput;
  signal?: AbortSignal;
  threads?: number;
}

/** A loss and its gradients; shapes are those of what they belong to. */
export interface Gradients {
  loss: number;
  /** By parameter: `lstm.weight_ih_l0`. */
  parameters: Record<string, NDArray>;
  /** Of the input, [batch, time, features]; null for token ids. */
  input: NDArray | null;
  /** By layer and state, [slots, batch, features]. */
  initialState: States;
}

const schema = {
  lengths: anything(),
  initialState: anything(),
  returnState: optional(flag(false)),
  batchSize: integer(1, 2 ** 24, 64),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

/** Longest array that predictions are put into. */
const MAX_OUTPUT = 2 ** 31;

/** One call of `predict`, cut into batches whose results are put together. */
class PredictionPlan {
  readonly #core: ModelCore;
  readonly #data: OpenData;
  readonly #initial: NativeStates | null;
  readonly #batchSize: number;
  readonly wantStates: boolean;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #rowSize: number;
  #output: Float32Array | undefined;
  #states: Float32Array[] | undefined;

  constructor(
    core: ModelCore,
    data: OpenData,
    options: { initialState: unknown; returnState: boolean | undefined; batchSize: number },
  ) {
    this.#core = core;
    this.#data = data;
    this.#batchSize = options.batchSize;
    this.#initial =
      options.initialState === undefined
        ? null
        : orderStates(core.description, options.initialState, data.samples, 'initialState');
    const named = core.plan.layers.filter(({ layer }) => layer.options['returnState'] === true);
    this.wantStates = options.returnState ?? named.length > 0;
    if (options.returnState === undefined) this.#only = new Set(named.map(({ name }) => name));
    const { features, timed } = core.last.output;
    this.#rowSize = features * (timed ? data.steps : 1);
    if (this.#rowSize * data.samples >= MAX_OUTPUT) {
      throw wrongValue(
        `an output of fewer than ${MAX_OUTPUT} numbers`,
        'x',
        this.#rowSize * data.samples,
        'predict fewer samples at a time',
      );
    }
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

  add(begin: number, { output, states }: NativePrediction): void {
    const { samples } = this.#data;
    if (this.#end(begin) - begin === samples) {
      this.#output = output;
      this.#states = states ?? undefined;
      return;
    }
    this.#output ??= new Float32Array(samples * this.#rowSize);
    this.#output.set(output, begin * this.#rowSize);
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
    const { samples, steps } = this.#data;
    const { features, timed } = this.#core.last.output;
    const prediction: Prediction = {
      data: this.#output!,
      shape: timed ? [samples, steps, features] : [samples, features],
    };
    if (this.#states !== undefined) {
      const all = nameStates(this.#core.description, this.#states, samples);
      prediction.states = Object.fromEntries(
        Object.entries(all).filter(([name]) => this.#only?.has(name) ?? true),
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
        }),
      );
      plan.add(begin, part);
    }
    return plan.finish();
  } finally {
    data.dispose();
  }
}

const gradientSchema = {
  loss: anything(),
  fromLogits: optional(flag(true)),
  lengths: anything(),
  mask: anything(),
  sampleWeights: anything(),
  initialState: anything(),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

/** See `Model.gradients`. */
export async function gradients(
  core: ModelCore,
  x: unknown,
  y: unknown,
  given: unknown,
): Promise<Gradients> {
  const whole = typeof given === 'string' || (isRecord(given) && 'kind' in given);
  const options = parseOptions('model.gradients', whole ? { loss: given } : given, gradientSchema);
  const { last, description } = core;
  const loss = resolveLoss(options.loss, options.fromLogits, last.layer, last.name);
  const { lengths, mask, sampleWeights, signal } = options;
  return core.exclusive('gradients()', async () => {
    const arrays = { x, y, lengths, mask, sampleWeights };
    const data = openData(core, { kind: 'arrays', arrays }, loss.targets);
    try {
      const initial =
        options.initialState === undefined
          ? null
          : orderStates(description, options.initialState, data.samples, 'initialState');
      const result = await core.job(signal, (native, job) =>
        native.gradients(data.native, range(0, data.samples), data.steps, loss.native, initial, {
          job,
          threads: core.threads(options.threads),
        }),
      );
      const { features, timed } = core.plan.input;
      const inputShape = timed ? [data.samples, data.steps, features] : [data.samples, features];
      return {
        loss: result.loss,
        parameters: Object.fromEntries(
          description.parameters.map(({ name, shape }, i) => [
            name,
            { data: core.native.readGradient(i), shape: [...shape] },
          ]),
        ),
        input: result.input && { data: result.input, shape: inputShape },
        initialState: nameStates(description, result.initialStates, data.samples),
      };
    } finally {
      data.dispose();
    }
  });
}
