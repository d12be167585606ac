/** The run that callbacks are told about, and its checkpoints. */
import type { FitContext } from './callbacks/callback';
import type { CallbackList } from './callbacks/callback-list';
import { writeCheckpoint } from './checkpoint/file';
import { capture } from './checkpoint/training-state';
import type { Identity, Position } from './checkpoint/training-state';
import { OstinatoError, guardNative } from './errors';
import type { EpochEvent, History } from './fit';
import type { Model } from './model';
import type { ModelCore } from './model-core';
import type { Scoring } from './model-loss';
import { checkText } from './validate';
import type { Weights } from './weights';

/** What a context is made of. */
export interface ContextOptions {
  core: ModelCore;
  model: Model;
  callbacks: CallbackList;
  identity: Identity;
  epochs: number;
  batches: number | undefined;
  scores: readonly string[];
  history: History;
  position: Position;
  resumed: boolean;
}

/** The beginning of an epoch. */
export function startOfEpoch(epoch: number, scoring: Scoring): Position {
  return { epoch, batch: 0, totals: scoring.zeros(), seconds: 0, learningRate: 0 };
}

export class RunContext implements FitContext {
  readonly #options: ContextOptions;
  /** Where the run stands; moved by the training loop. */
  position: Position;
  /** When the epoch would have begun if it had not been interrupted. */
  #epochStart = 0;
  #state: 'working' | 'epoch end' | 'safe' = 'working';

  constructor(options: ContextOptions) {
    this.#options = options;
    this.position = options.position;
  }

  get model(): Model {
    return this.#options.model;
  }

  get epochs(): number {
    return this.#options.epochs;
  }

  get batches(): number | undefined {
    return this.#options.batches;
  }

  get epoch(): number {
    return this.position.epoch;
  }

  get steps(): number {
    return this.#options.core.training!.steps;
  }

  get resumed(): boolean {
    return this.#options.resumed;
  }

  get scores(): readonly string[] {
    return this.#options.scores;
  }

  get history(): Readonly<History> {
    return this.#options.history;
  }

  get stopRequested(): boolean {
    return this.#options.core.stopRequested;
  }

  stop(): void {
    this.#options.core.stopRequested = true;
  }

  /** Begins an epoch, or goes on with one. */
  enter(position: Position): void {
    this.position = position;
    this.#epochStart = performance.now() - position.seconds * 1000;
  }

  /** Seconds that the epoch has taken, those before a resume included. */
  get seconds(): number {
    return (performance.now() - this.#epochStart) / 1000;
  }

  /** Lets callbacks save, if there are any that may. */
  safePoint(): Promise<void> | undefined {
    this.#state = 'safe';
    return this.#after(this.#options.callbacks.safePoint());
  }

  /** Tells of an epoch's end; its last gradients are still there. */
  epochEnd(event: EpochEvent): Promise<void> | undefined {
    this.#state = 'epoch end';
    return this.#after(this.#options.callbacks.epochEnd(event));
  }

  #after(hooks: Promise<void> | undefined): Promise<void> | undefined {
    const end = () => {
      this.#state = 'working';
    };
    if (hooks === undefined) end();
    return hooks?.finally(end);
  }

  gradients(): Weights {
    if (this.#state === 'working') {
      throw new OstinatoError(
        'ERR_BUSY',
        'The gradients can be had in onSafePoint and onEpochEnd alone: elsewhere they may be those of another step',
      );
    }
    const { native, description } = this.#options.core;
    return Object.fromEntries(
      description.parameters.map(({ name, shape }, i) => [
        name,
        { data: guardNative(() => native.readGradient(i)), shape: [...shape] },
      ]),
    );
  }

  async saveCheckpoint(path: string): Promise<void> {
    checkText(path, 'path');
    if (this.#state !== 'safe') {
      throw new OstinatoError(
        'ERR_BUSY',
        'A checkpoint can be saved in onSafePoint alone: elsewhere the model and the callbacks may stand at different steps',
      );
    }
    const { core, model, callbacks, identity, history } = this.#options;
    const { position } = this;
    // Between epochs no time has passed.
    const seconds = position.batch === 0 ? 0 : this.seconds;
    const run = {
      identity,
      position: { ...position, seconds },
      history,
      callbacks: await callbacks.states(),
    };
    await writeCheckpoint(path, await capture(core, run, model.metadata));
  }
}
