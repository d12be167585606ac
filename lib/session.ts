/** A stream's state, and single steps. */
import { copyFloats, copyIntegers, typedArrayKind } from './data/arrays';
import type { FlatNumbers } from './data/arrays';
import { readRows } from './data/rows';
import {
  awaitNative,
  disposed,
  fromNative,
  guardNative,
  shapeMismatch,
  wrongKind,
  wrongValue,
} from './errors';
import type { ModelCore } from './model-core';
import type { NativeSession } from './native';
import { nameStates, orderStates } from './states';
import type { ValueShape } from './shapes';
import type { States, StatesInput } from './states';
import { isRecord, rejectUnknown } from './validate';

/** Options of `model.session`. */
export interface SessionOptions {
  /** Independent streams that step together. Default 1. */
  streams?: number;
  /** Threads of a step. Default 1: a step is short. */
  threads?: number;
}

/**
 * The input of one step: for tokens an id, or an id for each stream; for numbers
 * [streams, features] row-major, flat or nested. A Float32Array or Int32Array is fastest.
 */
export type StepInput = number | FlatNumbers | readonly FlatNumbers[];

/**
 * Owns the states of one or more streams over a model. A step costs the same at any length of the
 * stream. Sessions of a model are independent of each other and of `predict`.
 */
export class Session implements Disposable {
  readonly #core: ModelCore;
  readonly #threads: number;
  readonly #streams: number;
  readonly #input: ValueShape;
  /** Whether there is one input and one output. */
  readonly #single: boolean;
  #native: NativeSession | undefined;

  /** @internal Use `model.session()`. */
  constructor(core: ModelCore, native: NativeSession, threads: number) {
    this.#core = core;
    this.#native = native;
    this.#threads = threads;
    this.#streams = native.streams;
    const { inputs, outputs } = core.plan;
    this.#input = inputs[0]!.shape;
    this.#single = inputs.length === 1 && outputs.length === 1;
  }

  /** Number of streams. */
  get streams(): number {
    return this.#streams;
  }

  /** Numbers in a row of the (first) output. */
  get outputFeatures(): number {
    return this.#core.last.output.features;
  }

  /** Whether outputs are probabilities (the last layer applies softmax) rather than logits. */
  get givesProbabilities(): boolean {
    return this.#core.last.layer.activation === 'softmax';
  }

  get #open(): NativeSession {
    if (this.#native === undefined) throw disposed('session');
    return this.#native;
  }

  /**
   * One step of all streams, on another thread. Of a model of one input and one output; others take
   * `stepAll`.
   *
   * @returns the output, [streams, features] row-major
   * @throws TypeError, RangeError for an input of another kind or size, or an id out of range
   * @throws OstinatoError `ERR_BUSY` while a step of the same session or training of the model runs;
   *     `ERR_DISPOSED`
   */
  async step(input: StepInput): Promise<Float32Array> {
    const native = this.#open;
    this.#checkSingle('step');
    const values = this.#read(input, this.#input, 'input');
    return this.#core.shared(() => awaitNative(() => native.step(values, this.#threads)));
  }

  /**
   * One step of all streams, on this thread: faster than `step` for all but large models.
   *
   * @param output where to write the output, instead of into a new array: for a small model, a new
   *     array costs as much as the step. [streams, features]; it may be the input
   * @returns the output, [streams, features] row-major
   * @throws as `step`; also for an output of another kind or size
   */
  stepSync(input: StepInput, output?: Float32Array): Float32Array {
    const native = this.#open;
    this.#core.checkReadable();
    this.#checkSingle('stepSync');
    if (output !== undefined) this.#checkOutput(output);
    try {
      return native.stepSync(this.#read(input, this.#input, 'input'), this.#threads, output);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /**
   * One step of all streams with all inputs, by name, on another thread. Inputs on different time
   * axes all go on by a step; one without a time axis is given anew for each.
   *
   * @returns the outputs by name, [streams, features] row-major
   * @throws as `step`; also for an input that is missing or unknown
   */
  async stepAll(inputs: Record<string, StepInput>): Promise<Record<string, Float32Array>> {
    const native = this.#open;
    const values = this.#readAll(inputs);
    const outputs = await this.#core.shared(() =>
      awaitNative(() => native.stepAll(values, this.#threads)),
    );
    return this.#named(outputs);
  }

  /**
   * As `stepAll`, on this thread: faster for all but large models.
   *
   * @throws as `stepAll`
   */
  stepAllSync(inputs: Record<string, StepInput>): Record<string, Float32Array> {
    const native = this.#open;
    this.#core.checkReadable();
    const values = this.#readAll(inputs);
    return this.#named(guardNative(() => native.stepAllSync(values, this.#threads)));
  }

  #checkSingle(call: string): void {
    if (this.#single) return;
    const { inputs, outputs } = this.#core.plan;
    throw wrongValue(
      'a model of one input and one output',
      `session.${call}`,
      `${inputs.length} inputs, ${outputs.length} outputs`,
      `use session.${call.replace('step', 'stepAll')}`,
    );
  }

  #readAll(given: unknown): (Int32Array | Float32Array)[] {
    const { inputs } = this.#core.plan;
    const names = inputs.map(({ name }) => name);
    if (!isRecord(given)) throw wrongKind(`{ ${names.join(', ')} }`, 'inputs', given);
    rejectUnknown('inputs', Object.keys(given), names);
    return inputs.map(({ name, shape }) => {
      const value = given[name];
      if (value === undefined) throw wrongKind('an array', `inputs.${name}`, value);
      const values = this.#read(value as StepInput, shape, `inputs.${name}`);
      const wanted = this.#streams * shape.features;
      this.#checkLength(values, wanted, shape, `inputs.${name}`);
      return values;
    });
  }

  #named(values: readonly Float32Array[]): Record<string, Float32Array> {
    const { outputs } = this.#core.plan;
    return Object.fromEntries(outputs.map(({ name }, i) => [name, values[i]!]));
  }

  #checkOutput(output: Float32Array): void {
    if (typedArrayKind(output) !== 'Float32Array') {
      throw wrongKind('a Float32Array', 'output', output);
    }
    const wanted = this.#streams * this.outputFeatures;
    if (output.length === wanted) return;
    throw shapeMismatch(
      `Expected ${wanted} numbers for "output" (${this.#streams} streams) but received ${output.length}`,
    );
  }

  #read(input: StepInput, shape: ValueShape, name: string): Int32Array | Float32Array {
    // The core checks length and memory of arrays that have the right kind already.
    const kind = typedArrayKind(input);
    const bare = typeof input === 'number';
    const { features, tokens } = shape;
    if (tokens) {
      if (kind === 'Int32Array') return input as Int32Array;
      const ids = new Int32Array(this.#streams);
      const flat = bare ? [input] : (input as FlatNumbers);
      this.#checkLength(flat, this.#streams, shape, name);
      copyIntegers(flat, 0, flat.length, ids, 0, name);
      return ids;
    }
    if (kind === 'Float32Array') return input as Float32Array;
    if (bare || !Array.isArray(input) || typeof input[0] === 'number') {
      const flat = bare ? [input] : (input as FlatNumbers);
      this.#checkLength(flat, this.#streams * features, shape, name);
      const numbers = new Float32Array(flat.length);
      copyFloats(flat, 0, flat.length, numbers, 0, name);
      return numbers;
    }
    return readRows(input, { timed: false, features, integers: false }, name).data;
  }

  #checkLength(
    input: FlatNumbers,
    wanted: number,
    { features, tokens }: ValueShape,
    name: string,
  ): void {
    if (input?.length === wanted) return;
    if (typeof input?.length !== 'number')
      readRows(input, { timed: false, features, integers: tokens }, name);
    throw shapeMismatch(
      `Expected ${wanted} numbers for "${name}" (${this.#streams} streams) but received ${input.length}`,
    );
  }

  /**
   * Copies of all states, by layer and name: [slots, streams, features].
   *
   * @throws OstinatoError `ERR_BUSY` while a step runs; `ERR_DISPOSED`
   */
  get state(): States {
    const native = this.#open;
    const values = guardNative(() =>
      this.#core.description.states.map((_info, i) => native.readState(i)),
    );
    return nameStates(this.#core, values, this.#streams);
  }

  /**
   * Sets states; those that are left out become zeros.
   *
   * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` before anything is changed;
   *     `ERR_BUSY` while a step runs; `ERR_DISPOSED`
   */
  setState(state: StatesInput): void {
    const native = this.#open;
    const values = orderStates(this.#core, state, this.#streams, 'state');
    guardNative(() => {
      native.reset();
      values.forEach((value, i) => {
        if (value !== null) native.writeState(i, value);
      });
    });
  }

  /** Sets all states to zero. */
  reset(): void {
    const native = this.#open;
    guardNative(() => native.reset());
  }

  /** A new session over the same model that begins with this one's states. */
  clone(): Session {
    const native = this.#open;
    return new Session(
      this.#core,
      guardNative(() => native.clone()),
      this.#threads,
    );
  }

  /** Frees the states. Further calls throw `ERR_DISPOSED`; a second `dispose` does nothing. */
  dispose(): void {
    this.#native?.dispose();
    this.#native = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
