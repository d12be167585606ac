// Memory and time of training on one very long sequence, with and without recomputation:
//
//   node bench/long-sequences.mjs [--steps 100000] [--threads 2] [--rounds 4]
//
// An LSTM of 256 units, one row, 64 inputs (or an embedding of 64), a label for each step or for the
// last one. Each case is two processes: one of a single kind of run, for the peak of its resident
// set, and one that makes steps of both kinds in turns, for the times.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { layers, optimizers, sequential } from '../dist/index.mjs';

const INPUTS = 64;
const CLASSES = 32;

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '100000' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '4' },
    // Of the processes that this one starts.
    job: { type: 'string' },
  },
});
const steps = Number(values.steps);
const threads = Number(values.threads);
const rounds = Number(values.rounds);

const cases = [
  { cell: 'lstm', input: 'floats', labels: 'all' },
  { cell: 'lstm', input: 'tokens', labels: 'all' },
  { cell: 'lstm', input: 'floats', labels: 'last' },
  { cell: 'gru', input: 'floats', labels: 'all' },
];

function problem({ cell, input, labels }) {
  const ids = (count) => Int32Array.from({ length: count }, (_v, i) => (i * i) % CLASSES);
  const x =
    input === 'tokens'
      ? { data: ids(steps), shape: [1, steps] }
      : {
          data: new Float32Array(steps * INPUTS).map((_v, i) => Math.sin(i * 12.9898)),
          shape: [1, steps, INPUTS],
        };
  const y = { data: ids(labels === 'all' ? steps : 1), shape: labels === 'all' ? [1, steps] : [1] };
  const model = (checkpointEvery) => {
    const options = { units: 256, returnSequences: labels === 'all', checkpointEvery };
    const first =
      input === 'tokens'
        ? [layers.embedding({ inputDim: CLASSES, units: INPUTS }), layers[cell](options)]
        : [layers[cell]({ ...options, inputFeatures: INPUTS })];
    return sequential([...first, layers.dense({ units: CLASSES })], { seed: 1 });
  };
  // The time of the second of two steps: the first one lays out memory.
  const train = async (built) => {
    const ends = [];
    await built.fit(x, y, {
      epochs: 2,
      batchSize: 1,
      threads,
      loss: 'sparseCategoricalCrossentropy',
      optimizer: optimizers.adam(),
      onEpoch: () => ends.push(performance.now()),
    });
    return ends[1] - ends[0];
  };
  return { model, train };
}

const jobs = {
  async peak({ every, ...rest }) {
    const { model, train } = problem(rest);
    await train(model(every));
    return process.resourceUsage().maxRSS / 1024;
  },
  async times(which) {
    const { model, train } = problem(which);
    const plain = model(undefined);
    const cut = model('auto');
    const times = { plain: Infinity, cut: Infinity };
    for (let round = 0; round < rounds; round++) {
      times.plain = Math.min(times.plain, await train(plain));
      times.cut = Math.min(times.cut, await train(cut));
    }
    return times;
  },
};

function inProcess(job) {
  const args = ['steps', 'threads', 'rounds'].flatMap((name) => [`--${name}`, values[name]]);
  const { stdout, status, stderr } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), ...args, '--job', JSON.stringify(job)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

if (values.job !== undefined) {
  const { name, ...rest } = JSON.parse(values.job);
  console.log(JSON.stringify(await jobs[name](rest)));
} else {
  console.log('| cell | input | labels | plain MiB | auto MiB | plain s | auto s | ratio |');
  console.log('| ---- | ----- | ------ | --------- | -------- | ------- | ------ | ----- |');
  for (const which of cases) {
    const plainPeak = inProcess({ name: 'peak', ...which });
    const cutPeak = inProcess({ name: 'peak', every: 'auto', ...which });
    const { plain, cut } = inProcess({ name: 'times', ...which });
    const row = [
      ...Object.values(which),
      Math.round(plainPeak),
      Math.round(cutPeak),
      (plain / 1000).toFixed(2),
      (cut / 1000).toFixed(2),
      (cut / plain).toFixed(2),
    ];
    console.log(`| ${row.join(' | ')} |`);
  }
}
