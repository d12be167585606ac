import fc from 'fast-check';
import { metrics } from '../../lib';
import { thrownBy } from '../helpers/errors';

const targets = [0, 1, 2, 2, 1, 0];
const predictions = [0, 2, 2, 2, 1, 1];

describe('classification', () => {
  test('accuracy and the confusion matrix, from ids and from scores', () => {
    expect(metrics.accuracy(targets, predictions)).toBeCloseTo(4 / 6, 12);
    const matrix = [
      [1, 1, 0],
      [0, 1, 1],
      [0, 0, 2],
    ];
    expect(metrics.confusionMatrix(targets, predictions)).toEqual(matrix);
    const data = Float32Array.from(
      predictions.flatMap((label) => [0, 1, 2].map((k) => (k === label ? 0.5 : 0.25))),
    );
    expect(metrics.confusionMatrix(targets, { data, shape: [6, 3] })).toEqual(matrix);
    expect(metrics.confusionMatrix([0], [0], { classes: 2 })).toEqual([
      [1, 0],
      [0, 0],
    ]);
  });

  test('precision, recall and F1', () => {
    const [a, b, c] = metrics.f1ByClass(targets, predictions);
    expect(a).toEqual({ precision: 1, recall: 0.5, f1: 2 / 3, support: 2 });
    expect(b).toEqual({ precision: 0.5, recall: 0.5, f1: 0.5, support: 2 });
    expect(c).toEqual({ precision: 2 / 3, recall: 1, f1: 0.8, support: 2 });
    const macro = metrics.f1(targets, predictions);
    expect(macro.f1).toBeCloseTo((2 / 3 + 0.5 + 0.8) / 3, 12);
    expect(metrics.f1(targets, predictions, { average: 'micro' }).f1).toBeCloseTo(4 / 6, 12);
    const uneven = metrics.f1([0, 0, 0, 1], [0, 0, 1, 1], { average: 'weighted' });
    expect(uneven.precision).toBeCloseTo((3 * 1 + 1 * 0.5) / 4, 12);
    const binary = metrics.f1([0, 0, 0, 1], [0, 0, 1, 1], { average: 'binary' });
    expect(binary).toEqual({ precision: 0.5, recall: 1, f1: 2 / 3 });
    // A class that nobody has seen changes no mean.
    expect(metrics.f1(targets, predictions, { classes: 9 })).toEqual(macro);
    // One that was only ever guessed does.
    expect(metrics.f1([0, 0], [0, 3]).recall).toBeCloseTo(0.25, 12);
  });

  test('top k counts ties for the target and never NaN', () => {
    const scores = { data: Float32Array.of(3, 2, 1, 0, 1, 1, 0, 0, NaN, 1, 0, 0), shape: [3, 4] };
    expect(metrics.topKAccuracy([1, 1, 1], scores, 1)).toBeCloseTo(1 / 3, 12);
    expect(metrics.topKAccuracy([1, 1, 1], scores, 2)).toBe(1);
    expect(metrics.topKAccuracy([3, 3, 0], scores, 3)).toBeCloseTo(1 / 3, 12);
  });

  test('the area under the curve is a share of pairs', () => {
    expect(metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).toBe(0.75);
    expect(metrics.auc([1, 0], [5, 5])).toBe(0.5);
    const pairs = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 4 })),
      {
        minLength: 2,
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(pairs, (rows) => {
        const wins = rows.flatMap(([label, score]) =>
          label === 1
            ? rows
                .filter(([other]) => other === 0)
                .map(([, s]) => (score > s ? 1 : score === s ? 0.5 : 0))
            : [],
        );
        if (wins.length === 0) return;
        const share = wins.reduce((sum: number, win) => sum + win, 0) / wins.length;
        const [labels, scores] = [rows.map(([l]) => l), rows.map(([, s]) => s)];
        expect(metrics.auc(labels, scores)).toBeCloseTo(share, 10);
      }),
    );
  });

  test('perplexity and bits', () => {
    expect(metrics.perplexity(Math.log(8))).toBeCloseTo(8, 10);
    expect(metrics.bits(Math.log(8))).toBeCloseTo(3, 12);
  });
});

describe('text', () => {
  test('edit distances', () => {
    expect(metrics.editDistance('kitten', 'sitting')).toBe(3);
    expect(metrics.editDistance('', 'abc')).toBe(3);
    expect(metrics.editDistance('a😀b', 'ab')).toBe(1);
    expect(metrics.editDistance([1, 2, 3], Int32Array.of(2, 3, 4))).toBe(2);
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        const d = metrics.editDistance(a, b);
        expect(metrics.editDistance(b, a)).toBe(d);
        expect(d === 0).toBe(a === b);
        expect(d).toBeLessThanOrEqual(metrics.editDistance(a, c) + metrics.editDistance(c, b));
      }),
    );
  });

  test('error rates are over all texts together', () => {
    expect(metrics.characterErrorRate('abcd', 'abxd')).toBe(0.25);
    expect(metrics.characterErrorRate(['abcd', 'ab'], ['abcd', ''])).toBeCloseTo(2 / 6, 12);
    expect(metrics.wordErrorRate('the cat  sat', 'the dog sat down')).toBeCloseTo(2 / 3, 12);
  });
});

describe('forecasts', () => {
  test('sMAPE and MASE', () => {
    expect(metrics.smape([100, 0, 4], [50, 0, 0])).toBeCloseTo((200 / 3 + 0 + 200) / 3, 10);
    expect(metrics.mase([5, 7], [4, 4], [1, 2, 4, 3])).toBeCloseTo(2 / (4 / 3), 12);
    expect(metrics.mase([5, 7], [4, 4], [1, 2, 4, 3], 2)).toBeCloseTo(2 / 2, 12);
  });

  test('CRPS of a normal is the integral that defines it', () => {
    for (const [y, mean, deviation] of [
      [0, 0, 1],
      [3, 1, 0.5],
      [-9, 1, 2],
    ] as const) {
      // The integral of (F(x) - [x >= y])^2 with F by a sum of its density.
      const [low, step] = [mean - 12 * deviation - 20, 1e-3];
      let [F, integral] = [0, 0];
      for (let x = low; x < mean + 12 * deviation + 20; x += step) {
        const z = (x + step / 2 - mean) / deviation;
        F += (Math.exp((-z * z) / 2) / (deviation * Math.sqrt(2 * Math.PI))) * step;
        integral += (F - Number(x >= y)) ** 2 * step;
      }
      const forecast = { mean: [mean], deviation: [deviation] };
      expect(metrics.crps([y], forecast)).toBeCloseTo(integral, 2);
    }
    // Gneiting and Raftery 2007, at the mean: deviation (√2 - 1) / √π.
    const at = metrics.crps([2], { mean: [2], deviation: [3] });
    expect(at).toBeCloseTo((3 * (Math.SQRT2 - 1)) / Math.sqrt(Math.PI), 12);
    expect(metrics.crps([2], { mean: [5], deviation: [0] })).toBe(3);
  });

  test('CRPS of samples and of quantiles', () => {
    // E |X - 1| = (1 + 0 + 2) / 3; E |X - X'| = 2 (1 + 3 + 2) / 9.
    expect(metrics.crps([1], { samples: [[0, 1, 3]] })).toBeCloseTo(1 - 6 / 9, 12);
    expect(metrics.crps([1], { samples: [[4]] })).toBe(3);
    expect(metrics.crps([1], { quantiles: [[3]], levels: [0.5] })).toBe(2);
    const levels = Array.from({ length: 999 }, (_v, i) => (i + 1) / 1000);
    // Quantiles of the uniform distribution on 0 … 1, at its middle: 1 / 12.
    const many = metrics.crps([0.5], { quantiles: [levels], levels });
    expect(many).toBeCloseTo(1 / 12, 3);
  });
});

test.each([
  [() => metrics.accuracy([], []), /at least one number/],
  [() => metrics.accuracy([0.5], [0]), /an integer.*targets\[0\]/],
  [() => metrics.accuracy([0, 1], [0]), /2 numbers for "predictions"/],
  [() => metrics.accuracy([0], { data: new Float32Array(4), shape: [2, 2] }), /\[1, classes\]/],
  [() => metrics.confusionMatrix([2], [0], { classes: 2 }), /at least 3/],
  [() => metrics.f1([0, 1, 2], [0, 1, 2], { average: 'binary' }), /two classes/],
  [() => metrics.topKAccuracy([4], { data: new Float32Array(4), shape: [1, 4] }), /targets\[0\]/],
  [() => metrics.auc([1, 1], [1, 2]), /both 0 and 1/],
  [() => metrics.auc([1, 0], [1, NaN]), /scores\[1\]/],
  [() => metrics.editDistance(5 as never, 'a'), /a string or an array for "a"/],
  [() => metrics.characterErrorRate('', 'a'), /not empty/],
  [() => metrics.wordErrorRate(['a', 'b'], ['a']), /2 texts/],
  [() => metrics.smape([1, 2], [1]), /2 numbers for "forecast"/],
  [() => metrics.mase([1], [1], [3, 3, 3]), /a history that changes/],
  [() => metrics.mase([1], [1], [3, 4], 2), /season/],
  [() => metrics.crps([1], {} as never), /array of arrays/],
  [() => metrics.crps([1], { mean: [1], sigma: [1] } as never), /known option/],
  [() => metrics.crps([1], { mean: [1], deviation: [-1] }), /forecast\.deviation\[0\]/],
  [() => metrics.crps([1], { quantiles: [[1, 2]], levels: [0.5] }), /1 numbers/],
])('bad arguments %#', (call, message) => {
  expect(thrownBy(call).message).toMatch(message);
});
