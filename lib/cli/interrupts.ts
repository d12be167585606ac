import { EXIT } from './usage-error';

/**
 * Ctrl-C (and SIGTERM) while a command works: the first asks it to end well, the second ends the
 * process at once.
 */
export class Interrupts {
  readonly #onFirst: () => void;
  readonly #onSecond: () => void;
  readonly #listener = (signal: NodeJS.Signals): void => this.#receive(signal);
  #received: NodeJS.Signals | undefined;

  /**
   * @param onFirst called by the first signal
   * @param onSecond called by the second, right before the end: gives the terminal back
   */
  constructor(onFirst: () => void, onSecond: () => void) {
    this.#onFirst = onFirst;
    this.#onSecond = onSecond;
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
  }

  /** Whether a signal came. */
  get received(): boolean {
    return this.#received !== undefined;
  }

  /** The exit code that says which signal came, or 0. */
  get exitCode(): number {
    if (this.#received === undefined) return EXIT.done;
    return this.#received === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
  }

  /** Gives the signals back to the system. */
  dispose(): void {
    process.off('SIGINT', this.#listener);
    process.off('SIGTERM', this.#listener);
  }

  #receive(signal: NodeJS.Signals): void {
    if (this.#received !== undefined) {
      process.stderr.write('\nEnded at once.\n');
      this.#onSecond();
      // Not process.exit: that would wait for the native step at hand. Without a listener the
      // system ends the process, and shells report 128 + the signal as for any other program.
      this.dispose();
      process.kill(process.pid, signal);
      return;
    }
    this.#received = signal;
    this.#onFirst();
  }
}
