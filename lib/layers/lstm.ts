import { wrongKind } from '../errors';
import { flag, optional, parseOptions } from '../validate';
import { registerLayer } from './layer';
import { RecurrentLayer, isChrono, recurrentSchema } from './recurrent';
import type { RecurrentOptions, TimeGates } from './recurrent';

/** Options of {@link lstm}. */
export interface LstmOptions extends RecurrentOptions {
  /**
   * Start with a bias of 1 on the forget gate, so that the cell remembers at first (Gers et al.
   * 2000; Jozefowicz et al. 2015). Default true; false with `init: 'torch'` and with a
   * `biasInitializer` of kind `chrono`, which sets that gate itself.
   */
  unitForgetBias?: boolean;
}

/** Indices in the order i, f, g, o. */
const INPUT_GATE = 0;
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
    const chrono = isChrono(rest.biasInitializer);
    if (chrono && unitForgetBias === true) {
      throw wrongKind(
        'false with chrono initialisation',
        'lstm.unitForgetBias',
        true,
        "it sets the forget gate's bias itself",
      );
    }
    const unit = unitForgetBias ?? (rest.init !== 'torch' && !chrono);
    super(Lstm.type, { ...rest, unitForgetBias: unit });
  }

  protected override get timeGates(): TimeGates {
    return { keep: FORGET_GATE, write: INPUT_GATE };
  }

  protected override get stateNames(): readonly string[] {
    return ['h', 'c'];
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
