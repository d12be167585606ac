/** Saves checkpoints while a model trains: the newest ones, and the best. */
import { copyFile, link, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, nameBeside } from '../atomic-file';
import { checkpointName, listCheckpoints } from '../checkpoint/directory';
import { wrongValue } from '../errors';
import type { EpochEvent } from '../fit';
import { checkText, custom, flag, integer, number, optional, parseOptions } from '../validate';
import type { Callback, FitContext } from './callback';
import { Monitor, monitorSchema } from './monitor';
import type { MonitorOptions } from './monitor';

/** Options of {@link modelCheckpoint}. */
export interface ModelCheckpointOptions extends MonitorOptions {
  /** Where the files go; it is made if needed. Required. */
  directory: string;
  /** Save each time that so many steps have been made. */
  everySteps?: number;
  /** Save when so many seconds have passed since the last time. */
  everySeconds?: number;
  /** Save each time that so many epochs have ended. Default 1, or never beside the other two. */
  everyEpochs?: number;
  /** How many of the newest checkpoints stay. Default 3. */
  keep?: number;
  /** Also keep the checkpoint of the best epoch, as `best.safetensors`. Default true. */
  saveBest?: boolean;
  /** Under which the state is saved. Default `modelCheckpoint`. */
  name?: string;
}

interface State {
  best: number | null;
  /** The file that `best.safetensors` stands for. */
  bestName: string | null;
  kept: string[];
}

const schema = {
  ...monitorSchema,
  directory: custom(checkText),
  everySteps: optional(integer(1, Number.MAX_SAFE_INTEGER)),
  everySeconds: optional(number({ above: 0 })),
  everyEpochs: optional(integer(1, Number.MAX_SAFE_INTEGER)),
  keep: integer(1, Number.MAX_SAFE_INTEGER, 3),
  saveBest: flag(true),
  name: custom(checkText, 'modelCheckpoint'),
};

/** The name of the best epoch's checkpoint. */
export const BEST = 'best.safetensors';

/** Gives a file a second name, which is replaced at once if it is taken. */
async function giveName(from: string, to: string): Promise<void> {
  const beside = nameBeside(to);
  try {
    // Some file systems have no hard links.
    await link(from, beside).catch(() => copyFile(from, beside));
    await rename(beside, to);
  } catch (error) {
    throw ioError('write', to, error, '; nothing that was saved before is changed');
  } finally {
    // Where both were the same file before, a rename leaves both.
    await rm(beside, { force: true }).catch(() => undefined);
  }
}

export class ModelCheckpoint implements Callback {
  readonly name: string;
  readonly everySteps: number | undefined;
  readonly #options: ReturnType<typeof parseOptions<typeof schema>>;
  readonly #monitor: Monitor;
  /** Names of the files that were saved and are still there, oldest first. */
  #kept: string[] = [];
  #bestName: string | undefined;
  #savedAt = 0;
  #savedSteps: number | undefined;
  /** What the safe point after an epoch has to do. */
  #epochDue = false;
  #isBest = false;

  /** @internal Use {@link modelCheckpoint}. */
  constructor(options: ModelCheckpointOptions) {
    this.#options = parseOptions('modelCheckpoint', options, schema);
    this.#monitor = new Monitor('modelCheckpoint', this.#options);
    this.name = this.#options.name;
    this.everySteps = this.#options.everySteps;
  }

  /** Paths of the checkpoints that were saved and are still there, oldest first. */
  get saved(): readonly string[] {
    return this.#kept.map((name) => join(this.#options.directory, name));
  }

  /** The best value of the score; undefined before the first epoch. */
  get best(): number | undefined {
    return this.#monitor.best;
  }

  async onTrainBegin(context: FitContext): Promise<void> {
    const { directory, saveBest } = this.#options;
    if (saveBest) this.#monitor.begin(context);
    if (!context.resumed) this.setState({ best: null, bestName: null, kept: [] });
    const listing = await listCheckpoints(directory);
    if (listing.checkpoints.length > 0 && !listing.checkpoints.includes(this.#kept.at(-1) ?? '')) {
      throw wrongValue(
        'a directory without checkpoints of other runs',
        'modelCheckpoint.directory',
        directory,
        'go on with that run by fit(…, { resume: directory }), or choose another directory',
      );
    }
    await mkdir(directory, { recursive: true }).catch((error: unknown) => {
      throw ioError('write', directory, error);
    });
    for (const name of listing.leftOver) await rm(join(directory, name), { force: true });
    if (context.resumed) await this.#finish(listing.checkpoints, context.steps);
    this.#savedAt = performance.now();
    this.#savedSteps = context.resumed ? context.steps : undefined;
    this.#epochDue = this.#isBest = false;
  }

  /** Does what the process may have died before: names the best, and removes what had to go. */
  async #finish(checkpoints: readonly string[], steps: number): Promise<void> {
    const { directory } = this.#options;
    if (this.#bestName !== undefined && checkpoints.includes(this.#bestName)) {
      await giveName(join(directory, this.#bestName), join(directory, BEST));
    }
    const newest = checkpointName(steps);
    const old = checkpoints.filter((name) => name < newest && !this.#kept.includes(name));
    for (const name of old) await rm(join(directory, name), { force: true });
  }

  onEpochEnd(event: EpochEvent, context: FitContext): void {
    const { everySteps, everySeconds, everyEpochs, saveBest } = this.#options;
    const others = everySteps !== undefined || everySeconds !== undefined;
    const every = everyEpochs ?? (others ? undefined : 1);
    const last = event.epoch + 1 === context.epochs;
    this.#epochDue = last || (every !== undefined && (event.epoch + 1) % every === 0);
    this.#isBest = saveBest && this.#monitor.observe(event);
  }

  async onSafePoint(context: FitContext): Promise<void> {
    const { directory, everySteps, everySeconds } = this.#options;
    const { steps, stopRequested } = context;
    const ended = this.#epochDue || this.#isBest;
    const passed = (performance.now() - this.#savedAt) / 1000;
    const due =
      ended ||
      stopRequested ||
      (everySteps !== undefined && steps % everySteps === 0 && steps !== this.#savedSteps) ||
      (everySeconds !== undefined && passed >= everySeconds);
    if (!due) return;
    const name = checkpointName(steps);
    const before = { kept: this.#kept, bestName: this.#bestName };
    // The state that is saved counts this file in, and those out that will go.
    const all = [...this.#kept.filter((other) => other !== name), name];
    this.#kept = all.slice(-this.#options.keep);
    if (this.#isBest) this.#bestName = name;
    try {
      await context.saveCheckpoint(join(directory, name));
    } catch (error) {
      this.#kept = before.kept;
      this.#bestName = before.bestName;
      throw error;
    }
    if (this.#isBest) await giveName(join(directory, name), join(directory, BEST));
    for (const old of all.slice(0, -this.#options.keep)) {
      await rm(join(directory, old), { force: true });
    }
    this.#savedAt = performance.now();
    this.#savedSteps = steps;
    this.#epochDue = this.#isBest = false;
  }

  getState(): State {
    return {
      best: this.#monitor.best ?? null,
      bestName: this.#bestName ?? null,
      kept: this.#kept,
    };
  }

  setState(state: unknown): void {
    const { best, bestName, kept } = state as State;
    this.#monitor.best = best ?? undefined;
    this.#bestName = bestName ?? undefined;
    this.#kept = [...kept];
  }
}

/**
 * Saves checkpoints, from which `fit(…, { resume: directory })` goes on exactly: every so many steps,
 * seconds or epochs, at the end of the run, and when it is stopped. The names are
 * `step-<steps>.safetensors`; the newest `keep` of them stay, and `best.safetensors` beside them.
 * Each is also a model that `load` reads.
 *
 * @throws TypeError, RangeError for wrong options; when the run begins, for a directory that has
 *     checkpoints of another run
 */
export function modelCheckpoint(options: ModelCheckpointOptions): ModelCheckpoint {
  return new ModelCheckpoint(options);
}
