import { Cell, parseCell } from '../cells/define-cell';
import { wrongValue } from '../errors';
import { custom as customField, parseOptions } from '../validate';
import { registerLayer } from './layer';
import { RecurrentLayer, isChrono, recurrentSchema } from './recurrent';
import type { RecurrentOptions } from './recurrent';

/** Options of {@link custom}. */
export interface CustomOptions extends RecurrentOptions {
  /** The cell, as `defineCell` makes it; or its text, `String(cell)`. Required. */
  cell: Cell | string;
}

const schema = {
  ...recurrentSchema,
  cell: customField<Cell>((value, label) => {
    return value instanceof Cell ? value : parseCell(value, label);
  }),
};

/** A recurrent layer whose cell is defined by its equations. */
export class Custom extends RecurrentLayer {
  static readonly type = 'custom';
  readonly type = Custom.type;
  /** The layer's cell. */
  readonly cell: Cell;

  constructor(options: CustomOptions) {
    const { cell, ...rest } = parseOptions(Custom.type, options, schema);
    if (isChrono(rest.biasInitializer)) {
      throw wrongValue(
        'an initialiser of one value for all gates',
        `${Custom.type}.biasInitializer`,
        'chrono',
        'which gates keep a state is not known of a defined cell; set the bias with model.setWeights',
      );
    }
    super(Custom.type, { ...rest, cell: String(cell) }, cell.states);
    this.cell = cell;
  }

  protected override get timeGates(): null {
    return null;
  }

  override get details(): string[] {
    return [`cell ${this.cell.name}`, ...this.cell.equations.map((line) => `  ${line}`)];
  }
}
registerLayer(Custom.type, (options) => new Custom(options as unknown as CustomOptions));

/**
 * Makes a {@link Custom}: a recurrent layer of a cell that `defineCell` has made. Input
 * [batch, time, features]; output [batch, units], or [batch, time, units] with `returnSequences`;
 * states as the cell names them. Parameters are those of other recurrent layers, `weight_ih_l0` …
 * with the gates in the cell's order, and a vector [units] for each of the cell's `params`, as
 * `<name>_l0`.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function custom(options: CustomOptions): Custom {
  return new Custom(options);
}
