import { requireNumbers } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { number, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends LayerOptions {
  /** Added to the variance. Default 1e-3 as in Keras; PyTorch's is 1e-5. */
  epsilon?: number;
  /**
   * What share of a running mean a training step keeps, as in Keras; PyTorch's `momentum` is 1 minus
   * this. In [0, 1). Default 0.99.
   */
  momentum?: number;
}

const schema = {
  ...layerSchema,
  epsilon: number({ above: 0, max: 1 }, 1e-3),
  momentum: number({ min: 0, below: 1 }, 0.99),
};

/** Normalises each feature over the rows of a batch (Ioffe and Szegedy 2015). */
export class BatchNorm extends Layer {
  static readonly type = 'batchNorm';
  readonly type = BatchNorm.type;

  constructor(options: BatchNormOptions = {}) {
    super(parseOptions(BatchNorm.type, options, schema));
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    return input;
  }
}
registerLayer(BatchNorm.type, (options) => new BatchNorm(options));

/**
 * Makes a {@link BatchNorm}. Output as the input. In `fit` each feature is normalised by its mean and
 * variance over the batch: over all steps of all its rows, by their own lengths. Everywhere else, in
 * sessions too, by the running means of both, which every training step moves. Parameters:
 * `weight` and `bias`, which are trained, and `running_mean` and `running_var`, which no optimiser
 * touches; all [features]. They are saved with the model. Averaged weights stand beside the newest
 * running means.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function batchNorm(options: BatchNormOptions = {}): BatchNorm {
  return new BatchNorm(options);
}
