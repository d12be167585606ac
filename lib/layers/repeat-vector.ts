import { shapeMismatch } from '../errors';
import { requireNumbers, shapeText } from '../shapes';
import type { Place, TimeAxis, ValueShape } from '../shapes';
import { integer, parseOptions } from '../validate';
import { Layer, MAX_STEPS, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link repeatVector}. */
export interface RepeatVectorOptions extends LayerOptions {
  /** Steps of the sequence: 1 … 2^24. Required. */
  n: number;
}

const schema = { ...layerSchema, n: integer(1, MAX_STEPS) };

/** One vector for each of n steps. */
export class RepeatVector extends Layer {
  static readonly type = 'repeatVector';
  readonly type = RepeatVector.type;

  constructor(options: RepeatVectorOptions) {
    super(parseOptions(RepeatVector.type, options, schema));
  }

  override get makesSteps(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    if (input.timed) {
      throw shapeMismatch(
        `${place.name}: expects one vector a sample, [batch, features], but receives ${shapeText(input)}; take the last step before it: leave returnSequences out, or put layers.lastStep() there`,
      );
    }
    return { ...input, timed: true };
  }

  override outputAxis(): TimeAxis {
    return this.options['n'] as number;
  }
}
registerLayer(
  RepeatVector.type,
  (options) => new RepeatVector(options as unknown as RepeatVectorOptions),
);

/**
 * Makes a {@link RepeatVector}: every step of the output is the input. Input [batch, features];
 * output [batch, n, features]. All sequences of n steps that layers make are on one time axis. A
 * model with this layer has no sessions.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function repeatVector(options: RepeatVectorOptions): RepeatVector {
  return new RepeatVector(options);
}
