/** `model.gradients`: one forward and one backward pass, without an update. */
import type { NDArray } from './data/arrays';
import { range } from './data/batches';
import { openData } from './data/source';
import type { OpenData } from './data/source';
import { wrongKind } from './errors';
import type { LossByOutput, LossName, LossOptions, LossTargets } from './losses';
import type { ModelCore } from './model-core';
import { resolveModelLoss } from './model-loss';
import type { ModelLoss } from './model-loss';
import type { NativeStates } from './native';
import { outputSize, shapeOf } from './predict';
import { nameStates, orderStates } from './states';
import type { States, StatesInput } from './states';
import { abortSignal, anything, flag, integer, isRecord, optional, parseOptions } from './validate';

/** Options of `model.gradients` whether or not there is a loss. */
interface CommonOptions {
  /**
   * Upstream gradients of the final states, by layer, in the states' shapes; those that are left
   * out are zeros. Adds sum(state · gradient) to what is differentiated.
   */
  stateGradients?: StatesInput;
  /** See `FitOptions.lengths`. Gradients are 0 beyond. Default: the samples' own. */
  lengths?: unknown;
  /** States to start from, by layer. Default zeros. */
  initialState?: StatesInput;
  /** Ends the call; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Default: `getThreads()`. Results do not depend on it. */
  threads?: number;
}

/** Options of `model.gradients` with a loss. */
export interface GradientOptions extends CommonOptions {
  /** Required. */
  loss: LossName | LossOptions | LossByOutput;
  /** See `FitOptions.lossWeights`. */
  lossWeights?: Record<string, number>;
  /** See `FitOptions.fromLogits`. */
  fromLogits?: boolean;
  /** See `FitOptions.mask`. */
  mask?: unknown;
  /** See `FitOptions.sampleWeights`. */
  sampleWeights?: unknown;
}

/** Options of `model.gradients` without a loss; it needs one of the two upstream gradients. */
export interface UpstreamOptions extends CommonOptions {
  /**
   * Upstream gradient of the output, in its shape: sum(output · gradient) is differentiated. Not
   * read beyond a sample's length. Default zeros.
   */
  outputGradient?: unknown;
}

/** What a forward and a backward pass give; gradients have the shapes of what they belong to. */
export interface Gradients<LossValue extends number | null = number> {
  /** Null without a loss. */
  loss: LossValue;
  /** As `model.predict` gives it. */
  output: NDArray;
  /** By layer and state, [slots, batch, features], after each row's own last step. */
  finalState: States;
  /** Gradients by parameter: `lstm.weight_ih_l0`. */
  parameters: Record<string, NDArray>;
  /** Gradient of the input, [batch, time, features]; null for token ids. */
  input: NDArray | null;
  /** With several outputs: all of them by name; `output` is the first. */
  outputs?: Record<string, NDArray>;
  /** With several inputs: the gradients of all of them by name; `input` is that of the first. */
  inputs?: Record<string, NDArray | null>;
  /** Gradients of the initial states by layer and state, [slots, batch, features]. */
  initialState: States;
}

const schema = {
  loss: anything(),
  lossWeights: anything(),
  fromLogits: optional(flag(true)),
  outputGradient: anything(),
  stateGradients: anything(),
  lengths: anything(),
  mask: anything(),
  sampleWeights: anything(),
  initialState: anything(),
  signal: abortSignal(),
  threads: optional(integer(1, 1024)),
};

type Options = ReturnType<typeof parseOptions<typeof schema>>;

/** What is differentiated beside the final states: a loss, or the output itself. */
interface Objective {
  loss: ModelLoss | undefined;
  /** Targets of the loss, or the gradient of the output: the data carries both alike. */
  y: unknown;
  targets: LossTargets[] | undefined;
}

function readObjective(core: ModelCore, y: unknown, options: Options): Objective {
  const { outputGradient, stateGradients } = options;
  const upstream = outputGradient !== undefined || stateGradients !== undefined;
  if (options.loss !== undefined || !upstream) {
    const loss = resolveModelLoss(core, options.loss, options.fromLogits, options.lossWeights);
    if (outputGradient !== undefined) {
      throw wrongKind('nothing beside a loss', 'model.gradients.outputGradient', outputGradient);
    }
    return { loss, y, targets: loss.targets };
  }
  if (y !== undefined && y !== null) throw wrongKind('null without a loss', 'y', y);
  for (const name of ['lossWeights', 'fromLogits', 'mask', 'sampleWeights'] as const) {
    if (options[name] !== undefined) {
      throw wrongKind('nothing without a loss', `model.gradients.${name}`, options[name]);
    }
  }
  const { outputs } = core.plan;
  const several = outputs.length > 1;
  const targets =
    outputGradient === undefined
      ? undefined
      : outputs.map(({ name }) => ({
          labels: false,
          name: several ? `outputGradient.${name}` : 'outputGradient',
          optional: several,
        }));
  return { loss: undefined, y: outputGradient, targets };
}

function outputsOf(core: ModelCore, data: OpenData, values: readonly Float32Array[]) {
  const arrays = core.plan.outputs.map(({ owner }, i) => ({
    data: values[i]!,
    shape: shapeOf(owner.output, data),
  }));
  if (arrays.length === 1) return { output: arrays[0]! };
  const outputs = Object.fromEntries(core.plan.outputs.map(({ name }, i) => [name, arrays[i]!]));
  return { output: arrays[0]!, outputs };
}

function inputsOf(core: ModelCore, data: OpenData, values: readonly (Float32Array | null)[]) {
  const arrays = core.plan.inputs.map(({ shape }, i) => {
    const value = values[i]!;
    return value && { data: value, shape: shapeOf(shape, data) };
  });
  if (arrays.length === 1) return { input: arrays[0]! };
  const inputs = Object.fromEntries(core.plan.inputs.map(({ name }, i) => [name, arrays[i]!]));
  return { input: arrays[0]!, inputs };
}

/** See `Model.gradients`. */
export async function gradients(
  core: ModelCore,
  x: unknown,
  y: unknown,
  given: unknown,
): Promise<Gradients<number | null>> {
  const whole = typeof given === 'string' || (isRecord(given) && 'kind' in given);
  const options = parseOptions('model.gradients', whole ? { loss: given } : given, schema);
  const objective = readObjective(core, y, options);
  const { lengths, mask, sampleWeights, signal } = options;
  const { description } = core;
  return core.exclusive('gradients()', async () => {
    const arrays = { x, y: objective.y, lengths, mask, sampleWeights };
    const data = openData(core, { kind: 'arrays', arrays }, objective.targets);
    try {
      for (const { owner } of core.plan.outputs) outputSize(owner.output, data);
      const states = (name: 'initialState' | 'stateGradients'): NativeStates | null =>
        options[name] === undefined ? null : orderStates(core, options[name], data.samples, name);
      const [initial, upstream] = [states('initialState'), states('stateGradients')];
      const loss = objective.loss?.native ?? null;
      const all = range(0, data.samples);
      const result = await core.job(signal, (native, job) =>
        native.gradients(data.native, all, data.steps, loss, initial, upstream, {
          job,
          threads: core.threads(options.threads),
        }),
      );
      return {
        loss: result.loss,
        ...outputsOf(core, data, result.outputs),
        finalState: nameStates(core, result.finalStates, data.samples),
        parameters: Object.fromEntries(
          description.parameters.flatMap(({ name, shape, role }, i) =>
            role === 'statistic'
              ? []
              : [[name, { data: core.native.readGradient(i), shape: [...shape] }]],
          ),
        ),
        ...inputsOf(core, data, result.inputs),
        initialState: nameStates(core, result.initialStates, data.samples),
      };
    } finally {
      data.dispose();
    }
  });
}
