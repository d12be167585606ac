import { flag, parseOptions } from '../validate';
import { cellNorm, checkCellNorm } from './cell-norm';
import type { NormalizedOptions } from './cell-norm';
import { registerLayer } from './layer';
import { RecurrentLayer, candidateDropout, recurrentSchema } from './recurrent';
import type { RecurrentOptions, TimeGates } from './recurrent';

/** Options of {@link gru}. */
export interface GruOptions extends RecurrentOptions, NormalizedOptions {
  /**
   * Probability with which training drops the candidate n, what a step adds to the memory, of each
   * unit and step: recurrent dropout without memory loss (Semeniuta, Severyn and Barth 2016).
   * Default 0.
   */
  candidateDropout?: number;
  /**
   * Where the reset gate acts: on W_hn h + b_hn (true, the default; also PyTorch's and cuDNN's
   * form) or on h before the product (false, the original form).
   */
  resetAfter?: boolean;
}

/** Index in the order r, z, n. */
const UPDATE_GATE = 1;

const schema = {
  ...recurrentSchema,
  candidateDropout,
  resetAfter: flag(true),
  layerNorm: cellNorm,
};

/**
 * Gated recurrent unit (Cho et al. 2014): h = (1 - z) n + z h. Gates are stored in the order
 * r, z, n.
 */
export class Gru extends RecurrentLayer {
  static readonly type = 'gru';
  readonly type = Gru.type;

  constructor(options: GruOptions) {
    const read = parseOptions(Gru.type, options, schema);
    checkCellNorm(Gru.type, read, { resetAfter: true, candidateDropout: 0 });
    super(Gru.type, read, ['h']);
  }

  protected override get timeGates(): TimeGates {
    return { keep: UPDATE_GATE };
  }

  override get nativeType(): string {
    return this.options['resetAfter'] === true ? 'gru' : 'gru_reset_before';
  }

  override nativeOptions(): ReturnType<RecurrentLayer['nativeOptions']> {
    const { resetAfter: _resetAfter, ...rest } = super.nativeOptions();
    return rest;
  }
}
registerLayer(Gru.type, (options) => new Gru(options as unknown as GruOptions));

/**
 * Makes a {@link Gru}. Input [batch, time, features]; output [batch, units], or
 * [batch, time, units] with `returnSequences`; state `h`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function gru(options: GruOptions): Gru {
  return new Gru(options);
}
