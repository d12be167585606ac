/**
 * Reads dates as people write them, and writes them as ISO 8601 has them: an encoder–decoder with
 * attention over characters, on generated data.
 *
 *   node examples/dates.mjs
 *   node examples/dates.mjs --epochs 20 --samples 10000 --beam 8
 */
import { parseArgs } from 'node:util';
import { encoderDecoder, optimizers, schedules, teacherForcing, text } from 'ostinato';

const { values: flags } = parseArgs({
  options: {
    samples: { type: 'string', default: '4000' },
    epochs: { type: 'string', default: '8' },
    beam: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
  },
});

// ---- dates in many forms ------------------------------------------------------------------------

let state = Number(flags.seed);
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

const MONTHS =
  'January February March April May June July August September October November December'.split(
    ' ',
  );
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const two = (number) => String(number).padStart(2, '0');
const ordinal = (day) => {
  const ending = day > 10 && day < 14 ? undefined : ['st', 'nd', 'rd'][(day % 10) - 1];
  return `${day}${ending ?? 'th'}`;
};

const FORMS = [
  ({ name, day, year }) => `${name} ${day}, ${year}`,
  ({ name, day, year }) => `${day} ${name} ${year}`,
  ({ name, day, year }) => `${day} ${name.slice(0, 3)} ${year}`,
  ({ name, day, year }) => `the ${ordinal(day)} of ${name} ${year}`,
  ({ name, day, year }) => `${name.slice(0, 3)} ${ordinal(day)} ${year}`,
  ({ weekday, name, day, year }) => `${weekday}, ${name} ${day}, ${year}`,
  ({ weekday, name, day, year }) => `${weekday.slice(0, 3)} ${day} ${name} ${year}`,
  ({ month, day, year }) => `${two(day)}.${two(month)}.${year}`,
  ({ month, day, year }) => `${day}.${month}.${two(year % 100)}`, // 1950 … 2049
  ({ month, day, year }) => `${month}/${day}/${year}`,
  ({ month, day, year }) => `${year}/${two(month)}/${two(day)}`,
];

/** The day that is so many days after 1950 began, in one of the forms and in ISO's. */
function written(days, form) {
  const date = new Date(Date.UTC(1950, 0, 1 + days));
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  const weekday = DAYS[date.getUTCDay()];
  return {
    source: form({ year, month, day, weekday, name: MONTHS[month - 1] }),
    target: `${year}-${two(month)}-${two(day)}`,
  };
}

const count = Number(flags.samples);
const all = new Map();
while (all.size < count) {
  const pair = written(random(36_500), FORMS[random(FORMS.length)]);
  all.set(pair.source, pair);
}
const pairs = [...all.values()];
const heldOut = pairs.splice(0, Math.floor(count / 10));
console.log(`${pairs.length} dates to learn from, ${heldOut.length} held out`);

// ---- characters as tokens -----------------------------------------------------------------------

const everyForm = FORMS.flatMap((form) => MONTHS.map((_name, i) => written(31 * i, form).source));
const letters = text.charVocab([...everyForm, ...DAYS, ...MONTHS, 'stndrdth0123456789'].join(''));
const digits = text.charVocab('0123456789-');
const sources = (list) => list.map(({ source }) => letters.encode(source));
const targets = (list) => list.map(({ target }) => digits.encode(target));

const model = encoderDecoder({
  source: { vocab: letters.size, embedding: 32 },
  target: {
    vocab: digits.size + 2,
    embedding: 16,
    startToken: digits.size,
    endToken: digits.size + 1,
  },
  cell: 'gru',
  units: 64,
  bidirectional: true,
  attention: 'general',
  seed: Number(flags.seed),
});

const epochs = Number(flags.epochs);
const batchSize = 64;
const totalSteps = epochs * Math.ceil(pairs.length / batchSize);
await model.fit(sources(pairs), targets(pairs), {
  epochs,
  batchSize,
  optimizer: optimizers.adam({
    learningRate: schedules.cosine({ learningRate: 8e-3, totalSteps, warmupSteps: 10 }),
    clipNorm: 1,
  }),
  // In the second half more and more of what the decoder reads is its own writing.
  teacherForcing: (step) =>
    step < totalSteps / 2
      ? 1
      : teacherForcing.linear({ steps: totalSteps / 2, to: 0.75 })(step - totalSteps / 2),
  validationData: [sources(heldOut), targets(heldOut)],
  onEpoch: ({ epoch, loss, valLoss, valAccuracy, seconds }) =>
    console.log(
      `epoch ${epoch + 1} of ${epochs}: loss ${loss.toFixed(3)}, held out ${valLoss.toFixed(3)}, ` +
        `characters right ${(100 * valAccuracy).toFixed(1)} %, ${seconds.toFixed(1)} s`,
    ),
});

// ---- what it has learned ------------------------------------------------------------------------

const beamWidth = Number(flags.beam);
const asked = [
  'March 3, 2021',
  'the 22nd of August 1969',
  'Sat 1 January 2000',
  '7/4/1976',
  '9.11.89',
];
const answers = await model.decode(
  asked.map((source) => letters.encode(source)),
  { beamWidth, nBest: Math.min(2, beamWidth) },
);
console.log('');
asked.forEach((source, i) => {
  const [best, second] = answers[i].map(
    ({ tokens, logProbability }) =>
      `${digits.decode(tokens)} (${(100 * Math.exp(logProbability)).toFixed(1)} %)`,
  );
  console.log(`  ${source.padEnd(24)} ${best}${second === undefined ? '' : `, or ${second}`}`);
});

const { accuracy, sequenceAccuracy } = await model.evaluate(sources(heldOut), targets(heldOut), {
  beamWidth,
});
model.dispose();
console.log(
  `\ndates: whole_dates=${sequenceAccuracy.toFixed(4)} characters=${accuracy.toFixed(4)}`,
);
