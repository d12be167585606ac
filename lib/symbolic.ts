/** Symbolic tensors: what flows between layers while a graph is drawn, before there is a model. */
import { shapeMismatch, wrongKind, wrongValue } from './errors';
import type { Layer } from './layers/layer';
import { DEFAULT_AXIS, onAxis } from './shapes';
import type { ValueShape } from './shapes';
import {
  MAX_DIMENSION,
  anything,
  checkName,
  flag,
  optional,
  parseOptions,
  custom,
} from './validate';

/** One call of a layer. */
export interface LayerCall {
  readonly layer: Layer;
  readonly inputs: readonly SymbolicTensor[];
}

/**
 * A value of a graph that has a shape and no numbers yet: made by `input`, or by `layer.apply`. It
 * belongs to no model; `model({ inputs, outputs })` follows it back to the inputs.
 */
export class SymbolicTensor {
  readonly shape: ValueShape;
  /** The name that an input was given, if any. */
  readonly name: string | undefined;
  /** @internal The call that makes it; undefined for an input. */
  readonly call: LayerCall | undefined;

  /** @internal Use `input` or `layer.apply`. */
  constructor(shape: ValueShape, name: string | undefined, call: LayerCall | undefined) {
    this.shape = Object.freeze({ ...shape });
    this.name = name;
    this.call = call;
    Object.freeze(this);
  }
}

/** Options of {@link input}. */
export interface InputOptions {
  /**
   * Without the batch: `[features]`, or `[null, features]` for sequences of any lengths. Required
   * unless `tokens`.
   */
  shape?: readonly (number | null)[];
  /** Sequences of token ids, [batch, time], for an embedding. Default false. */
  tokens?: boolean;
  /**
   * Name of the time axis. Inputs on one axis have sequences of equal lengths, sample by sample;
   * those of others may differ, as a question and its answer do. Letters, digits, `_` and `-`.
   * Default `time`.
   */
  timeAxis?: string;
  /** Under which data is given. Letters, digits, `_` and `-`. Default `input`, `input_1`, … */
  name?: string;
}

const schema = {
  shape: anything(),
  tokens: flag(false),
  timeAxis: optional(custom(checkName)),
  name: optional(custom(checkName)),
};

function readShape(given: unknown): ValueShape {
  const expected = '[features] or [null, features]';
  if (!Array.isArray(given)) throw wrongKind(expected, 'input.shape', given);
  const shape = given as unknown[];
  const features = shape.at(-1);
  if (shape.length === 2 && typeof shape[0] === 'number') {
    throw wrongValue(
      expected,
      'input.shape',
      given,
      'sequences may have any lengths: write null for the time axis',
    );
  }
  if (shape.length < 1 || shape.length > 2 || (shape.length === 2 && shape[0] !== null)) {
    throw wrongValue(expected, 'input.shape', given);
  }
  if (
    !Number.isInteger(features) ||
    (features as number) < 1 ||
    (features as number) > MAX_DIMENSION
  ) {
    throw wrongValue(`an integer from 1 to ${MAX_DIMENSION}`, 'input.shape (features)', features);
  }
  return { features: features as number, timed: shape.length === 2, tokens: false };
}

/**
 * An input of a graph.
 *
 * All inputs on one time axis share the lengths of their sequences, sample by sample.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function input(options: InputOptions): SymbolicTensor {
  const { shape, tokens, timeAxis, name } = parseOptions('input', options, schema);
  if (tokens && shape !== undefined) {
    throw wrongKind('nothing beside tokens: true', 'input.shape', shape);
  }
  const value = tokens ? { features: 1, timed: true, tokens: true } : readShape(shape);
  if (timeAxis !== undefined && !value.timed) {
    throw wrongKind('nothing for an input without a time axis', 'input.timeAxis', timeAxis);
  }
  const axis = timeAxis === DEFAULT_AXIS ? undefined : timeAxis;
  return new SymbolicTensor(onAxis(value, axis), name, undefined);
}

/** How messages call a tensor: by what makes it. */
export function tensorText({ name, call }: SymbolicTensor): string {
  if (call !== undefined) return `"${call.layer.name ?? call.layer.type}"`;
  return name === undefined ? 'an input' : `the input "${name}"`;
}

/** See `Layer.apply`. */
export function applyLayer(layer: Layer, given: unknown): SymbolicTensor {
  const label = `${layer.name ?? layer.type}.apply`;
  const inputs = (Array.isArray(given) ? given : [given]) as unknown[];
  if (inputs.length === 0) throw wrongValue('at least one tensor', label, given);
  inputs.forEach((value, i) => {
    if (value instanceof SymbolicTensor) return;
    throw wrongKind(
      'a symbolic tensor, as input() and apply() give it,',
      inputs.length === 1 ? label : `${label}[${i}]`,
      value,
    );
  });
  const tensors = inputs as SymbolicTensor[];
  const before = tensors[0]!.call?.layer;
  const place = {
    name: layer.name ?? layer.type,
    before: before
      ? { name: before.name ?? before.type, recurrent: before.recurrent, states: before.states }
      : null,
    inputs: tensors.map(tensorText),
  };
  const features = layer.inputFeatures;
  if (features !== undefined && features !== tensors[0]!.shape.features) {
    throw shapeMismatch(
      `${place.name}: inputFeatures is ${features}, but ${place.inputs[0]} gives ${tensors[0]!.shape.features} features; leave inputFeatures out`,
    );
  }
  const shapes = tensors.map((tensor) => tensor.shape);
  const shape = onAxis(layer.outputShapeOf(shapes, place), layer.outputAxis(shapes, place));
  return new SymbolicTensor(shape, undefined, { layer, inputs: Object.freeze([...tensors]) });
}
