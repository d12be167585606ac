import { flag, optional, parseOptions } from '../validate';
import { registerLayer } from './layer';
import { RecurrentLayer, recurrentSchema } from './recurrent';
import type { RecurrentOptions } from './recurrent';

/** Options of {@link lstm}. */
export interface LstmOptions extends RecurrentOptions {
  /**
   * Start with a bias of 1 on the forget gate, so that the cell remembers at first (Gers et al.
   * 2000; Jozefowicz et al. 2015). Default true, with `init: 'torch'` false.
   */
  unitForgetBias?: boolean;
}

/** Index in the order i, f, g, o. */
const FORGET_GATE = 1;

const schema = { ...recurrentSchema, unitForgetBias: optional(flag(true)) };

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
 * 2000): c = f c + i g, h = o tanh(c). Gates are stored in the order i, f, g, o.
 */
export class Lstm extends RecurrentLayer {
  static readonly type = 'lstm';
  readonly type = Lstm.type;

  constructor(options: LstmOptions) {
    const { unitForgetBias, ...rest } = parseOptions(Lstm.type, options, schema);
    super(Lstm.type, { ...rest, unitForgetBias: unitForgetBias ?? rest.init !== 'torch' });
  }

  override nativeOptions(): ReturnType<RecurrentLayer['nativeOptions']> {
    const { unitForgetBias, ...rest } = super.nativeOptions();
    return unitForgetBias === true ? { ...rest, unitBiasGate: FORGET_GATE } : rest;
  }
}
registerLayer(Lstm.type, (options) => new Lstm(options as unknown as LstmOptions));

/**
 * Makes an {@link Lstm}. Input [batch, time, features]; output [batch, units], or
 * [batch, time, units] with `returnSequences`; states `h` and `c`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function lstm(options: LstmOptions): Lstm {
  return new Lstm(options);
}
