import { requireNumbers, requireSequence } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link globalAveragePooling1d} and {@link globalMaxPooling1d}. */
export type GlobalPoolingOptions = LayerOptions;

/**
 * One row of each sequence, made of its own steps alone. Of a session's stream: of all steps so far,
 * which the layer's states hold: `sum` or `max` [1, streams, features] and `count` [1, streams, 1].
 */
abstract class GlobalPooling extends Layer {
  override get temporal(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    return { ...input, timed: false };
  }
}

/** The mean of each sequence's steps. */
export class GlobalAveragePooling1d extends GlobalPooling {
  static readonly type = 'globalAveragePooling1d';
  readonly type = GlobalAveragePooling1d.type;

  constructor(options: GlobalPoolingOptions = {}) {
    super(parseOptions(GlobalAveragePooling1d.type, options, layerSchema));
  }
}
registerLayer(GlobalAveragePooling1d.type, (options) => new GlobalAveragePooling1d(options));

/** The largest number of each feature over a sequence's steps. */
export class GlobalMaxPooling1d extends GlobalPooling {
  static readonly type = 'globalMaxPooling1d';
  readonly type = GlobalMaxPooling1d.type;

  constructor(options: GlobalPoolingOptions = {}) {
    super(parseOptions(GlobalMaxPooling1d.type, options, layerSchema));
  }
}
registerLayer(GlobalMaxPooling1d.type, (options) => new GlobalMaxPooling1d(options));

/**
 * Makes a {@link GlobalAveragePooling1d}. Input [batch, time, features]; output [batch, features].
 * A sequence without steps gives zeros.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function globalAveragePooling1d(options: GlobalPoolingOptions = {}): GlobalAveragePooling1d {
  return new GlobalAveragePooling1d(options);
}

/**
 * Makes a {@link GlobalMaxPooling1d}. Input [batch, time, features]; output [batch, features]. A
 * sequence without steps gives zeros.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function globalMaxPooling1d(options: GlobalPoolingOptions = {}): GlobalMaxPooling1d {
  return new GlobalMaxPooling1d(options);
}
