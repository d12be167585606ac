/** Cells of the library, stated again with `defineCell`. */
import { defineCell } from '../../lib';
import type { Cell } from '../../lib';

export function restatedElman(activation: 'tanh' | 'relu' = 'tanh'): Cell {
  return defineCell({
    name: 'elman',
    gates: ['a'],
    step: ({ gates, ops }) => ({ h: ops[activation](gates.a) }),
  });
}

/** Gates in PyTorch's order. */
export function restatedGru(): Cell {
  return defineCell({
    name: 'restatedGru',
    gates: ['r', 'z', 'n'],
    step: ({ gates, inputs, recurrent, h, ops: { add, mul, sub, sigmoid, tanh } }) => {
      const z = sigmoid(gates.z);
      const n = tanh(add(inputs.n, mul(sigmoid(gates.r), recurrent.n)));
      return { h: add(mul(sub(1, z), n), mul(z, h)) };
    },
  });
}

/** Gates in PyTorch's order. */
export function restatedLstm(): Cell {
  return defineCell({
    name: 'restatedLstm',
    gates: ['i', 'f', 'g', 'o'],
    states: ['h', 'c'],
    step: ({ gates: { i, f, g, o }, states, ops: { add, mul, sigmoid, tanh } }) => {
      const c = add(mul(sigmoid(f), states.c), mul(sigmoid(i), tanh(g)));
      return { h: mul(sigmoid(o), tanh(c)), c };
    },
  });
}
