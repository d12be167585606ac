/** What flows between the layers of a model, and how messages write it. */
import { shapeMismatch } from './errors';

/**
 * A time axis: sequences on one axis have equal lengths, sample by sample. The name that `input`
 * was given, or the number of steps where all sequences have it; undefined for the axis `time` of
 * all inputs without a name. `time/2` has a step for two of `time`, `time/2:3` one for three of
 * them, two apart.
 */
export type TimeAxis = string | number | undefined;

/** The time axis of inputs that name none. */
export const DEFAULT_AXIS = 'time';

/** The kind of value between two layers. Batches are left out: every value has a batch axis. */
export interface ValueShape {
  /** Numbers in a row; 1 for tokens. */
  readonly features: number;
  /** Whether there is a time axis: [batch, time, features] or [batch, features]. */
  readonly timed: boolean;
  /** Integer ids instead of numbers: [batch, time]. */
  readonly tokens: boolean;
  /** Which time axis, if it is not that of all inputs without a name for it. */
  readonly axis?: Exclude<TimeAxis, undefined>;
}

/** The shape on another time axis, or on none if it has no steps. */
export function onAxis({ features, timed, tokens }: ValueShape, axis: TimeAxis): ValueShape {
  return timed && axis !== undefined
    ? { features, timed, tokens, axis }
    : { features, timed, tokens };
}

/** The name of a value's time axis. */
export function axisName({ axis }: ValueShape): string {
  return String(axis ?? DEFAULT_AXIS);
}

/** Of how many steps of another axis a step is made, and how far apart steps are there. */
interface Windows {
  name: string;
  size: number;
  stride: number;
}

function readWindows(axis: TimeAxis): Windows {
  const [name, windows] = String(axis ?? DEFAULT_AXIS).split('/') as [string, string?];
  const [stride = 1, size = stride] = windows?.split(':').map(Number) ?? [];
  return { name, size, stride };
}

/** Whole windows of `size` steps, `stride` apart, in a sequence. */
function countWindows(length: number, { size, stride }: Omit<Windows, 'name'>): number {
  return length < size ? 0 : Math.floor((length - size) / stride) + 1;
}

/**
 * The axis of whole windows of `size` steps, `stride` apart. Windows of windows are windows, so axes
 * of equal lengths have one name.
 */
export function windowAxis(axis: TimeAxis, size: number, stride: number): TimeAxis {
  if (typeof axis === 'number') return countWindows(axis, { size, stride });
  const from = readWindows(axis);
  const apart = from.stride * stride;
  const all = from.size + (size - 1) * from.stride;
  if (all === 1 && apart === 1) return axis;
  return `${from.name}/${apart}${all === apart ? '' : `:${all}`}`;
}

/** How many steps of the data a step of the axis spans, or how far apart steps are if that is more. */
export function stepsSpanned(axis: TimeAxis): number {
  const { size, stride } = readWindows(axis);
  return Math.max(size, stride);
}

/** The name of the time axis of data that the lengths of a value follow from. */
export function dataAxis({ axis }: ValueShape): string {
  return readWindows(axis).name;
}

/** Steps of a value's sequence whose length on the axis of the data is `length`. */
export function lengthOn({ axis }: ValueShape, length: number): number {
  return typeof axis === 'number' ? axis : countWindows(length, readWindows(axis));
}

/** Names of the time axes whose lengths data gives, in the core's order; at least one. */
export function dataAxes(inputs: readonly ValueShape[]): string[] {
  const names = new Set(inputs.filter(({ timed }) => timed).map(axisName));
  return names.size === 0 ? [DEFAULT_AXIS] : [...names];
}

/** Steps of the longest sequences of each axis, padding included. */
export interface AxisSteps {
  readonly steps: number;
  /** By name, of the axes after the first. */
  readonly moreSteps?: Readonly<Record<string, number>> | undefined;
}

/** Steps of a value in a dense array; 1 without a time axis. */
export function stepsOf(shape: ValueShape, { steps, moreSteps }: AxisSteps): number {
  if (!shape.timed) return 1;
  return lengthOn(shape, moreSteps?.[dataAxis(shape)] ?? steps);
}

/** A state that a layer carries from step to step: its name, and numbers in it for one sample. */
export interface StateShape {
  readonly name: string;
  readonly features: number;
}

/** Where a layer stands in its model, for the messages of shape errors. */
export interface Place {
  /** The layer's name in the model. */
  readonly name: string;
  /** The name and kind of the layer before, if there is one, and what states it has. */
  readonly before: {
    readonly name: string;
    readonly recurrent: boolean;
    readonly states: readonly StateShape[];
  } | null;
  /** In a graph: what makes its inputs, as messages call it. */
  readonly inputs?: readonly string[];
}

/** A shape as messages write it: `[batch, time, 64]`. */
export function shapeText(shape: ValueShape): string {
  const { features, timed, tokens } = shape;
  const axis = axisName(shape);
  if (tokens) return timed ? `[batch, ${axis}]` : '[batch]';
  return timed ? `[batch, ${axis}, ${features}]` : `[batch, ${features}]`;
}

/** Rejects an input without a time axis, and says which layer dropped it. */
export function requireSequence(input: ValueShape, { name, before }: Place): void {
  if (input.timed) return;
  const reason =
    before === null
      ? 'the model has no time axis'
      : before.recurrent
        ? `the layer before, "${before.name}", returns only its last step; set returnSequences: true on it`
        : `the layer before, "${before.name}", gives no sequence; put this layer before the one that takes the last step`;
  throw shapeMismatch(
    `${name}: expects a sequence [batch, time, features] but receives ${shapeText(input)}: ${reason}`,
  );
}

/** Rejects token ids where numbers are needed. */
export function requireNumbers(input: ValueShape, { name }: Place): void {
  if (input.tokens) {
    throw shapeMismatch(
      `${name}: expects numbers but receives token ids; put an embedding before it`,
    );
  }
}
