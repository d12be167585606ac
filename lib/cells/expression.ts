/** Symbolic values of a cell's maths, and the operations that make them. */
import { wrongKind, wrongValue } from '../errors';
import { nearest } from '../validate';

/** Parts of a gate, states and learned vectors: what an expression is made of. */
export type LeafKind = 'sum' | 'input' | 'recurrent' | 'state' | 'param';

/** Operations that the core knows, by name, with their operands. */
export const ARITY = {
  add: 2,
  sub: 2,
  mul: 2,
  div: 2,
  min: 2,
  max: 2,
  neg: 1,
  sigmoid: 1,
  tanh: 1,
  relu: 1,
  exp: 1,
  log: 1,
  softplus: 1,
  abs: 1,
  sqrt: 1,
} as const;

/** The name of an operation of the core. */
export type OperationName = keyof typeof ARITY;

/** What an expression is. */
export type Term =
  | { readonly kind: LeafKind; readonly name: string }
  | { readonly kind: 'constant'; readonly value: number }
  | {
      readonly kind: 'operation';
      readonly op: OperationName;
      readonly operands: readonly Expression[];
    };

/**
 * A vector of the cell, one number for each unit, that is not computed yet: a part of a gate, a
 * state, a learned vector, or what an operation makes of others. Values cannot be read: the step
 * function of a cell is called once, to state the maths.
 */
export class Expression {
  /** @internal */
  constructor(
    /** @internal */
    readonly owner: object,
    /** @internal */
    readonly term: Term,
  ) {
    Object.freeze(this);
  }

  /** Arithmetic on an expression would silently give NaN. */
  [Symbol.toPrimitive](): never {
    throw wrongKind(
      'an operation of "ops"',
      'step',
      this,
      'expressions are no numbers: write ops.add(a, b) instead of a + b',
    );
  }
}

/** An expression, or a number that stands for a vector of equal ones. */
export type Operand = Expression | number;

/** The operations of a cell's maths; each works unit by unit. */
export interface Operations {
  /** a + b + … */
  readonly add: (a: Operand, b: Operand, ...more: Operand[]) => Expression;
  /** a - b */
  readonly sub: (a: Operand, b: Operand) => Expression;
  /** a b … */
  readonly mul: (a: Operand, b: Operand, ...more: Operand[]) => Expression;
  /** a / b */
  readonly div: (a: Operand, b: Operand) => Expression;
  /** -a */
  readonly neg: (a: Operand) => Expression;
  /** 1 / (1 + e^-a) */
  readonly sigmoid: (a: Operand) => Expression;
  readonly tanh: (a: Operand) => Expression;
  /** max(a, 0), with derivative 0 at 0. */
  readonly relu: (a: Operand) => Expression;
  readonly exp: (a: Operand) => Expression;
  /** Natural logarithm. */
  readonly log: (a: Operand) => Expression;
  /** log(1 + e^a) */
  readonly softplus: (a: Operand) => Expression;
  /** |a|, with derivative 0 at 0. */
  readonly abs: (a: Operand) => Expression;
  /** a² */
  readonly square: (a: Operand) => Expression;
  readonly sqrt: (a: Operand) => Expression;
  /** The smaller one; where they are equal the gradient goes to b. */
  readonly min: (a: Operand, b: Operand) => Expression;
  /** The larger one; where they are equal the gradient goes to b. */
  readonly max: (a: Operand, b: Operand) => Expression;
  /** a within [low, high]; the gradient passes where a is not outside. */
  readonly clamp: (a: Operand, low: Operand, high: Operand) => Expression;
}

const MAX_FLOAT = 3.4028234663852886e38;

/** An operand as an expression of `owner`'s. */
export function toExpression(owner: object, value: unknown, label: string): Expression {
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || Math.abs(value) > MAX_FLOAT) {
      throw wrongValue('a finite number', label, value);
    }
    return new Expression(owner, { kind: 'constant', value });
  }
  if (!(value instanceof Expression)) {
    throw wrongKind('an expression of this cell, or a number,', label, value);
  }
  if (value.owner !== owner) {
    throw wrongKind(
      'an expression of this cell',
      label,
      value,
      'it belongs to another cell, whose step function has returned',
    );
  }
  return value;
}

/** A record that throws, with a suggestion, where a plain one would give `undefined`. */
export function strictRecord<T>(
  entries: Iterable<readonly [string, T]>,
  what: string,
  label: string,
): Record<string, T> {
  const record = Object.fromEntries(entries);
  return new Proxy(record, {
    get(target, key) {
      if (typeof key === 'symbol' || Object.hasOwn(target, key))
        return Reflect.get(target, key) as T;
      const names = Object.keys(target);
      const near = nearest(key, names);
      const advice =
        near !== undefined
          ? `did you mean "${near}"?`
          : names.length > 0
            ? `there are ${names.map((name) => JSON.stringify(name)).join(', ')}`
            : 'there are none';
      throw wrongValue(`the name of ${what}`, label, key, advice);
    },
  });
}

/** The operations on expressions of one cell. */
export function operationsOf(owner: object): Operations {
  const make = (op: OperationName, ...given: unknown[]): Expression => {
    if (given.length !== ARITY[op]) {
      throw wrongKind(`${ARITY[op]} operand${ARITY[op] > 1 ? 's' : ''}`, `ops.${op}`, given);
    }
    const operands = given.map((value) => toExpression(owner, value, `ops.${op}`));
    return new Expression(owner, { kind: 'operation', op, operands });
  };
  const fold = (op: 'add' | 'mul', values: unknown[]): Expression => {
    if (values.length < 2) throw wrongKind('two or more operands', `ops.${op}`, values);
    return values
      .slice(1)
      .reduce<Expression>(
        (left, right) => make(op, left, right),
        toExpression(owner, values[0], `ops.${op}`),
      );
  };
  const named = Object.keys(ARITY) as OperationName[];
  const plain = named.map((op) => [op, (...given: unknown[]) => make(op, ...given)] as const);
  const operations = strictRecord<(...given: never[]) => Expression>(
    [
      ...plain,
      ['add', (...values: unknown[]) => fold('add', values)],
      ['mul', (...values: unknown[]) => fold('mul', values)],
      ['square', (a: unknown) => make('mul', a, a)],
      [
        'clamp',
        (...given: unknown[]) => {
          if (given.length !== 3) throw wrongKind('3 operands', 'ops.clamp', given);
          return make('min', given[2], make('max', given[1], given[0]));
        },
      ],
    ],
    'an operation',
    'ops',
  );
  return operations as unknown as Operations;
}
