/** What a run is and where it stands: taken from a model that trains, and put back into one. */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { OstinatoError, guardNative, show } from '../errors';
import type { History } from '../fit';
import type { Totals } from '../metrics';
import type { ModelCore, Training } from '../model-core';
import { lossIdentity } from '../model-loss';
import type { ModelLoss } from '../model-loss';
import { nativeOptimizer } from '../optimizers';
import type { Optimizer } from '../optimizers';
import { configOf, fileMetadata } from '../serialize';
import { firstDifference } from './difference';
import type { CheckpointFile } from './file';

/** Where a run stands in its data. */
export interface Position {
  epoch: number;
  /** Batches of the epoch that have been trained on. */
  batch: number;
  /** Sums over them. */
  totals: Totals;
  /** Time that the epoch has taken, in seconds. */
  seconds: number;
  /** The rate of the step before. */
  learningRate: number;
}

/**
 * What must be the same when a run goes on, under the names that messages give it: plain values,
 * some of them those of options of `fit`.
 */
export type Identity = Record<string, unknown>;

/** A run as a value, apart from what the model holds. */
export interface RunState {
  identity: Identity;
  position: Position;
  history: History;
  /** What the callbacks keep, by their names. */
  callbacks: Record<string, unknown>;
}

/** Bytes that are copied between two looks at the event loop: about a millisecond. */
const COPY_PIECE = 2 ** 22;

/** What is always part of an {@link Identity}. */
export function identityOf(core: ModelCore, optimizer: Optimizer, loss: ModelLoss): Identity {
  return {
    model: configOf(core.plan),
    loss: lossIdentity(loss),
    optimizer: {
      ...nativeOptimizer(optimizer, core.description.parameters),
      kind: optimizer.kind,
    },
  };
}

/** The part of a model's training that is plain values: the count of steps, and what joins it. */
function plainState(training: Training): Partial<Training> {
  const { optimizer: _optimizer, given: _given, loss: _loss, ...plain } = training;
  return plain;
}

/** A checkpoint of a model that trains, and of its run. The model must not change meanwhile. */
export async function capture(
  core: ModelCore,
  run: RunState,
  metadata: unknown,
): Promise<CheckpointFile> {
  const { native, description } = core;
  const optimizer = guardNative(() => native.readOptimizer());
  const carried = guardNative(() => native.readCarried());
  const weights: CheckpointFile['weights'] = {};
  let copied = 0;
  for (const [i, { name, shape }] of description.parameters.entries()) {
    const data = guardNative(() => native.readParameter(i));
    weights[name] = { data, shape: [...shape] };
    copied += data.byteLength;
    if (copied >= COPY_PIECE) {
      copied = 0;
      await yieldToEvents();
    }
  }
  const slots = Object.fromEntries(optimizer.slots.map(({ name, values }) => [name, values]));
  const record = {
    ...run,
    identity: asJson(run.identity),
    training: plainState(core.training!),
    optimizerSteps: optimizer.steps,
    optimizerCounters: Array.from(optimizer.counters),
    slots,
    carried,
  };
  return { weights, record, metadata: fileMetadata(core.plan, metadata) };
}

/** The parts of a record, as {@link capture} made it. */
interface TrainingRecord extends RunState {
  training: Partial<Training>;
  optimizerSteps: number;
  optimizerCounters: number[];
  slots: Record<string, Float32Array[]>;
  carried: Float32Array[];
}

/** As JSON has it: what is undefined is left out, so that it does not count. */
function asJson(identity: Identity): Identity {
  return JSON.parse(JSON.stringify(identity)) as Identity;
}

/** @throws OstinatoError `ERR_CHECKPOINT` with the first thing that is not the same */
export function checkIdentity({ record }: CheckpointFile, here: Identity, path: string): void {
  const difference = firstDifference(record['identity'], asJson(here));
  if (difference === undefined) return;
  const { path: name, saved: was, here: is } = difference;
  throw new OstinatoError(
    'ERR_CHECKPOINT',
    `The checkpoint "${path}" is of another run: "${name}" was ${show(was)} there but is ${show(is)} ` +
      'here; an exact resume needs the same model, data and options. To train on from its weights ' +
      'alone, use model.loadWeights()',
  );
}

/** How many rows the carried states have. */
function rowsOf(core: ModelCore, carried: readonly Float32Array[]): number {
  const [info] = core.description.states;
  const [state] = carried;
  return info === undefined || state === undefined
    ? 0
    : state.length / (info.slots * info.features);
}

/**
 * Puts a checkpoint into a model whose training is configured and whose identity was checked.
 *
 * @throws OstinatoError `ERR_CHECKPOINT` when the optimiser or the states do not take it; the
 *     weights are then as they were
 */
export function restore(core: ModelCore, { weights, record }: CheckpointFile, path: string) {
  const { training, optimizerSteps, optimizerCounters, slots, carried, ...run } =
    record as unknown as TrainingRecord;
  const { native, description } = core;
  const { parameters } = description;
  try {
    for (const { name, shape } of parameters) {
      const size = shape.reduce((product, length) => product * length, 1);
      if (weights[name]?.data.length !== size) throw new Error(`it lacks "${name}"`);
    }
    native.writeOptimizer({
      steps: optimizerSteps,
      slots: Object.entries(slots).map(([name, values]) => ({ name, values })),
      counters: Float64Array.from(optimizerCounters),
    });
    native.writeCarried(carried.length === 0 ? null : carried, rowsOf(core, carried));
    parameters.forEach(({ name }, i) => native.writeParameter(i, weights[name]!.data));
  } catch (error) {
    throw new OstinatoError(
      'ERR_CHECKPOINT',
      `The checkpoint "${path}" cannot be used: ${(error as Error).message}`,
      { cause: error },
    );
  }
  Object.assign(core.training!, training);
  return run satisfies RunState;
}
