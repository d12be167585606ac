/** Calls the hooks of all callbacks of a fit, in their order. */
import { wrongKind } from '../errors';
import type { EpochEvent } from '../fit';
import type { BatchEvent } from '../fit-run';
import type { ModelCore } from '../model-core';
import type { Callback, FitContext } from './callback';

type Hook = Extract<keyof Callback, `on${string}`>;

/**
 * Each method gives a promise only if a callback has that hook: without callbacks a fit is at work
 * before it returns to its caller, and goes on from slice to slice without a detour.
 */
export class CallbackList {
  readonly #core: ModelCore;
  readonly #callbacks: readonly Callback[];
  readonly #withHook = new Map<Hook, readonly Callback[]>();
  #begun = false;
  /** Set by the fit before the first hook is called. */
  context!: FitContext;

  constructor(core: ModelCore, callbacks: readonly Callback[]) {
    this.#core = core;
    this.#callbacks = callbacks;
  }

  /** Whether anyone wants to hear of single steps. */
  get hearsBatches(): boolean {
    return this.#having('onBatchEnd').length > 0;
  }

  /** How many steps may follow after `steps` ones before a slice must end. */
  stepsUntilStop(steps: number): number {
    let least = Infinity;
    for (const { everySteps } of this.#callbacks) {
      if (everySteps !== undefined) least = Math.min(least, everySteps - (steps % everySteps));
    }
    return least;
  }

  trainBegin(): Promise<void> | undefined {
    this.#begun = true;
    return this.#each('onTrainBegin', (callback) => callback.onTrainBegin!(this.context));
  }

  epochBegin(): Promise<void> | undefined {
    return this.#each('onEpochBegin', (callback) => callback.onEpochBegin!(this.context));
  }

  batchEnd(event: BatchEvent): Promise<void> | undefined {
    return this.#each('onBatchEnd', (callback) => callback.onBatchEnd!(event, this.context));
  }

  safePoint(): Promise<void> | undefined {
    return this.#each('onSafePoint', (callback) => callback.onSafePoint!(this.context));
  }

  epochEnd(event: EpochEvent): Promise<void> | undefined {
    return this.#each('onEpochEnd', (callback) => callback.onEpochEnd!(event, this.context));
  }

  trainEnd(): Promise<void> | undefined {
    return this.#each('onTrainEnd', (callback) => callback.onTrainEnd!(this.context));
  }

  /** For runs whose `onTrainBegin` was called. What these hooks throw would hide the error. */
  async trainError(error: unknown): Promise<void> {
    if (!this.#begun) return;
    await this.#each('onTrainError', async (callback) => {
      try {
        await callback.onTrainError!(error, this.context);
      } catch {
        // The run's own error is the one to tell.
      }
    });
  }

  /** What a checkpoint keeps of the callbacks, by their names. */
  async states(): Promise<Record<string, unknown>> {
    const states: Record<string, unknown> = {};
    for (const callback of this.#callbacks) {
      if (callback.getState === undefined || callback.name === undefined) continue;
      const state: unknown = await callback.getState();
      if (state !== undefined) states[callback.name] = state;
    }
    return states;
  }

  /** Gives callbacks what {@link states} returned; those that are new begin afresh. */
  setStates(states: Readonly<Record<string, unknown>>): void {
    for (const callback of this.#callbacks) {
      const { name } = callback;
      if (name === undefined || !Object.hasOwn(states, name)) continue;
      if (callback.setState === undefined) {
        throw wrongKind('a callback with setState', `callbacks "${name}"`, callback);
      }
      callback.setState(states[name]);
    }
  }

  #having(hook: Hook): readonly Callback[] {
    let list = this.#withHook.get(hook);
    if (list === undefined) {
      list = this.#callbacks.filter((callback) => callback[hook] !== undefined);
      this.#withHook.set(hook, list);
    }
    return list;
  }

  #each(hook: Hook, call: (callback: Callback) => unknown): Promise<void> | undefined {
    const list = this.#having(hook);
    return list.length === 0 ? undefined : this.#inOrder(list, call);
  }

  async #inOrder(list: readonly Callback[], call: (callback: Callback) => unknown): Promise<void> {
    for (const callback of list) await this.#core.paused(() => call(callback));
  }
}
