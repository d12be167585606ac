/** Progress of long work: a bar on a terminal, a line every few seconds elsewhere. */
import type { SingleBar } from 'cli-progress';
import { durationText } from './output';
import type { Output } from './output';

/** How often plain lines appear, in milliseconds. */
const LINE_INTERVAL = 5_000;
/** How often machines hear of it, in milliseconds. */
const EVENT_INTERVAL = 1_000;
const BAR_STEPS = 1_000;

/** How far the work is. */
export interface ProgressState {
  /** 0 … 1. */
  fraction: number;
  /** What stands behind the bar or on the line. */
  text: string;
  /** What stands behind the bar alone. */
  picture?: string;
  /** What machines get. */
  event: Readonly<Record<string, string | number>>;
}

/** Shows a {@link ProgressState} as often as its reader wants it. */
export class Progress {
  readonly #output: Output;
  readonly #bar: SingleBar | undefined;
  readonly #start = performance.now();
  #shown = this.#start;
  #text = 'starting';
  #remaining = '…';
  #first: { fraction: number; time: number } | undefined;

  private constructor(output: Output, bar: SingleBar | undefined) {
    this.#output = output;
    this.#bar = bar;
  }

  /** Makes one that suits the output; the bar's library is loaded only where a bar is drawn. */
  static async create(output: Output): Promise<Progress> {
    if (!output.drawsBars) return new Progress(output, undefined);
    const { default: cliProgress } = await import('cli-progress');
    const bar = new cliProgress.SingleBar({
      format: '{bar} {percentage}% | {text} | {remaining} left',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      fps: 8,
      linewrap: false,
      gracefulExit: false,
      stream: process.stdout,
    });
    bar.start(BAR_STEPS, 0, { text: 'starting', remaining: '…' });
    return new Progress(output, bar);
  }

  update({ fraction, text, picture = '', event }: ProgressState): void {
    const now = performance.now();
    this.#text = text;
    const elapsed = (now - this.#start) / 1000;
    // From the first state on: a run that goes on has done a part of its work before.
    this.#first ??= { fraction, time: now };
    const done = fraction - this.#first.fraction;
    const pace = (now - this.#first.time) / 1000 / done;
    const remaining = done > 0 ? durationText(pace * (1 - fraction)) : '…';
    this.#remaining = remaining;
    if (this.#bar !== undefined) {
      this.#bar.update(Math.floor(Math.min(1, fraction) * BAR_STEPS), {
        text: picture === '' ? text : `${picture} ${text}`,
        remaining,
      });
    } else if (now - this.#shown >= (this.#output.json ? EVENT_INTERVAL : LINE_INTERVAL)) {
      this.#shown = now;
      this.#output.line(
        `${String(Math.floor(fraction * 100)).padStart(3)}% | ${text} | ${remaining} left`,
      );
      this.#output.object({ event: 'progress', fraction, elapsedSeconds: elapsed, ...event });
    }
  }

  /** A line for people that stays, above the bar if there is one. */
  note(line: string): void {
    if (this.#bar === undefined) {
      this.#output.line(line);
      return;
    }
    const position = this.#bar.getProgress();
    this.#bar.stop();
    this.#output.line(line);
    this.#bar.start(BAR_STEPS, Math.floor(position * BAR_STEPS), {
      text: this.#text,
      remaining: this.#remaining,
    });
  }

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop();
  }
}
