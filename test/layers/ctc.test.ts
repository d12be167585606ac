/** The CTC loss in training, its bad input, and decoding. */
import { ctc, layers, optimizers, sequential, text } from '../../lib';
import type { ArrayInput } from '../../lib';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { characterModel, numbers } from '../helpers/models';

/** Frames in which each label shows for some steps, with pauses between them. */
function spoken(labels: number[][], features: number) {
  return labels.map((sequence, i) =>
    sequence.flatMap((label, j) => {
      const frame = (value: number) =>
        Array.from({ length: features }, (_v, k) => (k === value ? 1 : 0));
      const pause = (i + j) % 3 === 0 ? [frame(-1), frame(-1)] : [frame(-1)];
      return [...Array.from({ length: 1 + ((i * 7 + j * 3) % 3) }, () => frame(label)), ...pause];
    }),
  );
}

const sequences = Array.from({ length: 24 }, (_v, i) =>
  Array.from({ length: 1 + (i % 4) }, (_w, j) => 1 + ((i * 5 + j * j * 3) % 4)),
);

test('a transcriber learns labels without their times, and decodes them', async () => {
  const x = spoken(sequences, 5);
  using model = sequential(
    [
      layers.gru({ units: 16, bidirectional: true, returnSequences: true, inputFeatures: 5 }),
      layers.dense({ units: 5 }),
    ],
    { seed: 4 },
  );
  const optimizer = optimizers.adam({ learningRate: 0.02, clipNorm: 1 });
  const { loss } = await model.fit(x, sequences, {
    loss: 'ctc',
    epochs: 40,
    batchSize: 8,
    optimizer,
  });
  expect(loss.at(-1)).toBeLessThan(0.2);
  const lengths = x.map(({ length }) => length);
  const output = await model.predict(x);
  expect(ctc.greedy(output, { lengths })).toEqual(sequences);
  const beams = await ctc.beamSearch(output, { lengths });
  expect(beams.map(([best]) => best!.labels)).toEqual(sequences);
  const { loss: mean } = await model.evaluate(x, sequences, { loss: 'ctc' });
  const sum = beams.reduce((total, [best]) => total - best!.logProbability, 0);
  expect(sum / 24).toBeCloseTo(mean, 2);
});

describe('targets', () => {
  const x = { data: new Int32Array(6), shape: [2, 3] };
  const evaluate = async (y: ArrayInput, options: object = {}) => {
    using model = characterModel(4);
    return (await model.evaluate(x, y, { loss: 'ctc', ...options })).loss;
  };

  test('are ragged, or padded by blanks or negative numbers', async () => {
    const ragged = await evaluate([[1, 2], []]);
    expect(
      await evaluate([
        [1, 2, 0],
        [0, 0, 0],
      ]),
    ).toBe(ragged);
    expect(
      await evaluate([
        [1, 2, -1, -1],
        [-100, -1, 0, -1],
      ]),
    ).toBe(ragged);
    expect(await evaluate([[1, 2], []], { sampleWeights: [2, 2] })).toBeCloseTo(2 * ragged, 5);
  });

  test.each([
    [[[1, 2, 3, 1], []], 'ERR_SHAPE_MISMATCH', /3 steps can emit for "y\[0\]".*4 with 0 equal/],
    [[[1], [2, 2, 2]], 'ERR_SHAPE_MISMATCH', /"y\[1\]".*3 with 2 equal.*need 5 steps/],
    [[[1], [4]], 'ERR_INVALID_ARGUMENT', /a label below 4 for "y\[1\]\[0\]"/],
    [[[1], [0, 2]], 'ERR_INVALID_ARGUMENT', /nothing after padding for "y\[1\]\[1\]"/],
    [[[1]], 'ERR_SHAPE_MISMATCH', /2 label sequences for "y"/],
  ])('%j is refused', async (y, code, message) => {
    const error = await rejectionOf(() => evaluate(y));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
  });

  test('lengths count, masks and weights of steps do not go', async () => {
    const short = await rejectionOf(() => evaluate([[1, 2], [1]], { lengths: [1, 3] }));
    expect(short.message).toMatch(/1 steps can emit for "y\[0\]"/);
    const mask = await rejectionOf(() =>
      evaluate([[1], [1]], {
        mask: [
          [1, 1, 1],
          [1, 1, 1],
        ],
      }),
    );
    expect(mask.message).toMatch(/nothing for label sequences.*mask/);
    const sampleWeights = [
      [1, 1, 1],
      [1, 1, 1],
    ];
    const weights = await rejectionOf(() => evaluate([[1], [1]], { sampleWeights }));
    expect(weights.message).toMatch(/one number for each sample/);
    const blank = await rejectionOf(() =>
      evaluate([[1], [1]], { loss: { kind: 'ctc', blank: 4 } }),
    );
    expect(blank.message).toMatch(/a class below 4.*loss\.blank/);
  });

  test('whole sequences, probabilities and windows of a text are refused', async () => {
    using last = sequential([layers.gru({ units: 3, inputFeatures: 1 })]);
    const y = [[1], [1]];
    const timed = await rejectionOf(() => last.fit(numbers(6), y, { loss: 'ctc' }));
    expect(timed.message).toMatch(/returnSequences: true/);
    using soft = sequential([
      layers.embedding({ inputDim: 4, units: 4 }),
      layers.dense({ units: 4, activation: 'softmax' }),
    ]);
    expect((await rejectionOf(() => soft.fit(x, y, { loss: 'ctc' }))).message).toMatch(/softmax/);
    using model = characterModel(3);
    const vocab = text.charVocab('abc');
    const windows = text.windows('abcabcabc', { vocab, length: 2 });
    const error = await rejectionOf(() => model.fit(windows, { loss: 'ctc' }));
    expect(error.message).toMatch(/arrays/);
  });
});

/** Logits whose softmax are the given probabilities, [1, time, classes]. */
function output(...steps: number[][]) {
  const data = Float32Array.from(steps.flat(), (p) => Math.log(p));
  return { data, shape: [1, steps.length, steps[0]!.length] };
}

describe('decoding', () => {
  test('the best path is not always that of the best labels', async () => {
    // Graves 2012, figure 7.5: two steps, P(blank) = 0.6 each; "A" has 0.4·0.4 + 2·0.4·0.6 = 0.64.
    const even = output([0.6, 0.4], [0.6, 0.4]);
    expect(ctc.greedy(even)).toEqual([[]]);
    const [alternatives] = await ctc.beamSearch(even, { alternatives: 3 });
    expect(alternatives!.map(({ labels }) => labels)).toEqual([[1], []]);
    expect(Math.exp(alternatives![0]!.logProbability)).toBeCloseTo(0.64, 6);
    expect(Math.exp(alternatives![1]!.logProbability)).toBeCloseTo(0.36, 6);
  });

  test('a wide beam gives all sequences their whole probability', async () => {
    const raw = numbers(4 * 3, 3);
    const logits = { data: raw, shape: [1, 4, 3] };
    const all = await ctc.beamSearch(logits, { width: 1000, alternatives: 1000 });
    const total = all[0]!.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0);
    expect(total).toBeCloseTo(1, 6);
    using model = sequential([layers.embedding({ name: 'e', inputDim: 4, units: 3 })]);
    model.setWeights({ 'e.weight': { data: raw, shape: [4, 3] } });
    for (const { labels, logProbability } of all[0]!) {
      const { loss } = await model.evaluate([[0, 1, 2, 3]], [labels], { loss: 'ctc' });
      expect(-logProbability).toBeCloseTo(loss, 4);
    }
  });

  test('words bind what is decoded', async () => {
    // Most probable: 1 3; words are 1 2 and 2 2, apart by 3.
    const frames = output(
      [0.05, 0.85, 0.05, 0.05],
      [0.05, 0.05, 0.3, 0.6],
      [0.3, 0.05, 0.05, 0.6],
      [0.05, 0.05, 0.8, 0.1],
      [0.8, 0.05, 0.1, 0.05],
      [0.05, 0.05, 0.8, 0.1],
    );
    const words = [
      [1, 2],
      [2, 2],
    ];
    const free = await ctc.beamSearch(frames);
    const bound = await ctc.beamSearch(frames, { words, separator: 3, width: 64 });
    expect(free[0]![0]!.labels).toEqual([1, 3, 2, 2]);
    expect(bound[0]![0]!.labels).toEqual([1, 2, 3, 2, 2]);
    // A single word, and none that fits.
    const single = await ctc.beamSearch(frames, {
      words: [[2, 1, 2, 1, 2, 1, 2]],
      alternatives: 9,
    });
    expect(single[0]!.every(({ labels }) => labels.length === 0)).toBe(true);
  });

  test('a language model has a say', async () => {
    const frames = output([0.2, 0.41, 0.39], [0.8, 0.1, 0.1]);
    const scorer = ctc.ngram([[2], [2], [2], [1]], { classes: 3 });
    expect((await ctc.beamSearch(frames))[0]![0]!.labels).toEqual([1]);
    const [best] = (await ctc.beamSearch(frames, { scorer, labelBonus: 1 }))[0]!;
    expect(best!.labels).toEqual([2]);
    expect(best!.score).toBeCloseTo(best!.logProbability + scorer([], 2) + 1, 10);
  });

  test('n-grams are probabilities that back off', () => {
    const scorer = ctc.ngram([[0, 1, 2, 0, 1, 2]], { classes: 4, order: 3, smoothing: 0.5 });
    const p = (before: number[], label: number) => Math.exp(scorer(before, label));
    for (const before of [[], [0], [0, 1], [3, 3, 3]]) {
      const sum = [0, 1, 2, 3].reduce((total, label) => total + p(before, label), 0);
      expect(sum).toBeCloseTo(1, 12);
    }
    expect(p([0, 1], 2)).toBeGreaterThan(0.8);
    // Empty context: (2 + 0.5 / 4) / (6 + 0.5).
    expect(p([], 1)).toBeCloseTo(2.125 / 6.5, 12);
  });

  test('bad arguments', async () => {
    const one = output([0.5, 0.5]);
    expect(thrownBy(() => ctc.greedy({ data: one.data, shape: [1, 2] })).code).toBe(
      'ERR_SHAPE_MISMATCH',
    );
    expect(thrownBy(() => ctc.greedy(one, { blank: 2 })).message).toMatch(/ctc\.greedy\.blank/);
    expect(thrownBy(() => ctc.greedy(one, { lengths: [2] })).message).toMatch(/lengths\[0\]/);
    expect(thrownBy(() => ctc.greedy(one, { lengths: [1, 1] })).code).toBe('ERR_SHAPE_MISMATCH');
    const wrong = (options: object) => rejectionOf(() => ctc.beamSearch(one, options));
    expect((await wrong({ words: [[0]] })).message).toMatch(/neither the blank nor the separator/);
    expect((await wrong({ words: [[]] })).message).toMatch(/words\[0\]/);
    expect((await wrong({ beamWidth: 3 })).name).toBe('TypeError');
    expect((await wrong({ scorer: () => 1 })).message).toMatch(/ln of a probability/);
    expect((await wrong({ signal: AbortSignal.abort(new Error('enough')) })).message).toBe(
      'enough',
    );
    expect(thrownBy(() => ctc.ngram([[5]], { classes: 5 })).message).toMatch(/sequences\[0\]\[0\]/);
  });
});
