import { requireNumbers, requireSequence } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link spatialDropout1d}. */
export interface SpatialDropout1dOptions extends LayerOptions {
  /** Probability with which a feature is 0 in all steps of a sequence. Required. */
  rate: number;
}

const schema = { ...layerSchema, rate: number({ min: 0, below: 1 }) };

/**
 * Variational dropout (Gal and Ghahramani 2016; locked dropout): in training it drops the same
 * features at all steps of a sequence; otherwise it passes its input on.
 */
export class SpatialDropout1d extends Layer {
  static readonly type = 'spatialDropout1d';
  readonly type = SpatialDropout1d.type;

  constructor(options: SpatialDropout1dOptions) {
    super(parseOptions(SpatialDropout1d.type, options, schema));
  }

  override get temporal(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    return input;
  }
}
registerLayer(
  SpatialDropout1d.type,
  (options) => new SpatialDropout1d(options as unknown as SpatialDropout1dOptions),
);

/**
 * Makes a {@link SpatialDropout1d}. Input [batch, time, features]; output the same. Each batch draws
 * new masks, one for each sequence; what is kept is divided by 1 - rate.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function spatialDropout1d(options: SpatialDropout1dOptions): SpatialDropout1d {
  return new SpatialDropout1d(options);
}
