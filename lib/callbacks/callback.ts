/** What a callback of `fit` is: hooks that are called while a model trains, and a state to save. */
import { wrongKind, wrongValue } from '../errors';
import type { EpochEvent, History } from '../fit';
import type { BatchEvent } from '../fit-run';
import type { Model } from '../model';
import { isRecord, rejectUnknown } from '../validate';
import type { Weights } from '../weights';

/** The run that a callback is told about. */
export interface FitContext {
  readonly model: Model;
  /** Where the run ends. */
  readonly epochs: number;
  /** Batches of an epoch; undefined for a stream. */
  readonly batches: number | undefined;
  /** The epoch at hand, from 0. */
  readonly epoch: number;
  /** Steps of all epochs, those before a resume included, that callbacks have been told about. */
  readonly steps: number;
  /** Whether the run goes on from a checkpoint. */
  readonly resumed: boolean;
  /** Names of the scores that `onEpochEnd` reports: `loss`, `valLoss`, … */
  readonly scores: readonly string[];
  /** The epochs that have ended. */
  readonly history: Readonly<History>;
  /** Whether the run will end after the slice of steps at hand. */
  readonly stopRequested: boolean;
  /** Ends the run, as `model.stop()` does. */
  stop(): void;
  /**
   * The gradients of the last step, before clipping, by the names of the parameters. To be called
   * in `onSafePoint` and `onEpochEnd`.
   *
   * @throws OstinatoError `ERR_BUSY` anywhere else
   */
  gradients(): Weights;
  /**
   * Writes a checkpoint, from which `fit(…, { resume: path })` goes on. To be called in
   * `onSafePoint`. The file is replaced as a whole, or not at all.
   *
   * @throws OstinatoError `ERR_IO`; `ERR_BUSY` anywhere else
   */
  saveCheckpoint(path: string): Promise<void>;
}

/**
 * An observer of `fit`. All hooks are optional and may return promises, which are awaited; the
 * model can be read meanwhile (`predict`, `save`, …). They are called in the order of the list, and
 * whatever they throw ends `fit`. An object observes one `fit` at a time.
 */
export interface Callback {
  /**
   * Under which its state is saved; unique in a list. Default: its type's name, for those of
   * `callbacks`. A callback without a name saves no state.
   */
  readonly name?: string;
  /**
   * Steps are made in slices of up to 50 ms, and told of afterwards. With this, a slice ends after
   * each step whose number (from 1) is a multiple of it, so that `onSafePoint` is called there.
   */
  readonly everySteps?: number | undefined;
  /** Called once, after `setState` where there is one. */
  onTrainBegin?(context: FitContext): unknown;
  onEpochBegin?(context: FitContext): unknown;
  /** Called after each step, in order. The model may already be some steps ahead. */
  onBatchEnd?(event: BatchEvent, context: FitContext): unknown;
  /**
   * Called when everybody has been told of every step, so that the model and all callbacks stand at
   * the same step: after each slice of steps, and after `onEpochEnd`.
   */
  onSafePoint?(context: FitContext): unknown;
  onEpochEnd?(event: EpochEvent, context: FitContext): unknown;
  /** Called when the run ends well, or was stopped. The weights may be changed. */
  onTrainEnd?(context: FitContext): unknown;
  /** Called in place of `onTrainEnd` when `fit` is about to reject; must not throw. */
  onTrainError?(error: unknown, context: FitContext): unknown;
  /**
   * What a checkpoint keeps of the callback: any nesting of plain objects, arrays, strings, numbers,
   * booleans, null, Float32Array and Float64Array.
   */
  getState?(): unknown;
  /** Gives back what `getState` returned when the checkpoint was saved. */
  setState?(state: unknown): void;
}

const HOOKS = [
  'onTrainBegin',
  'onEpochBegin',
  'onBatchEnd',
  'onSafePoint',
  'onEpochEnd',
  'onTrainEnd',
  'onTrainError',
  'getState',
  'setState',
] as const;

/** Names of hooks that users of Keras try first. */
const KERAS_HOOKS: Record<string, string> = {
  onTrainBatchEnd: 'onBatchEnd',
  on_train_batch_end: 'onBatchEnd',
  on_batch_end: 'onBatchEnd',
  on_epoch_begin: 'onEpochBegin',
  on_epoch_end: 'onEpochEnd',
  on_train_begin: 'onTrainBegin',
  on_train_end: 'onTrainEnd',
};

/** Names of an object's properties, those of its classes included. */
function propertyNames(value: object): string[] {
  const names: string[] = [];
  for (
    let owner: object | null = value;
    owner !== null && Object.getPrototypeOf(owner) !== null;
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    names.push(...Object.getOwnPropertyNames(owner));
  }
  return names;
}

/**
 * Checks the `callbacks` of `fit`. Objects may have further properties of their own, but none that
 * looks like a hook and is none.
 *
 * @throws TypeError, RangeError for anything but callbacks with names of their own
 */
export function checkCallbacks(given: unknown, label: string): Callback[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw wrongKind('an array of callbacks', label, given);
  const names = new Set<string>();
  return given.map((value: unknown, i) => {
    const at = `${label}[${i}]`;
    if (!isRecord(value)) {
      throw wrongKind('a callback', at, value, 'functions go to onEpoch and onBatch');
    }
    for (const key of propertyNames(value)) {
      const keras = Object.hasOwn(KERAS_HOOKS, key) ? KERAS_HOOKS[key] : undefined;
      if (keras !== undefined) {
        throw wrongKind('a known hook', at, key, `did you mean "${keras}"?`);
      }
      if (/^on[A-Z]/.test(key)) rejectUnknown(at, [key], HOOKS);
    }
    for (const hook of HOOKS) {
      const method = value[hook];
      if (method !== undefined && typeof method !== 'function') {
        throw wrongKind('a function', `${at}.${hook}`, method);
      }
    }
    const { name, everySteps } = value;
    if (name !== undefined) {
      if (typeof name !== 'string') throw wrongKind('a string', `${at}.name`, name);
      if (names.has(name)) {
        throw wrongValue('a name of its own', `${at}.name`, name, 'give one of the two a name');
      }
      names.add(name);
    }
    if (everySteps !== undefined && !(Number.isSafeInteger(everySteps) && Number(everySteps) > 0)) {
      throw wrongValue('a whole number of 1 or more', `${at}.everySteps`, everySteps);
    }
    return value;
  });
}
