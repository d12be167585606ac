import fc from 'fast-check';
import { defineCell, layers, sequential } from '../../lib';
import type { Cell, CellStepInput, Expression, Operand } from '../../lib';
import { parseCell } from '../../lib/cells/define-cell';
import { restatedGru, restatedLstm } from '../helpers/cells';
import { argumentError, thrownBy } from '../helpers/errors';

type Input = CellStepInput<'a' | 'b', 'h' | 'c', 'p'>;

/** A cell of two gates, two states and a learned vector with the given step. */
const cellOf = (step: (input: Input) => unknown): Cell =>
  defineCell({
    name: 'sample',
    gates: ['a', 'b'],
    states: ['h', 'c'],
    params: ['p'],
    step: step as (input: Input) => Record<'h' | 'c', Operand>,
  });

/** A step that is right, with one part replaced. */
const withPart = (part: (input: Input) => Operand) =>
  cellOf((input) => ({
    h: input.ops.mul(part(input), input.gates.a, input.gates.b, input.params.p),
    c: input.h,
  }));

describe('what a cell says of itself', () => {
  test('its names and equations', () => {
    const gru = restatedGru();
    expect(gru.gates).toEqual(['r', 'z', 'n']);
    expect(gru.states).toEqual(['h']);
    expect(gru.params).toEqual([]);
    expect(gru.equations).toEqual([
      't1 = sigmoid(z)',
      "h' = (1 - t1) * tanh(inputs.n + sigmoid(r) * recurrent.n) + t1 * h",
    ]);
    expect(restatedLstm().equations).toEqual([
      "c' = sigmoid(f) * c + sigmoid(i) * tanh(g)",
      "h' = sigmoid(o) * tanh(c')",
    ]);
  });

  test('brackets where they are needed, and only there', () => {
    const equation = (step: (input: CellStepInput<'a', 'h', never>) => Operand) =>
      defineCell({ name: 'x', gates: ['a'], step: (input) => ({ h: step(input) }) }).equations[0];
    expect(equation(({ gates: { a }, h, ops }) => ops.sub(a, ops.sub(h, a)))).toBe(
      "h' = a - (h - a)",
    );
    expect(equation(({ gates: { a }, h, ops }) => ops.add(a, ops.add(h, a)))).toBe(
      "h' = a + h + a",
    );
    expect(equation(({ gates: { a }, h, ops }) => ops.div(a, ops.mul(h, a)))).toBe(
      "h' = a / (h * a)",
    );
    expect(equation(({ gates: { a }, ops }) => ops.mul(-2, ops.neg(a)))).toBe("h' = (-2) * (-a)");
    expect(equation(({ gates: { a }, ops }) => ops.clamp(a, -1, 1))).toBe(
      "h' = min(1, max(-1, a))",
    );
    expect(equation(({ gates: { a }, ops }) => ops.square(a))).toBe("h' = a * a");
  });

  test('its text is the cell', () => {
    for (const cell of [restatedGru(), restatedLstm(), withPart(({ states }) => states.c)]) {
      const back = parseCell(String(cell), 'cell');
      expect(String(back)).toBe(String(cell));
      expect(back).toEqual(cell);
    }
  });

  test('equal expressions are stated once, and both parts of a gate and its sum may be used', () => {
    const cell = defineCell({
      name: 'x',
      gates: ['a'],
      step: ({ gates, inputs, recurrent, ops: { add, tanh, mul } }) => ({
        h: add(tanh(gates.a), mul(tanh(gates.a), inputs.a, tanh(add(inputs.a, recurrent.a)))),
      }),
    });
    expect(String(cell).match(/tanh/g)).toHaveLength(1);
    expect(String(cell)).toContain('add(input.a, recurrent.a)');
    using model = sequential([layers.custom({ cell, units: 3, inputFeatures: 2 })]);
    expect(model.predictSync({ data: new Float32Array(4), shape: [1, 2, 2] }).shape).toEqual([
      1, 3,
    ]);
  });

  test('h comes first among the states, wherever it was named', () => {
    const cell = defineCell({
      name: 'x',
      gates: ['a'],
      states: ['c', 'h'],
      step: ({ gates, h }) => ({ h: gates.a, c: h }),
    });
    expect(cell.states).toEqual(['h', 'c']);
  });

  test('a long chain of operations', () => {
    const chain = (length: number) => () =>
      defineCell({
        name: 'x',
        gates: ['a'],
        step: ({ gates, ops }) => {
          let h: Expression = gates.a;
          for (let i = 0; i < length; i++) h = ops.tanh(h);
          return { h };
        },
      });
    using model = sequential([layers.custom({ cell: chain(30)(), units: 2, inputFeatures: 1 })]);
    expect(model.layers).toHaveLength(1);
    expect(chain(512)().equations).toHaveLength(1);
    expect(thrownBy(chain(513))).toEqual(argumentError('RangeError', /operations.*513/));
  });
});

describe('mistakes in a step function', () => {
  test.each<[string, () => unknown, 'TypeError' | 'RangeError', RegExp]>([
    [
      'an unknown gate',
      () => withPart(({ gates }) => (gates as Record<string, Expression>)['A2']!),
      'RangeError',
      /the name of a gate for "gates" but received "A2".*did you mean "a"/,
    ],
    [
      'an unknown state',
      () => withPart(({ states }) => (states as Record<string, Expression>)['cell']!),
      'RangeError',
      /the name of a state for "states" but received "cell"/,
    ],
    [
      'an unknown learned vector',
      () => withPart(({ params }) => (params as Record<string, Expression>)['q']!),
      'RangeError',
      /the name of a learned vector for "params" but received "q"/,
    ],
    [
      'an unknown operation',
      () =>
        withPart(({ ops, h }) => (ops as never as { sigmoyd: (a: Operand) => Operand }).sigmoyd(h)),
      'RangeError',
      /the name of an operation for "ops" but received "sigmoyd" \(string\); did you mean "sigmoid"/,
    ],
    [
      'NaN',
      () => withPart(({ ops, h }) => ops.mul(h, NaN)),
      'RangeError',
      /finite number.*ops\.mul.*NaN/,
    ],
    ['Infinity', () => withPart(() => -Infinity), 'RangeError', /finite number.*-Infinity/],
    ['a number beyond floats', () => withPart(() => 1e39), 'RangeError', /finite number.*1e\+39/],
    [
      'arithmetic instead of operations',
      () => withPart(({ h }) => (h as never as number) + 1),
      'TypeError',
      /expressions are no numbers: write ops\.add/,
    ],
    [
      'a text for an operand',
      () => withPart(({ ops }) => ops.tanh('h' as never)),
      'TypeError',
      /an expression of this cell, or a number, for "ops\.tanh" but received "h" \(string\)/,
    ],
    [
      'an operand that was forgotten',
      () => withPart(({ ops, h }) => (ops.sub as (a: Operand) => Expression)(h)),
      'TypeError',
      /2 operands for "ops\.sub"/,
    ],
    [
      'an expression that looks like one, and refers to itself',
      () => {
        const node = {
          owner: {},
          term: { kind: 'operation', op: 'tanh', operands: [] as unknown[] },
        };
        node.term.operands.push(node);
        return withPart(() => node as never);
      },
      'TypeError',
      /an expression of this cell/,
    ],
    [
      'nothing returned',
      () => cellOf(() => undefined),
      'TypeError',
      /a function that returns \{ h: …, c: … \}/,
    ],
    ['an expression returned', () => cellOf(({ h }) => h), 'TypeError', /a function that returns/],
    [
      'a state without a value',
      () => cellOf(({ gates, ops, params }) => ({ h: ops.mul(gates.a, gates.b, params.p) })),
      'TypeError',
      /a value for state "c"/,
    ],
    [
      'a value that is no state',
      () => cellOf(({ h }) => ({ h, c: h, cc: h })),
      'RangeError',
      /the name of a state in what it returns .* "cc" \(string\); did you mean "c"/,
    ],
    [
      'an output beside h',
      () => cellOf(({ h }) => ({ h, c: h, output: h })),
      'RangeError',
      /the output of a step is its h/,
    ],
    [
      'a gate without use',
      () => cellOf(({ h, gates, ops, params }) => ({ h: ops.mul(gates.a, params.p), c: h })),
      'RangeError',
      /uses every gate.*"b"/,
    ],
    [
      'a vector without use',
      () => cellOf(({ gates: { a, b } }) => ({ h: a, c: b })),
      'RangeError',
      /uses every learned vector.*"p"/,
    ],
  ])('%s', (_name, call, kind, message) => {
    expect(thrownBy(call)).toEqual(argumentError(kind, message));
  });

  test('an expression of another cell', () => {
    let kept: Expression | undefined;
    withPart(({ h }) => (kept = h));
    expect(thrownBy(() => withPart(({ ops, h }) => ops.add(h, kept!)))).toEqual(
      argumentError('TypeError', /belongs to another cell/),
    );
    expect(thrownBy(() => withPart(() => kept!))).toEqual(
      argumentError('TypeError', /belongs to another cell/),
    );
  });

  test('what the function throws goes through', () => {
    const own = new Error('mine');
    expect(
      thrownBy(() =>
        cellOf(() => {
          throw own;
        }),
      ),
    ).toBe(own);
  });
});

describe('mistakes in the options', () => {
  const step = ({ gates }: { gates: Record<string, Expression> }) => ({ h: gates['a']! });
  const nine = ['a', 'b', 'd', 'e', 'f', 'g', 'i', 'j', 'k'];
  test.each<[string, object, 'TypeError' | 'RangeError', RegExp]>([
    ['no options', undefined as never, 'TypeError', /an options object/],
    ['an unknown option', { name: 'x', gate: ['a'], step }, 'TypeError', /did you mean "gates"/],
    ['no name', { gates: ['a'], step }, 'TypeError', /a name.*defineCell\.name/],
    ['a name with a blank', { name: 'my cell', gates: ['a'], step }, 'RangeError', /a name/],
    ['no gates', { name: 'x', gates: [], step }, 'RangeError', /1 to 8 names/],
    [
      'too many gates',
      { name: 'x', gates: nine, step },
      'RangeError',
      /1 to 8 names.*an array of 9/,
    ],
    [
      'the same gate twice',
      { name: 'x', gates: ['a', 'a'], step },
      'RangeError',
      /different names/,
    ],
    ['gates that are no array', { name: 'x', gates: 'a', step }, 'TypeError', /an array of names/],
    [
      'too many states',
      { name: 'x', gates: ['a'], states: ['h', ...nine.slice(0, 4)], step },
      'RangeError',
      /1 to 4 names/,
    ],
    [
      'states without h',
      { name: 'x', gates: ['a'], states: ['c'], step },
      'RangeError',
      /an array with "h"/,
    ],
    [
      'a vector that is called as a weight',
      { name: 'x', gates: ['a'], params: ['bias_ih'], step },
      'RangeError',
      /not taken/,
    ],
    [
      'an unknown initialiser',
      { name: 'x', gates: ['a'], params: { p: 'one' }, step },
      'RangeError',
      /did you mean "ones"/,
    ],
    [
      'too many vectors',
      { name: 'x', gates: ['a'], params: nine, step },
      'RangeError',
      /0 to 8 names/,
    ],
    [
      'a step that is no function',
      { name: 'x', gates: ['a'], step: {} },
      'TypeError',
      /a function/,
    ],
  ])('%s', (_name, options, kind, message) => {
    expect(thrownBy(() => defineCell(options as never))).toEqual(argumentError(kind, message));
  });

  test.each<[string, unknown, 'TypeError' | 'RangeError', RegExp]>([
    ['no cell', undefined, 'TypeError', /custom\.cell.*required/],
    [
      'its options instead of the cell',
      { name: 'x', gates: ['a'] },
      'TypeError',
      /as defineCell makes it/,
    ],
    ['a name', 'gru', 'RangeError', /the text of a cell/],
    [
      'half a text',
      'cell x; gates a; states h; #0 = tanh(sum.a)',
      'RangeError',
      /a value for each state/,
    ],
    [
      'gates stated twice',
      'cell x; gates a; gates b; states h; h = sum.a',
      'RangeError',
      /"gates" once/,
    ],
    [
      'an operation on itself',
      'cell x; gates a; states h; #0 = tanh(#0); h = #0',
      'RangeError',
      /an earlier operation/,
    ],
    [
      'an unknown gate',
      'cell x; gates a; states h; #0 = add(sum.b, sum.a); h = #0',
      'RangeError',
      /an operand of the cell.*sum\.b/,
    ],
    [
      'an unknown operation',
      'cell x; gates a; states h; #0 = eval(sum.a); h = #0',
      'RangeError',
      /an operation with its operands.*eval/,
    ],
  ])('a layer of %s', (_name, cell, kind, message) => {
    expect(thrownBy(() => layers.custom({ cell: cell as never, units: 2 }))).toEqual(
      argumentError(kind, message),
    );
  });
});

test('a bias initialiser that needs to know which gate is which', () => {
  const chrono = { kind: 'chrono', tMax: 50 } as const;
  expect(
    thrownBy(() => layers.custom({ cell: restatedGru(), units: 2, biasInitializer: chrono })),
  ).toEqual(argumentError('RangeError', /custom\.biasInitializer.*chrono/));
});

test('no text brings the core to anything but an error', () => {
  const words = [
    'cell',
    'x',
    'gates',
    'a',
    'b',
    'states',
    'h',
    'c',
    'params',
    'p:ones',
    ';',
    ';',
    '#0',
    '#1',
    '#2',
    'tanh',
    'add',
    'mul',
    'sum.a',
    'sum.b',
    'input.a',
    'recurrent.b',
    'state.h',
    'state.c',
    'param.p',
    '1',
    '-0.5',
    'nan',
    '=',
  ];
  const start = 'cell x; gates a b; states h c;';
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...words), { maxLength: 40 }),
      fc.boolean(),
      (list, whole) => {
        const text = `${whole ? start : ''}${list.join(' ')}; h = sum.a; c = sum.b`;
        let cell: Cell;
        try {
          cell = parseCell(text, 'cell');
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
          return;
        }
        sequential([layers.custom({ cell, units: 2, inputFeatures: 1 })]).dispose();
      },
    ),
    { numRuns: 300 },
  );
});
