// One job of long.mjs: trains on one sequence, prints { us_per_step, peak_mb } or { unsupported }.
//
//   node long-job.mjs '{"T":100000,"I":16,"H":256,"threads":2,"calls":2,"checkpointEvery":"auto"}'
import { layers, optimizers, sequential } from '../../dist/index.mjs';

const { T, I, H, threads, calls, checkpointEvery } = JSON.parse(process.argv[2]);

function makeModel() {
  const option = checkpointEvery === undefined ? {} : { checkpointEvery };
  return sequential([
    layers.lstm({ units: H, inputFeatures: I, ...option }),
    layers.dense({ units: 1 }),
  ]);
}

let model;
try {
  model = makeModel();
} catch (error) {
  if (checkpointEvery === undefined || !/checkpointEvery/.test(error.message)) throw error;
  console.log(JSON.stringify({ unsupported: 'this version has no "checkpointEvery"' }));
  process.exit(0);
}

const data = new Float32Array(T * I);
for (let i = 0; i < data.length; ++i) data[i] = Math.sin(i * 0.7) * Math.cos(i * 0.013);
const x = { data, shape: [1, T, I] };
const y = { data: Float32Array.of(0.5), shape: [1, 1] };
const options = {
  epochs: 1,
  batchSize: 1,
  loss: 'meanSquaredError',
  optimizer: optimizers.adam(),
  threads,
};

await model.fit(x, y, options);
const times = [];
for (let call = 0; call < calls; ++call) {
  const begin = performance.now();
  await model.fit(x, y, options);
  times.push(performance.now() - begin);
}
const KILOBYTES_PER_MB = 1024;
console.log(
  JSON.stringify({
    us_per_step: (Math.min(...times) * 1000) / T,
    peak_mb: Math.round(process.resourceUsage().maxRSS / KILOBYTES_PER_MB),
  }),
);
