/** Curves from the log of a run. */
import { readFile } from 'node:fs/promises';
import { isRecord } from '../../validate';
import { fileError } from '../failures';
import { logOf } from '../run-directory';

/** One event of a log: numbers by their names. */
export type Row = Readonly<Record<string, number>>;

/** What happened in a run. */
export interface Log {
  steps: Row[];
  epochs: Row[];
}

/** Curves over one axis. */
export interface Chart {
  title: string;
  axis: string;
  x: number[];
  /** Null where there is no value. */
  curves: { label: string; y: (number | null)[] }[];
  /** Pairs of curves, upper and lower, between which the chart is shaded. */
  bands?: [number, number][];
  /** Points alone; `x` may then hold a value several times. */
  points?: boolean;
  /** All magnitudes of the axis alike. */
  logarithmic?: boolean;
  /** What the values 0, 1, … of the axis stand for. */
  names?: string[];
  /** The curve to look at; the others are drawn quietly. */
  highlight?: number;
}

/** Most points of a curve; more would not be seen. */
const POINTS = 1500;

/** Reads a log; a line that a killed process left unfinished is passed over. */
export async function readLog(directory: string): Promise<Log> {
  const path = logOf(directory);
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw fileError('read', path, error);
  });
  const log: Log = { steps: [], epochs: [] };
  for (const line of source.split('\n')) {
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch {
      continue;
    }
    if (!isRecord(event)) continue;
    const { event: kind, ...values } = event;
    // Numbers that are not finite stand there as text.
    const numbers = Object.entries(values).filter(([, value]) => !Array.isArray(value));
    const row = Object.fromEntries(numbers.map(([key, value]) => [key, Number(value)]));
    (kind === 'epoch' ? log.epochs : log.steps).push(row);
  }
  return log;
}

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const largest = (values: readonly number[]): number => Math.max(...values);

/** A curve over steps, thinned: each point stands for a run of steps. */
function overSteps(
  steps: readonly Row[],
  key: string,
  title: string,
  join: (values: readonly number[]) => number,
): Chart {
  const width = Math.max(1, Math.ceil(steps.length / POINTS));
  const x: number[] = [];
  const y: (number | null)[] = [];
  for (let from = 0; from < steps.length; from += width) {
    const part = steps.slice(from, from + width);
    x.push(part[0]!['step']! + 1);
    const values = part.map((row) => row[key]).filter((v): v is number => finite(v) !== null);
    y.push(values.length === 0 ? null : join(values));
  }
  const how =
    width === 1 ? '' : join === mean ? `, means of ${width} steps` : `, largest of ${width} steps`;
  return { title: `${title}${how}`, axis: 'step', x, curves: [{ label: key, y }] };
}

/** `valLoss` for `loss`. */
export const heldOutName = (name: string): string => `val${name[0]!.toUpperCase()}${name.slice(1)}`;

/** Names of the scores of epochs, without the `val` of those that the held-out data alone has. */
export function scoreNames(epochs: readonly Row[]): string[] {
  const no = ['epoch', 'seconds', 'learningRate'];
  const bare = Object.keys(epochs[0] ?? {}).map((name) =>
    /^val[A-Z]/.test(name) ? `${name[3]!.toLowerCase()}${name.slice(4)}` : name,
  );
  return [...new Set(bare)].filter((name) => !no.includes(name));
}

/** A score and its held-out form, as far as epochs have them. */
export function withHeldOut(epochs: readonly Row[], name: string): string[] {
  return [name, heldOutName(name)].filter((key) => epochs[0]![key] !== undefined);
}

/** The curves of a run. */
export function chartsOf({ steps, epochs }: Log): Chart[] {
  const charts = [overSteps(steps, 'loss', 'Loss', mean)];
  for (const name of scoreNames(epochs)) {
    const names = withHeldOut(epochs, name);
    const curves = names.map((key) => ({ label: key, y: epochs.map((row) => finite(row[key])) }));
    const x = epochs.map(({ epoch }) => epoch! + 1);
    charts.push({ title: `${name} by epoch`, axis: 'epoch', x, curves });
  }
  charts.push(overSteps(steps, 'learningRate', 'Learning rate', mean));
  charts.push(overSteps(steps, 'gradientNorm', 'Norm of the gradients before clipping', largest));
  return charts.filter(({ x }) => x.length > 0);
}

/** One score of several runs over their epochs. */
export function compareChart(
  name: string,
  runs: readonly { label: string; epochs: Row[] }[],
): Chart {
  const length = Math.max(0, ...runs.map(({ epochs }) => epochs.length));
  const x = Array.from({ length }, (_value, i) => i + 1);
  const curves = runs.map(({ label, epochs }) => ({
    label,
    y: x.map((_epoch, i) => finite(epochs[i]?.[name])),
  }));
  return { title: `${name} by epoch`, axis: 'epoch', x, curves };
}
