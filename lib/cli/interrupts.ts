import { EXIT } from './usage-error';

/**
 * Ctrl-C (and SIGTERM) while a command works: the first asks it to end well, the second ends the
 * process at once.
 */
export class Interrupts {
  readonly #onFirst: (signal: NodeJS.Signals) => void;
  readonly #listener = (signal: NodeJS.Signals): void => this.#receive(signal);
  #received: NodeJS.Signals | undefined;

  /** @param onFirst called once, by the first signal */
  constructor(onFirst: (signal: NodeJS.Signals) => void) {
    this.#onFirst = onFirst;
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
      process.stderr.write('\nEnded at once; nothing was saved since the first signal.\n');
      process.exit(this.exitCode);
    }
    this.#received = signal;
    this.#onFirst(signal);
  }
}
