/** Cells that users define: the maths of a step, stated once and run by the core. */
import { wrongKind, wrongValue } from '../errors';
import { initializer, initializerOfWord, initializerWord } from '../layers/initializers';
import type { Initializer } from '../layers/initializers';
import { checkInteger, isRecord, nearest, rejectUnknown } from '../validate';
import { Expression, operationsOf, strictRecord, toExpression } from './expression';
import type { LeafKind, Operand, Operations } from './expression';
import { cellOfText, equationsOf, forEachTerm, gateParts, textOfCell } from './text';
import type { CellData } from './text';

/** What a step function is given. Unknown names in any of these throw. */
export interface CellStepInput<Gate extends string, State extends string, Param extends string> {
  /** The pre-activation of each gate: W x + b_ih + R h + b_hh. */
  gates: Readonly<Record<Gate, Expression>>;
  /** The input part of each gate alone: W x + b_ih. */
  inputs: Readonly<Record<Gate, Expression>>;
  /** The recurrent part of each gate alone: R h + b_hh. */
  recurrent: Readonly<Record<Gate, Expression>>;
  /** The output of the step before; the same as `states.h`. */
  h: Expression;
  /** All states before the step. */
  states: Readonly<Record<State | 'h', Expression>>;
  /** The learned vectors. */
  params: Readonly<Record<Param, Expression>>;
  /** The operations on these. */
  ops: Operations;
}

/** What {@link defineCell} takes. */
export interface CellOptions<
  Gate extends string = string,
  State extends string = string,
  Param extends string = string,
> {
  /** A name for summaries. Letters, digits and `_`. */
  name: string;
  /** 1 to 8 names, in the order in which the weights hold the gates. */
  gates: readonly Gate[];
  /** 1 to 4 names, `h` among them: the output, which the recurrent weights multiply. Default `h`. */
  states?: readonly State[];
  /**
   * Learned vectors of one number for each unit, at most 8: their names (they begin at zero), or
   * names with initialisers, `{ decay: 'ones' }`. They are in no product with other units; a
   * peephole is one. Weight decay leaves them alone, as it does biases.
   */
  params?: readonly Param[] | Readonly<Record<Param, Initializer>>;
  /**
   * States the maths of one step: all states after it, from the gates and the states before it. It
   * is called once, by `defineCell`, with symbols in place of numbers.
   */
  step: (input: CellStepInput<Gate, State, Param>) => Readonly<Record<State | 'h', Operand>>;
}

const MAX = { gates: 8, states: 4, params: 8, operations: 512, text: 65_536 };
const RESERVED = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'];
const NAME = /^[A-Za-z_]\w{0,63}$/;

function checkName(value: unknown, label: string): string {
  const expected = 'a name of at most 64 letters, digits and "_"';
  if (typeof value !== 'string') throw wrongKind(expected, label, value);
  if (!NAME.test(value)) throw wrongValue(expected, label, value);
  return value;
}

function checkNames(given: unknown, label: string, least: number, most: number): string[] {
  if (!Array.isArray(given)) throw wrongKind('an array of names', label, given);
  const names = (given as unknown[]).map((name, i) => checkName(name, `${label}[${i}]`));
  if (names.length < least || names.length > most) {
    throw wrongValue(`${least} to ${most} names`, label, given);
  }
  names.forEach((name, i) => {
    if (names.indexOf(name) !== i) throw wrongValue('different names', `${label}[${i}]`, name);
  });
  return names;
}

function readParams(given: unknown, label: string): CellData['params'] {
  const byName = isRecord(given) ? given : undefined;
  const names = checkNames(
    byName === undefined ? given : Object.keys(byName),
    label,
    0,
    MAX.params,
  );
  return names.map((name) => {
    if (RESERVED.includes(name)) throw wrongValue('a name that is not taken', label, name);
    const value = byName?.[name];
    if (byName === undefined || value === undefined) return { name, initializer: 'zeros' };
    const parsed = initializer('zeros').parse(value, `${label}.${name}`);
    return { name, initializer: initializerWord(parsed) };
  });
}

/** What both a definition and a text from a file must hold to. */
function checkCell(cell: CellData, label: string): void {
  checkName(cell.name, `${label}.name`);
  checkNames(cell.gates, `${label}.gates`, 1, MAX.gates);
  checkNames(cell.states, `${label}.states`, 1, MAX.states);
  checkNames(
    cell.params.map(({ name }) => name),
    `${label}.params`,
    0,
    MAX.params,
  );
  if (cell.states[0] !== 'h') throw wrongValue('"h" as the first state', label, cell.states[0]);
  cell.params.forEach(({ name, initializer: word }) => {
    if (RESERVED.includes(name)) throw wrongValue('a name that is not taken', label, name);
    initializerOfWord(word, label);
  });
  const parts = gateParts(cell.results);
  const unused = cell.gates.find((gate) => !parts.has(gate));
  if (unused !== undefined) {
    throw wrongValue('a step that uses every gate', label, unused, 'leave this gate out');
  }
  const params = new Set<string>();
  let operations = 0;
  forEachTerm(cell.results, (term) => {
    if (term.kind === 'param') params.add(term.name);
    if (term.kind === 'operation') ++operations;
  });
  const idle = cell.params.find(({ name }) => !params.has(name));
  if (idle !== undefined) {
    throw wrongValue('a step that uses every learned vector', label, idle.name, 'leave it out');
  }
  checkInteger(operations, `${label}: the number of operations`, 0, MAX.operations);
}

/**
 * A recurrent cell as data: names and equations. It holds no weights and no functions, so that it
 * is saved with a model, and one cell may stand in several layers.
 */
export class Cell {
  readonly name: string;
  /** Names of the gates, in the order in which weights hold them. */
  readonly gates: readonly string[];
  /** Names of the states, `h` first. */
  readonly states: readonly string[];
  /** Names of the learned vectors. */
  readonly params: readonly string[];
  /**
   * The maths for people: a line for each state after the step, as `h' = …`, and one for each
   * value that is used more than once. `z` is the whole pre-activation of gate z, `inputs.z` and
   * `recurrent.z` are its two parts.
   */
  readonly equations: readonly string[];
  readonly #text: string;

  /** @internal Use {@link defineCell}. */
  constructor(data: CellData, label: string) {
    checkCell(data, label);
    this.#text = textOfCell(data);
    if (this.#text.length > MAX.text) throw wrongValue('a smaller cell', label, this.#text);
    this.name = data.name;
    this.gates = Object.freeze([...data.gates]);
    this.states = Object.freeze([...data.states]);
    this.params = Object.freeze(data.params.map(({ name }) => name));
    this.equations = Object.freeze(equationsOf(data));
    Object.freeze(this);
  }

  /** The cell as one line of text, which models carry in their configuration. */
  toString(): string {
    return this.#text;
  }
}

/**
 * The cell of a text that {@link Cell.toString} gave.
 *
 * @throws TypeError, RangeError for anything else
 */
export function parseCell(text: unknown, label: string): Cell {
  if (typeof text !== 'string') throw wrongKind('a cell, as defineCell makes it,', label, text);
  if (text.length > MAX.text) throw wrongValue('the text of a cell', label, text);
  return new Cell(cellOfText(text, label), label);
}

function readResults(
  owner: object,
  states: readonly string[],
  returned: unknown,
): readonly Expression[] {
  const label = 'defineCell.step';
  const example = `{ ${states.map((state) => `${state}: …`).join(', ')} }`;
  if (!isRecord(returned) || returned instanceof Expression) {
    throw wrongKind(`a function that returns ${example}`, label, returned);
  }
  for (const name of Object.keys(returned)) {
    if (states.includes(name)) continue;
    if (name === 'output') {
      throw wrongValue(
        'the states alone in what it returns',
        label,
        name,
        'the output of a step is its h',
      );
    }
    const near = nearest(name, states);
    throw wrongValue(
      `the name of a state in what it returns`,
      label,
      name,
      near === undefined ? `the states are ${states.join(', ')}` : `did you mean "${near}"?`,
    );
  }
  return states.map((state) => {
    if (returned[state] === undefined) {
      throw wrongKind(
        `a value for state "${state}" in what it returns`,
        label,
        undefined,
        `return ${example}`,
      );
    }
    return toExpression(owner, returned[state], `${label}: ${state}`);
  });
}

/**
 * Defines a recurrent cell by its equations. `step` is called once, with symbols; what it returns
 * is differentiated and run by the core's own time loop, without a call into JavaScript. Use the
 * cell in {@link layers.custom}.
 *
 * ```ts
 * const minimal = defineCell({
 *   name: 'minimalGatedUnit', // Zhou et al. 2016, with the gate applied after the product
 *   gates: ['f', 'n'],
 *   step: ({ gates: { f }, inputs, recurrent, h, ops: { add, mul, sub, sigmoid, tanh } }) => {
 *     const forget = sigmoid(f);
 *     const candidate = tanh(add(inputs.n, mul(forget, recurrent.n)));
 *     return { h: add(h, mul(forget, sub(candidate, h))) };
 *   },
 * });
 * ```
 *
 * @throws TypeError, RangeError for wrong options, unknown names, expressions of another cell,
 *     states without a value, numbers that are not finite; whatever `step` throws
 */
export function defineCell<
  const Gate extends string,
  const State extends string = 'h',
  const Param extends string = never,
>(options: CellOptions<Gate, State, Param>): Cell {
  const given: unknown = options;
  if (!isRecord(given)) throw wrongKind('an options object', 'defineCell', given);
  rejectUnknown('defineCell', Object.keys(given), ['name', 'gates', 'states', 'params', 'step']);
  const name = checkName(given['name'], 'defineCell.name');
  const gates = checkNames(given['gates'], 'defineCell.gates', 1, MAX.gates);
  const listed = checkNames(given['states'] ?? ['h'], 'defineCell.states', 1, MAX.states);
  if (!listed.includes('h')) {
    throw wrongValue(
      'an array with "h"',
      'defineCell.states',
      given['states'],
      'h is the output, which the recurrent weights multiply',
    );
  }
  const states = ['h', ...listed.filter((state) => state !== 'h')];
  const params = readParams(given['params'] ?? [], 'defineCell.params');
  const { step } = options;
  if (typeof step !== 'function') throw wrongKind('a function', 'defineCell.step', step);

  const owner = {};
  const leaves = (kind: LeafKind, names: readonly string[], what: string, label: string) =>
    strictRecord(
      names.map((it) => [it, new Expression(owner, { kind, name: it })] as const),
      what,
      label,
    );
  const before = leaves('state', states, 'a state', 'states');
  const input = {
    gates: leaves('sum', gates, 'a gate', 'gates'),
    inputs: leaves('input', gates, 'a gate', 'inputs'),
    recurrent: leaves('recurrent', gates, 'a gate', 'recurrent'),
    h: before['h']!,
    states: before,
    params: leaves(
      'param',
      params.map((param) => param.name),
      'a learned vector',
      'params',
    ),
    ops: operationsOf(owner),
  };
  const returned: unknown = step(input as unknown as CellStepInput<Gate, State, Param>);
  const results = readResults(owner, states, returned);
  return new Cell({ name, gates, states, params, results }, 'defineCell');
}
