/** Callbacks that write down what a run reports: as CSV, and as lines of JSON. */
import type { EpochEvent } from '../fit';
import type { BatchEvent } from '../fit-run';
import { checkText, custom, flag, oneOf, parseOptions } from '../validate';
import type { Callback } from './callback';
import { LogFile } from './log-file';

/** What all loggers are told. */
export interface LoggerOptions {
  /** The file. Required. */
  path: string;
  /** What becomes a line. Default `epoch`. */
  frequency?: 'epoch' | 'batch';
  /** Go on with a file that is there, also when the run is a new one. Default false. */
  append?: boolean;
}

/** Options of {@link csvLogger}. */
export interface CsvLoggerOptions extends LoggerOptions {
  /** Between two columns. Default `,`. */
  separator?: string;
  /** Under which the state is saved. Default `csvLogger:<path>`. */
  name?: string;
}

/** Options of {@link jsonLogger}. */
export interface JsonLoggerOptions extends Omit<LoggerOptions, 'frequency'> {
  /** What becomes a line. Default `epoch`. */
  frequency?: 'epoch' | 'batch' | 'both';
  /** Under which the state is saved. Default `jsonLogger:<path>`. */
  name?: string;
}

interface Settings {
  path: string;
  name: string;
  frequency: 'epoch' | 'batch' | 'both';
  append: boolean;
}

type Row = Readonly<Record<string, number | number[][] | undefined>>;

/** A callback that makes lines of events and keeps them in a file. */
abstract class Logger implements Callback {
  readonly name: string;
  readonly onBatchEnd?: (event: BatchEvent) => void;
  readonly onEpochEnd?: (event: EpochEvent) => void;
  readonly #file: LogFile;
  readonly #append: boolean;
  #resumeAt: number | undefined;

  constructor({ path, name, frequency, append }: Settings) {
    this.name = name;
    this.#file = new LogFile(path);
    this.#append = append;
    // A hook that is not there costs nothing for each step.
    if (frequency !== 'epoch') {
      this.onBatchEnd = (event) => this.#file.add(this.line('batch', { ...event }));
    }
    if (frequency !== 'batch') {
      this.onEpochEnd = (event) => this.#file.add(this.line('epoch', { ...event }));
    }
  }

  /** The line of an event, its end included. */
  protected abstract line(kind: 'batch' | 'epoch', event: Row): string;

  /** Tells how large the file is with which the run begins. */
  protected begin(_bytes: number): void {
    // Loggers without a heading do not mind.
  }

  async onTrainBegin(): Promise<void> {
    const stay = this.#resumeAt ?? (this.#append ? await this.#file.size() : 0);
    this.#resumeAt = undefined;
    await this.#file.begin(stay);
    this.begin(this.#file.bytes);
  }

  async onSafePoint(): Promise<void> {
    await this.#file.flush();
  }

  async onTrainEnd(): Promise<void> {
    await this.#file.flush();
  }

  async onTrainError(): Promise<void> {
    await this.#file.flush();
  }

  async getState(): Promise<{ bytes: number }> {
    await this.#file.flush();
    return { bytes: this.#file.bytes };
  }

  setState(state: unknown): void {
    this.#resumeAt = (state as { bytes: number }).bytes;
  }
}

class CsvLogger extends Logger {
  readonly #separator: string;
  #columns: string[] | undefined;
  #hasHeading = false;

  constructor(settings: Settings, separator: string) {
    super(settings);
    this.#separator = separator;
  }

  protected override begin(bytes: number): void {
    this.#columns = undefined;
    this.#hasHeading = bytes > 0;
  }

  protected line(_kind: string, event: Row): string {
    let heading = '';
    if (this.#columns === undefined) {
      // A matrix is no column.
      this.#columns = Object.keys(event).filter((key) => !Array.isArray(event[key]));
      if (!this.#hasHeading) heading = `${this.#columns.join(this.#separator)}\n`;
    }
    const cells = this.#columns.map((column) => String(event[column] ?? ''));
    return `${heading}${cells.join(this.#separator)}\n`;
  }
}

class JsonLogger extends Logger {
  protected line(kind: 'batch' | 'epoch', event: Row): string {
    // JSON has no NaN; as text it is still there to be found.
    const shown = Object.entries(event).map(([key, value]) => [
      key,
      typeof value !== 'number' || Number.isFinite(value) ? value : String(value),
    ]);
    return `${JSON.stringify({ event: kind, ...Object.fromEntries(shown) })}\n`;
  }
}

const base = { path: custom(checkText), append: flag(false), name: custom(checkText, '') };

/**
 * Writes a line of numbers for each epoch, or each step, with a heading of their names: those of
 * {@link EpochEvent} or {@link BatchEvent}. A resumed run goes on where the checkpoint was saved.
 *
 * @throws TypeError, RangeError for wrong options; later, `ERR_IO` ends the run
 */
export function csvLogger(options: CsvLoggerOptions): Callback {
  const read = parseOptions('csvLogger', options, {
    ...base,
    frequency: oneOf(['epoch', 'batch'] as const, 'epoch'),
    separator: custom(checkText, ','),
  });
  return new CsvLogger({ ...read, name: read.name || `csvLogger:${read.path}` }, read.separator);
}

/**
 * Writes a JSON object for each epoch, each step or both, on a line of its own: `event` is `epoch` or
 * `batch`, and the rest as {@link EpochEvent} and {@link BatchEvent} have it. Numbers that are not
 * finite become text, such as "NaN". A resumed run goes on where the checkpoint was saved.
 *
 * @throws TypeError, RangeError for wrong options; later, `ERR_IO` ends the run
 */
export function jsonLogger(options: JsonLoggerOptions): Callback {
  const read = parseOptions('jsonLogger', options, {
    ...base,
    frequency: oneOf(['epoch', 'batch', 'both'] as const, 'epoch'),
  });
  return new JsonLogger({ ...read, name: read.name || `jsonLogger:${read.path}` });
}
