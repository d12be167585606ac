/**
 * Cells as text: what models carry in their configuration, what the core reads, and what people
 * read in summaries. `native/core/expression.h` states the format.
 */
import { wrongValue } from '../errors';
import { ARITY, Expression } from './expression';
import type { LeafKind, OperationName, Term } from './expression';

/** A cell without its functions. */
export interface CellData {
  name: string;
  gates: readonly string[];
  /** `h` first. */
  states: readonly string[];
  /** Initialisers as words, with their numbers: `uniform:0.05`. */
  params: readonly { name: string; initializer: string }[];
  /** Each state after a step, in the order of `states`. */
  results: readonly Expression[];
}

const KINDS: readonly LeafKind[] = ['sum', 'input', 'recurrent', 'state', 'param'];

/** The parts of gates that expressions use, by gate. */
export function gateParts(results: readonly Expression[]): Map<string, Set<LeafKind>> {
  const parts = new Map<string, Set<LeafKind>>();
  forEachTerm(results, (term) => {
    if (term.kind === 'sum' || term.kind === 'input' || term.kind === 'recurrent') {
      parts.set(term.name, (parts.get(term.name) ?? new Set()).add(term.kind));
    }
  });
  return parts;
}

/** Each expression that the results depend on, once, operands first. */
export function forEachTerm(
  results: readonly Expression[],
  visit: (term: Term, expression: Expression) => void,
): void {
  const seen = new Set<Expression>();
  // A stack of its own: expressions may be as deep as they are long.
  const open = results.map((expression) => ({ expression, ready: false })).reverse();
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    const { expression, ready } = top;
    if (ready) visit(expression.term, expression);
    if (ready || seen.has(expression)) continue;
    seen.add(expression);
    open.push({ expression, ready: true });
    if (expression.term.kind !== 'operation') continue;
    for (const operand of [...expression.term.operands].reverse()) {
      if (!seen.has(operand)) open.push({ expression: operand, ready: false });
    }
  }
}

/** The text of a cell: equal expressions are stated once. */
export function textOfCell({ name, gates, states, params, results }: CellData): string {
  const statements = [`cell ${name}`, `gates ${gates.join(' ')}`, `states ${states.join(' ')}`];
  if (params.length > 0) {
    statements.push(
      `params ${params.map((param) => `${param.name}:${param.initializer}`).join(' ')}`,
    );
  }
  const parts = gateParts(results);
  const isSplit = (gate: string) => parts.get(gate)!.size > 1 || !parts.get(gate)!.has('sum');
  const operations = new Map<string, string>(); // right-hand side -> #n
  const words = new Map<Expression, string>();
  const operation = (text: string): string => {
    const known = operations.get(text);
    if (known !== undefined) return known;
    const number = `#${operations.size}`;
    operations.set(text, number);
    statements.push(`${number} = ${text}`);
    return number;
  };
  forEachTerm(results, (term, expression) => {
    let word: string;
    if (term.kind === 'constant') word = String(term.value);
    else if (term.kind === 'operation') {
      const operands = term.operands.map((operand) => words.get(operand)!);
      word = operation(`${term.op}(${operands.join(', ')})`);
    } else if (term.kind === 'sum' && isSplit(term.name)) {
      word = operation(`add(input.${term.name}, recurrent.${term.name})`);
    } else word = `${term.kind}.${term.name}`;
    words.set(expression, word);
  });
  states.forEach((state, i) => statements.push(`${state} = ${words.get(results[i]!)!}`));
  return statements.join('; ');
}

const statementText = (word: string, rest: readonly string[]) => [word, ...rest].join(' ');

const NAME = /^[A-Za-z_]\w{0,63}$/;
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Reads a cell's text; it may come from a file that anybody has written. */
class Reader {
  readonly #label: string;
  readonly #owner = {};
  readonly #operations: Expression[] = [];
  readonly #lists = new Map<string, readonly string[]>();
  readonly #results = new Map<string, Expression>();

  constructor(label: string) {
    this.#label = label;
  }

  read(text: string): CellData {
    for (const statement of text.split(';')) {
      const words = statement.split(/[\s(),=]+/).filter((word) => word !== '');
      if (words.length > 0) this.#statement(words as [string, ...string[]]);
    }
    const [name] = this.#list('cell');
    const params = this.#lists.get('params') ?? [];
    return {
      name: name!,
      gates: this.#list('gates'),
      states: this.#list('states'),
      params: params.map((param) => {
        const [vector, ...initializer] = param.split(':');
        return { name: vector!, initializer: initializer.join(':') };
      }),
      results: this.#list('states').map((state) => {
        return this.#results.get(state) ?? this.#fail('a value for each state', state);
      }),
    };
  }

  #fail(expected: string, received: string): never {
    throw wrongValue(expected, this.#label, received);
  }

  #list(word: string): readonly string[] {
    return this.#lists.get(word) ?? this.#fail(`the text of a cell with "${word}"`, '');
  }

  #statement([word, ...rest]: [string, ...string[]]): void {
    if (['cell', 'gates', 'states', 'params'].includes(word)) {
      const wrong = rest.find((name) => !NAME.test(word === 'params' ? name.split(':')[0]! : name));
      if (rest.length === 0 || wrong !== undefined)
        this.#fail(`names after "${word}"`, wrong ?? '');
      if (this.#lists.has(word)) this.#fail(`"${word}" once`, statementText(word, rest));
      this.#lists.set(word, rest);
    } else if (word.startsWith('#')) {
      const [op = '', ...operands] = rest;
      if (word !== `#${this.#operations.length}`) this.#fail(`#${this.#operations.length}`, word);
      if (!Object.hasOwn(ARITY, op) || operands.length !== ARITY[op as OperationName]) {
        this.#fail('an operation with its operands', `${op}(${operands.join(', ')})`);
      }
      this.#operations.push(
        new Expression(this.#owner, {
          kind: 'operation',
          op: op as OperationName,
          operands: operands.map((operand) => this.#operand(operand)),
        }),
      );
    } else if (!this.#list('states').includes(word)) {
      this.#fail('a state', word);
    } else {
      this.#results.set(word, this.#operand(rest.length === 1 ? rest[0]! : rest.join(' ')));
    }
  }

  #operand(word: string): Expression {
    if (word.startsWith('#')) {
      const index = Number(word.slice(1));
      return this.#operations[index] ?? this.#fail('an earlier operation', word);
    }
    if (NUMBER.test(word)) {
      return new Expression(this.#owner, { kind: 'constant', value: Number(word) });
    }
    const [kind = '', name = ''] = word.split('.');
    const list = kind === 'state' ? 'states' : kind === 'param' ? 'params' : 'gates';
    const known = KINDS.includes(kind as LeafKind) ? this.#list(list) : [];
    if (!known.some((entry) => entry.split(':')[0] === name)) {
      this.#fail('an operand of the cell', word);
    }
    return new Expression(this.#owner, { kind: kind as LeafKind, name });
  }
}

/**
 * The cell of a text. The core checks counts and limits once more.
 *
 * @throws RangeError for anything but the text of a cell
 */
export function cellOfText(text: string, label: string): CellData {
  return new Reader(label).read(text);
}

const INFIX: Partial<Record<OperationName, { sign: string; level: number }>> = {
  add: { sign: ' + ', level: 1 },
  sub: { sign: ' - ', level: 1 },
  mul: { sign: ' * ', level: 2 },
  div: { sign: ' / ', level: 2 },
};

/**
 * A cell as people write it: a line for each state after the step (`h'`), and one for each other
 * value that is used more than once. `z` is the whole pre-activation of gate z, `inputs.z` and
 * `recurrent.z` are its two parts.
 */
export function equationsOf({ states, results }: CellData): string[] {
  const uses = new Map<Expression, number>();
  const use = (expression: Expression) => uses.set(expression, (uses.get(expression) ?? 0) + 1);
  results.forEach(use);
  forEachTerm(results, (term) => {
    if (term.kind === 'operation') term.operands.forEach(use);
  });
  const lines: string[] = [];
  const texts = new Map<Expression, { text: string; level: number }>();
  let shared = 0;
  forEachTerm(results, (term, expression) => {
    const written = write(term, (operand) => texts.get(operand)!);
    const state = results.indexOf(expression);
    let name: string | undefined;
    if (state >= 0 && term.kind === 'operation') name = `${states[state]}'`;
    else if (term.kind === 'operation' && uses.get(expression)! > 1) name = `t${++shared}`;
    if (name !== undefined) lines.push(`${name} = ${written.text}`);
    texts.set(expression, name === undefined ? written : { text: name, level: 3 });
  });
  results.forEach((result, i) => {
    const { text } = texts.get(result)!;
    if (text !== `${states[i]}'`) lines.push(`${states[i]}' = ${text}`);
  });
  return lines;
}

function write(
  term: Term,
  textOf: (operand: Expression) => { text: string; level: number },
): { text: string; level: number } {
  if (term.kind === 'constant') return { text: String(term.value), level: term.value < 0 ? 1 : 3 };
  if (term.kind !== 'operation') {
    const prefix = { sum: '', input: 'inputs.', recurrent: 'recurrent.', state: '', param: '' }[
      term.kind
    ];
    return { text: `${prefix}${term.name}`, level: 3 };
  }
  const within = (operand: Expression, least: number): string => {
    const { text, level } = textOf(operand);
    return level < least ? `(${text})` : text;
  };
  const [a, b] = term.operands;
  if (term.op === 'neg') return { text: `-${within(a!, 3)}`, level: 1 };
  const infix = INFIX[term.op];
  if (infix !== undefined) {
    const associative = term.op === 'add' || term.op === 'mul';
    const right = within(b!, associative ? infix.level : infix.level + 1);
    return { text: `${within(a!, infix.level)}${infix.sign}${right}`, level: infix.level };
  }
  return { text: `${term.op}(${term.operands.map((it) => textOf(it).text).join(', ')})`, level: 3 };
}
