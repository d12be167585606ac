import { shapeMismatch } from '../errors';
import { requireNumbers, requireSequence, shapeText, stepsSpanned, windowAxis } from '../shapes';
import type { Place, TimeAxis, ValueShape } from '../shapes';
import { integer, optional, parseOptions } from '../validate';
import { Layer, MAX_STEPS, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link averagePooling1d} and {@link maxPooling1d}. */
export interface Pooling1dOptions extends LayerOptions {
  /** Steps of a window: 1 … 2^24. Default 2. */
  poolSize?: number;
  /** Steps from the begin of a window to that of the next: 1 … 2^24. Default: `poolSize`. */
  strides?: number;
}

const schema = {
  ...layerSchema,
  poolSize: integer(1, MAX_STEPS, 2),
  strides: optional(integer(1, MAX_STEPS)),
};

/** A row for each whole window of steps. */
abstract class Pooling1d extends Layer {
  override get temporal(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    return input;
  }

  override outputAxis(inputs: readonly ValueShape[], { name }: Place): TimeAxis {
    const input = inputs[0]!;
    const { poolSize, strides = poolSize } = this.options as { poolSize: number; strides?: number };
    const axis = windowAxis(input.axis, poolSize, strides);
    if (axis === 0) {
      throw shapeMismatch(
        `${name}: expects sequences of ${poolSize} steps or more but receives ${shapeText(input)}; set poolSize to less`,
      );
    }
    if (typeof axis !== 'number' && stepsSpanned(axis) > MAX_STEPS) {
      throw shapeMismatch(
        `${name}: makes a step of ${stepsSpanned(axis)} steps of the data, which has no more than ${MAX_STEPS}`,
      );
    }
    return axis;
  }
}

/** The mean of each window. */
export class AveragePooling1d extends Pooling1d {
  static readonly type = 'averagePooling1d';
  readonly type = AveragePooling1d.type;

  constructor(options: Pooling1dOptions = {}) {
    super(parseOptions(AveragePooling1d.type, options, schema));
  }
}
registerLayer(AveragePooling1d.type, (options) => new AveragePooling1d(options));

/** The largest number of each feature in each window. */
export class MaxPooling1d extends Pooling1d {
  static readonly type = 'maxPooling1d';
  readonly type = MaxPooling1d.type;

  constructor(options: Pooling1dOptions = {}) {
    super(parseOptions(MaxPooling1d.type, options, schema));
  }
}
registerLayer(MaxPooling1d.type, (options) => new MaxPooling1d(options));

/**
 * Makes an {@link AveragePooling1d}. Input [batch, time, features]; output
 * [batch, floor((time - poolSize) / strides) + 1, features], by each row's own length, as
 * `padding: 'valid'` of Keras: steps at the end that fill no window are left out, and a row that is
 * shorter than a window has no steps. Targets for the steps of the output are as many. The axis of the
 * output is called `time/2` after that of the input. A model with this layer has no sessions.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function averagePooling1d(options: Pooling1dOptions = {}): AveragePooling1d {
  return new AveragePooling1d(options);
}

/**
 * Makes a {@link MaxPooling1d}: the largest number of each feature in each window, whose gradient goes
 * to the first step of the window that has it. Shapes and lengths as of {@link averagePooling1d}.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function maxPooling1d(options: Pooling1dOptions = {}): MaxPooling1d {
  return new MaxPooling1d(options);
}
