import { defineCell, layers } from '../../../lib';
import type { Cell } from '../../../lib';
import type { Vector } from '../vectors';
import { checkCell } from './cell';

interface Fields {
  name: string;
  states: string[];
  inputs: number;
  units: number;
}

/** The cells of `scripts/golden/defined.py`, by the names of their cases. */
const CELLS: Record<string, Cell> = {
  'minimal-gated-unit': defineCell({
    name: 'minimalGatedUnit',
    gates: ['f', 'n'],
    step: ({ gates, inputs, recurrent, h, ops: { add, mul, sub, sigmoid, tanh } }) => {
      const forget = sigmoid(gates.f);
      const candidate = tanh(add(inputs.n, mul(forget, recurrent.n)));
      return { h: add(mul(sub(1, forget), h), mul(forget, candidate)) };
    },
  }),
  'peephole-lstm': defineCell({
    name: 'peepholeLstm',
    gates: ['i', 'f', 'g', 'o'],
    states: ['h', 'c'],
    params: ['pi', 'pf', 'po'],
    step: ({ gates: { i, f, g, o }, states, params, ops: { add, mul, sigmoid, tanh } }) => {
      const forget = sigmoid(add(f, mul(params.pf, states.c)));
      const write = sigmoid(add(i, mul(params.pi, states.c)));
      const c = add(mul(forget, states.c), mul(write, tanh(g)));
      return { h: mul(sigmoid(add(o, mul(params.po, c))), tanh(c)), c };
    },
  }),
  mixed: defineCell({
    name: 'mixed',
    gates: ['a', 'b', 'd'],
    states: ['h', 'c', 'm'],
    params: { p: 'ones', q: 'uniform' },
    step: ({ gates: { a, b }, inputs, recurrent, states, params: { p, q }, ops }) => {
      const { add, sub, mul, div, neg, square } = ops;
      const share = ops.sigmoid(a);
      const inner = ops.tanh(add(mul(inputs.d, p), mul(share, recurrent.d)));
      const c = add(mul(share, states.c), mul(sub(1, share), ops.clamp(b, -0.75, 0.75)));
      const m = sub(ops.max(mul(0.9, states.m), ops.abs(inner)), mul(0.1, ops.relu(b)));
      const scale = add(ops.sqrt(add(1, square(c))), ops.log(add(1.5, square(m))));
      const h = add(
        div(ops.min(inner, ops.softplus(neg(b))), scale),
        mul(q, ops.exp(neg(square(m)))),
      );
      return { h, c, m };
    },
  }),
};

/** Outputs, final states and all gradients of a cell that the user defines. */
export async function definedCell(vector: Vector<Fields>): Promise<void> {
  const { name, states, inputs, units } = vector.fields;
  const cell = CELLS[name]!;
  expect(cell.states).toEqual(states);
  const options = { name: 'rnn', units, inputFeatures: inputs, returnSequences: true };
  await checkCell(layers.custom({ ...options, cell }), states, vector);
}
