/**
 * A cell that the library does not have, defined by its equations, beside a GRU on the adding
 * problem (Hochreiter and Schmidhuber 1997): of a sequence of random numbers two are marked, and
 * their sum is wanted at the end. To answer 1 always has a mean squared error of 1/6.
 *
 *   node examples/custom-cell.mjs
 *   node examples/custom-cell.mjs --length 60 --epochs 20
 */
import { parseArgs } from 'node:util';
import { defineCell, layers, optimizers, sequential } from 'ostinato';

const { values: flags } = parseArgs({
  options: {
    length: { type: 'string', default: '40' },
    epochs: { type: 'string', default: '12' },
    samples: { type: 'string', default: '4000' },
  },
});
const length = Number(flags.length);
const samples = Number(flags.samples);

// The minimal gated unit (Zhou et al. 2016): one gate does the work of a GRU's two.
const minimal = defineCell({
  name: 'minimalGatedUnit',
  gates: ['f', 'n'],
  step: ({ gates, inputs, recurrent, h, ops: { add, mul, sub, sigmoid, tanh } }) => {
    const forget = sigmoid(gates.f);
    const candidate = tanh(add(inputs.n, mul(forget, recurrent.n)));
    return { h: add(mul(sub(1, forget), h), mul(forget, candidate)) };
  },
});
console.log(`${minimal.name}:\n  ${minimal.equations.join('\n  ')}`);

let state = 12345;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

/** [samples, length, 2]: a number and a mark; [samples, 1]: the sum of the two that are marked. */
function addingProblem() {
  const x = new Float32Array(samples * length * 2);
  const y = new Float32Array(samples);
  for (let row = 0; row < samples; row++) {
    for (let t = 0; t < length; t++) x[(row * length + t) * 2] = random();
    const half = length >> 1;
    const first = Math.floor(random() * half);
    const second = half + Math.floor(random() * (length - half));
    for (const t of [first, second]) {
      x[(row * length + t) * 2 + 1] = 1;
      y[row] += x[(row * length + t) * 2];
    }
  }
  return [
    { data: x, shape: [samples, length, 2] },
    { data: y, shape: [samples, 1] },
  ];
}

const [x, y] = addingProblem();
const options = { units: 32, inputFeatures: 2 };
for (const [name, layer] of [
  ['gru', layers.gru(options)],
  ['minimalGatedUnit', layers.custom({ ...options, cell: minimal })],
]) {
  const model = sequential([layer, layers.dense({ units: 1 })], { seed: 7 });
  const parameters = Object.values(model.getWeights()).reduce((n, { data }) => n + data.length, 0);
  const start = performance.now();
  const history = await model.fit(x, y, {
    epochs: Number(flags.epochs),
    batchSize: 50,
    loss: 'meanSquaredError',
    optimizer: optimizers.adam({ learningRate: 5e-3, clipNorm: 1 }),
    validationSplit: 0.1,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const error = history.valLoss.at(-1).toFixed(5);
  console.log(`${name}: parameters=${parameters} val_mse=${error} seconds=${seconds}`);
  model.dispose();
}
