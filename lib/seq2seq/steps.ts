/** Decoding as the core does it: the encoder once, then one step of the decoder after the other. */
import { range } from '../data/batches';
import { openData } from '../data/source';
import { OstinatoError, guardNative } from '../errors';
import { ModelCore } from '../model-core';
import type { Boundaries } from '../model-core';
import { addon } from '../native';
import type { NativeDataset, NativeDatasetConfig, NativeInputData } from '../native';
import { encoderPlan, stepPlan } from './graphs';

/** How native work is done. */
export interface Work {
  signal: AbortSignal | undefined;
  threads: number;
}

/** What the encoder made of some sequences. */
interface Encoded {
  lengths: Int32Array;
  /** Steps of the longest. */
  steps: number;
  /** What the decoder attends to, [sequences, steps, features], if it does. */
  memory: Float32Array | undefined;
  /** The decoder's initial states, each [sequences, features]. */
  states: Float32Array[];
}

/** What one step gives, in the order of its slots. */
export interface StepResult {
  /** [slots, vocab] */
  probabilities: Float32Array;
  /** Each [slots, features]. */
  states: Float32Array[];
}

/** An encoder and a step of its decoder, over the weights of the model that is trained. */
export class Steps {
  readonly #trained: ModelCore;
  readonly #encoder: ModelCore;
  readonly #step: ModelCore;
  readonly #attends: boolean;

  constructor(trained: ModelCore) {
    this.#trained = trained;
    this.#encoder = new ModelCore(encoderPlan(trained.plan), trained);
    this.#step = new ModelCore(stepPlan(trained.plan), trained);
    this.#attends = this.#step.plan.inputs[1]!.shape.timed;
  }

  /** Number of tokens of the target. */
  get vocab(): number {
    return this.#trained.last.output.features;
  }

  get boundaries(): Boundaries {
    return this.#trained.plan.boundaries!;
  }

  /** Reads sequences; `width` hypotheses of each may then be followed. */
  async begin(sources: readonly Int32Array[], width: number, work: Work): Promise<StepBatch> {
    return new StepBatch(this.#step, await this.#encode(sources, work), width, work);
  }

  async #encode(sources: readonly Int32Array[], { signal, threads }: Work): Promise<Encoded> {
    const core = this.#encoder;
    const data = openData(core, { kind: 'arrays', arrays: { x: sources } }, undefined);
    try {
      const { outputs } = await core.job(signal, (native, job) =>
        native.predict(data.native, range(0, data.samples), data.steps, null, {
          job,
          threads,
          wantStates: false,
        }),
      );
      return {
        lengths: Int32Array.from(sources, ({ length }) => length),
        steps: data.steps,
        memory: this.#attends ? outputs[0] : undefined,
        states: this.#attends ? outputs.slice(1) : outputs,
      };
    } finally {
      data.dispose();
    }
  }

  dispose(): void {
    this.#encoder.dispose();
    this.#step.dispose();
  }
}

/** Repeats each row of `width` numbers. */
function repeatRows(rows: Float32Array, width: number, times: number): Float32Array {
  if (times === 1) return rows;
  const repeated = new Float32Array(rows.length * times);
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    for (let i = 0; i < times; i++) repeated.set(row, at * times + i * width);
  }
  return repeated;
}

/**
 * Sequences that are decoded together. Each has `width` slots; a slot holds the token before and the
 * states of one hypothesis. What is attended to is copied to the core once, whatever the width.
 */
export class StepBatch {
  readonly width: number;
  readonly #core: ModelCore;
  readonly #work: Work;
  readonly #data: NativeDataset;
  /** Where the states begin among the inputs. */
  readonly #firstState: number;
  readonly #tokens: Int32Array;
  readonly #states: Float32Array[];
  readonly #sizes: number[];

  constructor(core: ModelCore, encoded: Encoded, width: number, work: Work) {
    this.width = width;
    this.#core = core;
    this.#work = work;
    const { lengths, steps, memory } = encoded;
    const rows = lengths.length;
    const slots = rows * width;
    this.#firstState = memory === undefined ? 1 : 2;
    const shapes = core.plan.inputs.slice(this.#firstState).map(({ shape }) => shape.features);
    this.#sizes = shapes;
    this.#tokens = new Int32Array(slots);
    this.#states = encoded.states.map((state, i) => repeatRows(state, shapes[i]!, width));
    const everySlot = Float64Array.from({ length: slots }, (_value, slot) => slot);
    const rowOf = (slot: number): number => Math.floor(slot / width);
    const attended: NativeInputData[] =
      memory === undefined
        ? []
        : [
            {
              floats: memory,
              features: core.plan.inputs[1]!.shape.features,
              inputOffsets: everySlot.map((slot) => rowOf(slot) * steps),
            },
          ];
    const states = this.#states.map((floats, i) => ({
      floats,
      features: shapes[i]!,
      inputOffsets: everySlot,
    }));
    const config: NativeDatasetConfig = {
      tokens: this.#tokens,
      features: 1,
      inputOffsets: everySlot,
      lengths: new Int32Array(slots).fill(1),
      moreLengths:
        memory === undefined
          ? []
          : [{ lengths: Int32Array.from(everySlot, (slot) => lengths[rowOf(slot)]!), steps }],
      moreInputs: [...attended, ...states],
      moreTargets: [],
      targetFeatures: 1,
      targetTimed: true,
    };
    this.#data = guardNative(() => new (addon().Dataset)(config, core.native));
  }

  /** Sets the token that a slot reads next. */
  feed(slot: number, token: number): void {
    this.#tokens[slot] = token;
  }

  /** Gives a slot the states after a step, those of the slot at place `from` in its list. */
  follow(slot: number, { states }: StepResult, from: number): void {
    this.#sizes.forEach((size, i) => {
      this.#states[i]!.set(states[i]!.subarray(from * size, (from + 1) * size), slot * size);
    });
  }

  /**
   * One step of the given slots.
   *
   * @throws OstinatoError `ERR_DIVERGED` where probabilities are NaN; the signal's reason
   */
  async step(slots: Int32Array): Promise<StepResult> {
    guardNative(() => {
      this.#data.writeInput(0, 0, this.#tokens);
      this.#states.forEach((state, i) => this.#data.writeInput(this.#firstState + i, 0, state));
    });
    const { signal, threads } = this.#work;
    const { outputs } = await this.#core.job(signal, (native, job) =>
      native.predict(this.#data, slots, 1, null, { job, threads, wantStates: false }),
    );
    const [probabilities, ...states] = outputs;
    const vocab = probabilities!.length / slots.length;
    for (let i = 0; i < slots.length; i++) {
      // Of a softmax either all numbers are NaN or none.
      if (!Number.isNaN(probabilities![i * vocab])) continue;
      throw new OstinatoError(
        'ERR_DIVERGED',
        "The model's probabilities are NaN; it was trained too far off",
      );
    }
    return { probabilities: probabilities!, states };
  }

  dispose(): void {
    this.#data.dispose();
  }
}
