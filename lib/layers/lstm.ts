import { wrongKind, wrongValue } from '../errors';
import { MAX_DIMENSION, flag, integer, number, optional, parseOptions } from '../validate';
import { cellNorm, checkCellNorm } from './cell-norm';
import type { NormalizedOptions } from './cell-norm';
import { registerLayer } from './layer';
import { RecurrentLayer, candidateDropout, isChrono, recurrentSchema } from './recurrent';
import type { RecurrentOptions, TimeGates } from './recurrent';

/** Options of {@link lstm}. */
export interface LstmOptions extends RecurrentOptions, NormalizedOptions {
  /**
   * Probability with which training drops the candidate g, what a step adds to the memory, of each
   * unit and step: recurrent dropout without memory loss (Semeniuta, Severyn and Barth 2016).
   * Default 0.
   */
  candidateDropout?: number;
  /**
   * Start with a bias of 1 on the forget gate, so that the cell remembers at first (Gers et al.
   * 2000; Jozefowicz et al. 2015). Default true; false with `init: 'torch'` and with a
   * `biasInitializer` of kind `chrono`, which sets that gate itself.
   */
  unitForgetBias?: boolean;
  /**
   * Gates also see the cell state, each unit its own (Gers and Schmidhuber 2000): i and f the one
   * before the step, o the one after it. Adds the parameter `weight_ch_l{k}`, [3·units] in the
   * order i, f, o, which begins with zeros, with `init: 'torch'` uniform in ±1/√units. With
   * `coupledGates` [2·units], f, o. `weightDrop`, `recurrentRegularizer` and `recurrentConstraint`
   * hold for it, too. Default false.
   */
  peephole?: boolean;
  /**
   * One gate for forgetting and writing, i = 1 - f (CIFG; Greff et al. 2017): three gates, f, g, o,
   * and a quarter fewer weights. Default false.
   */
  coupledGates?: boolean;
  /**
   * Bound of the cell state: c is clamped to ±cellClip at each step, and gets no gradient where it
   * was. 1e-30 … 1e30. Default: no bound.
   */
  cellClip?: number;
  /**
   * Project h to so many values, 1 … units (LSTMP; Sak, Senior and Beaufays 2014; PyTorch's
   * `proj_size`): h = W_hr (o tanh(c)), with the parameter `weight_hr_l{k}`, [projection, units],
   * without biases. Outputs and the state `h` have `projection` values, `c` has `units`, and
   * `weight_hh_l{k}` is [4·units, projection]: many memory cells with few recurrent weights.
   * `kernelInitializer`, `kernelRegularizer` and `kernelConstraint` hold for `weight_hr_l{k}`, too;
   * `weightDrop` does not. Not with `layerNorm`. Default: no projection.
   */
  projection?: number;
}

/** Indices in the order i, f, g, o; the last one in f, g, o. */
const INPUT_GATE = 0;
const FORGET_GATE = 1;
const COUPLED_FORGET_GATE = 0;

const schema = {
  ...recurrentSchema,
  unitForgetBias: optional(flag(true)),
  peephole: flag(false),
  coupledGates: flag(false),
  cellClip: optional(number({ min: 1e-30, max: 1e30 })),
  projection: optional(integer(1, MAX_DIMENSION)),
  candidateDropout,
  layerNorm: cellNorm,
};

/** What a normalised LSTM has not, with the values that turn it off. */
const OFF_WITH_NORM = {
  peephole: false,
  coupledGates: false,
  cellClip: undefined,
  projection: undefined,
  candidateDropout: 0,
};

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
 * 2000): c = f c + i g, h = o tanh(c). Gates are stored in the order i, f, g, o; with
 * `coupledGates` f, g, o. With `projection` h = W_hr (o tanh(c)).
 */
export class Lstm extends RecurrentLayer {
  static readonly type = 'lstm';
  readonly type = Lstm.type;

  constructor(options: LstmOptions) {
    const { unitForgetBias, ...rest } = parseOptions(Lstm.type, options, schema);
    checkCellNorm(Lstm.type, rest, OFF_WITH_NORM);
    const chrono = isChrono(rest.biasInitializer);
    if (chrono && unitForgetBias === true) {
      throw wrongKind(
        'false with chrono initialisation',
        'lstm.unitForgetBias',
        true,
        "it sets the forget gate's bias itself",
      );
    }
    const { projection, units } = rest;
    if (projection !== undefined && projection > units) {
      throw wrongValue(`an integer from 1 to units (${units})`, 'lstm.projection', projection);
    }
    const unit = unitForgetBias ?? (rest.init !== 'torch' && !chrono);
    super(Lstm.type, { ...rest, unitForgetBias: unit }, ['h', 'c']);
  }

  protected override get timeGates(): TimeGates {
    if (this.options['coupledGates'] === true) return { keep: COUPLED_FORGET_GATE };
    return { keep: FORGET_GATE, write: INPUT_GATE };
  }

  protected override get outputUnits(): number {
    return (this.options['projection'] ?? this.options['units']) as number;
  }

  override get nativeType(): string {
    const { peephole, coupledGates, cellClip } = this.options;
    if (coupledGates === true) return peephole === true ? 'lstm_coupled_peephole' : 'lstm_coupled';
    if (peephole === true) return 'lstm_peephole';
    return cellClip === undefined ? 'lstm' : 'lstm_clipped';
  }

  override nativeOptions(): ReturnType<RecurrentLayer['nativeOptions']> {
    const { unitForgetBias, peephole: _peephole, coupledGates, ...rest } = super.nativeOptions();
    const gate = coupledGates === true ? COUPLED_FORGET_GATE : FORGET_GATE;
    return unitForgetBias === true ? { ...rest, unitBiasGate: gate } : rest;
  }
}
registerLayer(Lstm.type, (options) => new Lstm(options as unknown as LstmOptions));

/**
 * Makes an {@link Lstm}. Input [batch, time, features]; output [batch, units], or
 * [batch, time, units] with `returnSequences`; states `h` and `c`. With `projection` the output and
 * `h` have that many values in place of `units`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function lstm(options: LstmOptions): Lstm {
  return new Lstm(options);
}
