// What it costs to state a cell in TypeScript: cells of the library against the same ones stated
// with defineCell, in turns.
//
//   npm run bench:custom-cell -- [--rounds 40] [--threads 1]
//
// For each shape [T, B, I, H]: an epoch of training on four batches (the layer, a dense layer on its
// last step, Adam), predictions of all steps for them, and stepSync of a session with B streams.
import { parseArgs } from 'node:util';
import { defineCell, info, layers, optimizers, sequential } from '../dist/index.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    threads: { type: 'string', default: '1' },
  },
});
const rounds = Number(values.rounds);
const threads = Number(values.threads);

const SHAPES = [
  [64, 64, 256, 256],
  [64, 16, 128, 128],
  [64, 1, 64, 64],
];
const BATCHES = 4;

const gru = defineCell({
  name: 'gru',
  gates: ['r', 'z', 'n'],
  step: ({ gates, inputs, recurrent, h, ops: { add, mul, sub, sigmoid, tanh } }) => {
    const z = sigmoid(gates.z);
    const n = tanh(add(inputs.n, mul(sigmoid(gates.r), recurrent.n)));
    return { h: add(mul(sub(1, z), n), mul(z, h)) };
  },
});
const lstm = defineCell({
  name: 'lstm',
  gates: ['i', 'f', 'g', 'o'],
  states: ['h', 'c'],
  step: ({ gates: { i, f, g, o }, states, ops: { add, mul, sigmoid, tanh } }) => {
    const c = add(mul(sigmoid(f), states.c), mul(sigmoid(i), tanh(g)));
    return { h: mul(sigmoid(o), tanh(c)), c };
  },
});

const PAIRS = {
  gru: [layers.gru, (options) => layers.custom({ ...options, cell: gru })],
  lstm: [layers.lstm, (options) => layers.custom({ ...options, cell: lstm })],
};

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

// Milliseconds of each function in turns: [[median, minimum], …].
async function inTurns(functions, repeats) {
  const times = functions.map(() => []);
  for (let round = -2; round < rounds; round++) {
    for (const [i, run] of functions.entries()) {
      const start = performance.now();
      for (let repeat = 0; repeat < repeats; repeat++) await run();
      if (round >= 0) times[i].push((performance.now() - start) / repeats);
    }
  }
  return times.map((list) => [median(list), Math.min(...list)]);
}

function numbers(...shape) {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  return { data: data.map((_v, i) => Math.sin(i * 12.9898) * 0.5), shape };
}

function jobs(make, [T, B, I, H]) {
  const options = { units: H, inputFeatures: I, recurrentInitializer: 'glorotUniform' };
  const x = numbers(BATCHES * B, T, I);
  const y = numbers(BATCHES * B, 1);
  const trained = sequential([make(options), layers.dense({ units: 1 })], { seed: 1 });
  const all = sequential([make({ ...options, returnSequences: true })], { seed: 1 });
  const session = all.session({ streams: B, threads });
  const row = numbers(B, I).data;
  const optimizer = optimizers.adam({ learningRate: 1e-4 });
  const fit = { epochs: 1, batchSize: B, loss: 'meanSquaredError', optimizer, threads };
  return {
    train: () => trained.fit(x, y, fit),
    predict: () => all.predict(x, { batchSize: B, threads }),
    step: () => session.stepSync(row),
  };
}

console.log(`${info().isa}, threads: ${threads}, rounds: ${rounds}; medians (minima) in ms\n`);
console.log('| cell | T,B,I,H | what | built in | defined | ratio of medians |');
console.log('| ---- | ------- | ---- | -------- | ------- | ---------------- |');
const text = ([middle, least]) => `${middle.toPrecision(3)} (${least.toPrecision(3)})`;
for (const [cell, makers] of Object.entries(PAIRS)) {
  for (const shape of SHAPES) {
    const both = makers.map((make) => jobs(make, shape));
    for (const what of ['train', 'predict', 'step']) {
      const functions = both.map((one) => one[what]);
      const [own, defined] = await inTurns(functions, what === 'step' ? 100 : 1);
      const ratio = (defined[0] / own[0]).toFixed(2);
      console.log(`| ${cell} | ${shape} | ${what} | ${text(own)} | ${text(defined)} | ${ratio} |`);
    }
  }
}
