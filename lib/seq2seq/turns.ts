/** Turns of the event loop while there is much to do between two steps of the core. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest time without a look at the event loop, in milliseconds. */
const TURN_MS = 3;

export class Turns {
  #since = performance.now();

  /** Begins to count again: the event loop has just had a turn. */
  begin(): void {
    this.#since = performance.now();
  }

  /** Whether it is time for one. */
  get due(): boolean {
    return performance.now() - this.#since > TURN_MS;
  }

  async take(): Promise<void> {
    await nextTurn();
    this.begin();
  }
}
