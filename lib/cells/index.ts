/** Cells that users define. */
export { defineCell } from './define-cell';
export type { Cell, CellOptions, CellStepInput } from './define-cell';
export type { Expression, Operand, Operations } from './expression';
