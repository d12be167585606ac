import { wrongValue } from '../errors';
import { oneOf, parseOptions } from '../validate';
import { cellNorm } from './cell-norm';
import type { NormalizedOptions } from './cell-norm';
import { registerLayer } from './layer';
import { RecurrentLayer, isChrono, recurrentSchema } from './recurrent';
import type { RecurrentOptions } from './recurrent';

/** Options of {@link simpleRnn}. */
export interface SimpleRnnOptions extends RecurrentOptions, NormalizedOptions {
  /** Default `tanh`. */
  activation?: 'tanh' | 'relu';
}

const schema = {
  ...recurrentSchema,
  activation: oneOf(['tanh', 'relu'] as const, 'tanh'),
  layerNorm: cellNorm,
};

/**
 * The plain recurrent layer (Elman, "Finding structure in time", 1990):
 * h = activation(W_ih x + b_ih + W_hh h + b_hh).
 */
export class SimpleRnn extends RecurrentLayer {
  static readonly type = 'simpleRnn';
  readonly type = SimpleRnn.type;

  constructor(options: SimpleRnnOptions) {
    const read = parseOptions(SimpleRnn.type, options, schema);
    if (isChrono(read.biasInitializer)) {
      throw wrongValue(
        'an initialiser of a layer with gates',
        'simpleRnn.biasInitializer',
        'chrono',
      );
    }
    super(SimpleRnn.type, read, ['h']);
  }

  protected override get timeGates(): null {
    return null;
  }

  override get nativeType(): string {
    return this.options['activation'] === 'relu' ? 'elman_relu' : 'elman_tanh';
  }

  override nativeOptions(): ReturnType<RecurrentLayer['nativeOptions']> {
    const { activation: _activation, ...rest } = super.nativeOptions();
    return rest;
  }
}
registerLayer(SimpleRnn.type, (options) => new SimpleRnn(options as unknown as SimpleRnnOptions));

/**
 * Makes a {@link SimpleRnn}. Input [batch, time, features]; output [batch, units], or
 * [batch, time, units] with `returnSequences`; state `h`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function simpleRnn(options: SimpleRnnOptions): SimpleRnn {
  return new SimpleRnn(options);
}
