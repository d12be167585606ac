/** Layer normalisation inside recurrent cells: the option, and what does not go with it. */
import { wrongKind } from '../errors';
import { oneOf, optional } from '../validate';
import type { OptionValue } from './layer';

const CELL_NORMS = ['gates', 'ba'] as const;

/** How a cell is normalised inside; see {@link NormalizedOptions}. */
export type CellNorm = (typeof CELL_NORMS)[number];

/** The option of cells that can be normalised inside. */
export interface NormalizedOptions {
  /**
   * Layer normalisation inside the cell, over the units of each sequence and step (Ba, Kiros and
   * Hinton 2016). `gates`: the pre-activation of each gate, input and recurrent product together,
   * before its bias. `ba`, the paper's form: the two products apart, all gates of a product
   * together, and in an LSTM also the cell state before the output. The reset gate of a GRU scales a
   * recurrent product that is normalised by itself, in both. docs/concepts.md has the formulas.
   *
   * Scales begin with 1. `gates` adds `weight_ln_l{k}` [gates·units], a GRU also `weight_ln_hh_l{k}`
   * [units], of that product; `ba` adds `weight_ln_ih_l{k}` and `weight_ln_hh_l{k}` [gates·units], an
   * LSTM also `weight_ln_c_l{k}` and, unless `useBias` is false, `bias_ln_c_l{k}` [units]; all with
   * `_reverse` for the second direction. What shifts the others are the layer's own biases. Not
   * with `candidateDropout`, nor with `peephole`, `coupledGates`, `cellClip` and `projection` of an
   * LSTM or `resetAfter: false` of a GRU. Default: none.
   */
  layerNorm?: CellNorm;
}

/** The field of {@link NormalizedOptions}. */
export const cellNorm = optional(oneOf(CELL_NORMS));

/**
 * Refuses options that a normalised cell does not have, if it is one.
 *
 * @param off what each of them is when it is off
 * @throws TypeError
 */
export function checkCellNorm(
  type: string,
  read: Readonly<Record<string, OptionValue>>,
  off: Readonly<Record<string, boolean | number | undefined>>,
): void {
  if (read['layerNorm'] === undefined) return;
  for (const [name, value] of Object.entries(off)) {
    if (read[name] === undefined || read[name] === value) continue;
    const expected = value === undefined ? 'nothing' : String(value);
    throw wrongKind(`${expected} beside layerNorm`, `${type}.${name}`, read[name]);
  }
}
