/**
 * A training run that may be killed at any moment: goes on from the newest checkpoint in its folder
 * if there is one, and leaves its result in a file when it is done.
 *
 *   node killed-run.mjs <library> <folder> <kind>
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [library, folder, kind] = process.argv.slice(2);
const { callbacks, layers, optimizers, schedules, sequential, text } = createRequire(
  import.meta.url,
)(library);

/** A text in lanes: carried states, dropout, a schedule, clipping. */
function languageModel() {
  const words = ['the sea ', 'a ship ', 'sees ', 'hears ', 'one whale. '];
  const corpus = Array.from({ length: 260 }, (_v, i) => words[(i * i + (i >> 2)) % 5]).join('');
  const vocab = text.charVocab(corpus);
  const model = sequential(
    [
      layers.embedding({ inputDim: vocab.size, units: 6 }),
      layers.lstm({ units: 12, layers: 2, dropout: 0.2, returnSequences: true }),
      layers.dense({ units: vocab.size }),
    ],
    { seed: 5 },
  );
  return {
    model,
    data: [text.windows(corpus, { vocab, length: 8, batchSize: 4 })],
    options: {
      loss: 'sparseCategoricalCrossentropy',
      metrics: ['accuracy', 'bits'],
      optimizer: optimizers.adamw({
        learningRate: schedules.cosine({ learningRate: 0.01, totalSteps: 400, warmupSteps: 20 }),
        clipNorm: 1,
      }),
      validationSplit: 0.1,
    },
  };
}

/** Samples in a new order each epoch, the last ones held out. */
function regression() {
  const samples = 90;
  const wave = (i) => Math.sin(i * 0.7) + Math.cos(i * i * 0.13);
  const x = { data: Float32Array.from({ length: samples * 15 }, (_v, i) => wave(i)) };
  const y = { data: Float32Array.from({ length: samples * 2 }, (_v, i) => wave(i * 3) / 2) };
  const model = sequential(
    [
      layers.gru({ units: 9, inputFeatures: 3 }),
      layers.dropout({ rate: 0.1 }),
      layers.dense({ units: 2 }),
    ],
    { seed: 8 },
  );
  return {
    model,
    data: [
      { ...x, shape: [samples, 5, 3] },
      { ...y, shape: [samples, 2] },
    ],
    options: {
      loss: 'meanSquaredError',
      batchSize: 7,
      optimizer: optimizers.rmsprop({ learningRate: 0.003, momentum: 0.9 }),
      validationSplit: 0.2,
    },
  };
}

const { model, data, options } = kind === 'text' ? languageModel() : regression();
const checkpoints = path.join(folder, 'checkpoints');
const stopping = callbacks.earlyStopping({ monitor: 'valLoss', patience: 50 });
const history = await model.fit(...data, {
  ...options,
  epochs: kind === 'text' ? 8 : 30,
  callbacks: [
    stopping,
    callbacks.csvLogger({ path: path.join(folder, 'steps.csv'), frequency: 'batch' }),
    callbacks.modelCheckpoint({ directory: checkpoints, everySteps: 7, keep: 2 }),
  ],
  threads: 1,
  resume: await callbacks.latestCheckpoint(checkpoints),
});
await model.save(path.join(folder, 'weights.safetensors'));
// Times are never the same.
delete history.seconds;
writeFileSync(
  path.join(folder, 'result.json'),
  JSON.stringify({ history, best: stopping.best, bestEpoch: stopping.bestEpoch }),
);
