import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callbacks, ctc, layers, metrics, sequential, text } from '../../lib';
import { negativeBinomial, studentT } from '../../lib/measures/distributions';
import type { EpochEvent, LossOptions, Model } from '../../lib';
import { argumentError, rejectionOf } from '../helpers/errors';
import { characterModel, inTemporaryDirectory, numbers } from '../helpers/models';

const LENGTHS = [4, 1, 0, 5, 3, 2, 5];
const CLASSES = 4;
const ragged = (seed: number) =>
  LENGTHS.map((length, i) =>
    Array.from({ length }, (_step, t) => [...numbers(2, 10 * i + t + seed + 1)]),
  );
const x = ragged(0);
const y = LENGTHS.map((length, i) => Array.from({ length }, (_v, t) => (i * 3 + t * t) % CLASSES));
const mask = LENGTHS.map((length, i) => Array.from({ length }, (_v, t) => Number((i + t) % 4 > 0)));

function tagger(units: number, activation?: 'sigmoid' | 'softmax'): Model {
  return sequential(
    [
      layers.gru({ units: 6, inputFeatures: 2, returnSequences: true }),
      layers.dense({ units, ...(activation === undefined ? {} : { activation }) }),
    ],
    { seed: 4 },
  );
}

/** Rows of the outputs that count, one after the other. */
async function outputRows(model: Model): Promise<Float32Array[]> {
  const { data, shape } = await model.predict(x);
  const [, steps, features] = shape as [number, number, number];
  return mask.flatMap((row, i) =>
    row.flatMap((counts, t) => {
      const from = (i * steps + t) * features;
      return counts === 1 ? [data.slice(from, from + features)] : [];
    }),
  );
}

const counted = <T>(values: T[][]): T[] =>
  values.flatMap((row, i) => row.filter((_value, t) => mask[i]![t] === 1));

/** Two dimensions as one array with a shape. */
const matrix = (rows: Float32Array[]) => ({
  data: Float32Array.from(rows.flatMap((row) => [...row])),
  shape: [rows.length, rows[0]!.length],
});

describe('evaluate agrees with the plain functions, whatever the batches', () => {
  test.each([undefined, 'softmax' as const])('classes, %s', async (activation) => {
    using model = tagger(CLASSES, activation);
    const predictions = matrix(await outputRows(model));
    const wanted = counted(y);
    const { precision, recall, f1 } = metrics.f1(wanted, predictions);
    const weighted = metrics.f1(wanted, predictions, { average: 'weighted' });
    // One class against the rest, by probabilities.
    const probabilities = (await outputRows(model)).map((row) => {
      if (activation !== undefined) return row;
      const powers = row.map((value) => Math.exp(value));
      return powers.map((power) => power / powers.reduce((sum, one) => sum + one, 0));
    });
    const areas = Array.from({ length: CLASSES }, (_v, k) =>
      metrics.auc(
        wanted.map((label) => Number(label === k)),
        probabilities.map((row) => row[k]!),
      ),
    );
    for (const batchSize of [1, 3, 32]) {
      const scores = await model.evaluate(x, y, {
        loss: 'sparseCategoricalCrossentropy',
        mask,
        batchSize,
        metrics: [
          'accuracy',
          'precision',
          'recall',
          'f1',
          { kind: 'f1', average: 'weighted', name: 'weightedF1' },
          { kind: 'f1', average: 'micro', name: 'microF1' },
          { kind: 'topKAccuracy', k: 2 },
          'confusionMatrix',
          'auc',
        ],
      });
      expect(scores).toMatchObject({ precision, recall, f1, weightedF1: weighted.f1 });
      expect(scores['microF1']).toBe(scores.accuracy);
      expect(scores.accuracy).toBe(metrics.accuracy(wanted, predictions));
      expect(scores.topKAccuracy).toBe(metrics.topKAccuracy(wanted, predictions, 2));
      expect(scores.confusionMatrix).toEqual(
        metrics.confusionMatrix(wanted, predictions, { classes: CLASSES }),
      );
      expect(scores.auc).toBeCloseTo(areas.reduce((sum, area) => sum + area) / CLASSES, 10);
    }
  });

  test('one binary output', async () => {
    using model = tagger(1, 'sigmoid');
    const rows = (await outputRows(model)).map(([score]) => score!);
    const labels = y.map((row) => row.map((label) => Number(label > 1)));
    const wanted = counted(labels);
    const predicted = rows.map((score) => Number(score >= 0.5));
    const scores = await model.evaluate(x, labels, {
      loss: 'binaryCrossentropy',
      mask,
      batchSize: 2,
      metrics: ['accuracy', 'precision', 'recall', 'f1', 'auc', 'confusionMatrix'],
    });
    expect(scores).toMatchObject(metrics.f1(wanted, predicted, { average: 'binary' }));
    expect(scores.accuracy).toBe(metrics.accuracy(wanted, predicted));
    expect(scores.auc).toBeCloseTo(metrics.auc(wanted, rows), 12);
    expect(scores.confusionMatrix).toEqual(
      metrics.confusionMatrix(wanted, predicted, { classes: 2 }),
    );
  });

  test('several binary outputs, by logits, each a class of its own', async () => {
    using model = tagger(3);
    const rows = await outputRows(model);
    const labels = y.map((row) => row.map((label) => [label & 1, label >> 1, Number(label > 2)]));
    const wanted = counted(labels);
    const each = [0, 1, 2].map((j) => {
      const own = wanted.map((row) => row[j]!);
      return metrics.f1(
        own,
        rows.map((row) => Number(row[j]! >= 0)),
        { average: 'binary', classes: 2 },
      );
    });
    const scores = await model.evaluate(x, labels, {
      loss: 'binaryCrossentropy',
      mask,
      metrics: ['f1'],
    });
    expect(scores.f1).toBeCloseTo(each.reduce((sum, { f1 }) => sum + f1, 0) / 3, 12);
  });

  test.each<[LossOptions, number]>([
    [{ kind: 'meanSquaredError' }, 2],
    [{ kind: 'gaussian' }, 4],
    [{ kind: 'quantile', quantiles: [0.25, 0.5, 0.75] }, 6],
    [{ kind: 'studentT' }, 6],
    [{ kind: 'negativeBinomial' }, 4],
  ])('numbers, %j', async (loss, outputs) => {
    using model = tagger(outputs);
    const rows = await outputRows(model);
    const numbersOf = ragged(77).map((row) => row.map((step) => step.map((v) => Math.abs(v) + 1)));
    const actual = counted(numbersOf).flat();
    const softplus = (value: number) => Math.log1p(Math.exp(value)) + 1e-6;
    const at = { quantile: 2, negativeBinomial: 0 }[loss.kind as 'quantile'] ?? 0;
    const point = rows.flatMap((row) => {
      const own = [...row.subarray(at, at + 2)];
      return loss.kind === 'negativeBinomial' ? own.map(softplus) : own;
    });
    const history = [3, 1, 4, 1, 5, 9, 2, 6];
    const scores = await model.evaluate(x, numbersOf, {
      loss,
      mask,
      batchSize: 3,
      metrics: ['mae', 'mse', 'rmse', 'smape', { kind: 'mase', history, season: 2 }, 'crps'],
    });
    const errors = actual.map((value, i) => point[i]! - Math.fround(value));
    const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
    expect(scores.mae).toBeCloseTo(mean(errors.map(Math.abs)), 10);
    expect(scores.mse).toBeCloseTo(mean(errors.map((e) => e * e)), 10);
    expect(scores.rmse).toBeCloseTo(Math.sqrt(scores.mse!), 12);
    expect(scores.smape).toBeCloseTo(metrics.smape(actual, point), 4);
    expect(scores.mase).toBeCloseTo(metrics.mase(actual, point, history, 2), 6);
    if (loss.kind === 'meanSquaredError') expect(scores.crps).toBeCloseTo(scores.mae!, 12);
    if (loss.kind === 'gaussian') {
      const deviation = rows.flatMap((row) => [...row.subarray(2, 4)].map(softplus));
      expect(scores.crps).toBeCloseTo(metrics.crps(actual, { mean: point, deviation }), 6);
    }
    if (loss.kind === 'quantile') {
      const quantiles = rows.flatMap((row) =>
        [0, 1].map((j) => [row[j]!, row[2 + j]!, row[4 + j]!]),
      );
      const levels = [0.25, 0.5, 0.75];
      expect(scores.crps).toBeCloseTo(metrics.crps(actual, { quantiles, levels }), 6);
      // The loss is the mean over quantiles of the pinball loss; the score is twice that.
      expect(scores.crps).toBeCloseTo(2 * scores.loss, 5);
    }
    const blocks = rows.flatMap((row) => [0, 1].map((j) => [row[j]!, row[2 + j]!, row[4 + j]!]));
    if (loss.kind === 'studentT') {
      const each = blocks.map(([a, b, c], i) =>
        studentT(a!, softplus(b!), 2 + Math.log1p(Math.exp(c!))).crps(actual[i]!),
      );
      expect(scores.crps).toBeCloseTo(mean(each), 6);
    }
    if (loss.kind === 'negativeBinomial') {
      const each = blocks.map(([a, b], i) =>
        negativeBinomial(softplus(a!), softplus(b!)).crps(actual[i]!),
      );
      expect(scores.crps).toBeCloseTo(mean(each), 6);
    }
  });

  test('label sequences', async () => {
    using model = tagger(4);
    const long = LENGTHS.map((_length, i) =>
      Array.from({ length: 9 - i }, (_step, t) => [...numbers(2, 31 * i + t + 5)]),
    );
    const labels = [[1, 2], [3], [], [1, 1, 2], [2, 3, 1], [1], [2]];
    const lengths = long.map((row) => row.length);
    const decoded = ctc.greedy(await model.predict(long), { lengths });
    const scores = await model.evaluate(long, labels, {
      loss: 'ctc',
      batchSize: 2,
      metrics: ['editDistance', 'characterErrorRate', { kind: 'wordErrorRate', separator: 1 }],
    });
    const edits = labels.map((own, i) => metrics.editDistance(own, decoded[i]!));
    const total = edits.reduce((sum, count) => sum + count);
    expect(total).toBeGreaterThan(0);
    expect(scores.editDistance).toBeCloseTo(total / 7, 12);
    expect(scores.characterErrorRate).toBeCloseTo(total / labels.flat().length, 12);
    const words = (own: number[]) => own.map((label) => (label === 1 ? ' ' : label)).join('');
    expect(scores.wordErrorRate).toBeCloseTo(
      metrics.wordErrorRate(labels.map(words), decoded.map(words)),
      12,
    );
  });

  test('windows of a text, with carried states', async () => {
    const corpus = 'abcabdabcabe'.repeat(11);
    const vocab = text.charVocab(corpus);
    using model = characterModel(vocab.size, 8, 7);
    const windows = text.windows(corpus, { vocab, length: 5, batchSize: 2 });
    const { accuracy, precision, confusionMatrix } = await model.evaluate(windows, {
      loss: 'sparseCategoricalCrossentropy',
      metrics: ['accuracy', 'confusionMatrix', { kind: 'precision', average: 'micro' }],
    });
    // The same states in both passes, or rows would differ; and no row is missing.
    expect(precision).toBe(accuracy);
    const rows = confusionMatrix!.flat().reduce((sum, count) => sum + count);
    expect(rows).toBe(windows.tokens);
  });
});

describe('fit', () => {
  const options = {
    loss: 'sparseCategoricalCrossentropy' as const,
    validationSplit: 0.4,
    batchSize: 2,
    metrics: [
      'accuracy',
      'f1',
      'confusionMatrix',
      { kind: 'topKAccuracy' as const, k: 2 },
    ] as const,
    epochs: 4,
  };

  test('reports them for the validation, everywhere, and resumes to the same numbers', () =>
    inTemporaryDirectory(async (folder) => {
      const held = 2;
      const events: EpochEvent[] = [];
      const whole = tagger(CLASSES);
      const history = await whole.fit(x, y, {
        ...options,
        callbacks: [
          callbacks.csvLogger({ path: join(folder, 'log.csv') }),
          callbacks.jsonLogger({ path: join(folder, 'log.jsonl') }),
          callbacks.tensorBoard({ logDir: join(folder, 'events') }),
          callbacks.earlyStopping({ monitor: 'valF1', patience: 50, restoreBestWeights: false }),
        ],
        onEpoch: (event) => events.push(event),
      });
      expect(Object.keys(history)).toEqual([
        ...['epoch', 'loss', 'learningRate', 'seconds', 'accuracy', 'valLoss', 'valAccuracy'],
        ...['valF1', 'valConfusionMatrix', 'valTopKAccuracy'],
      ]);
      const last = await whole.evaluate(x.slice(-held), y.slice(-held), {
        loss: options.loss,
        metrics: ['f1', 'confusionMatrix'],
      });
      expect(events[3]!['valF1']).toBe(last.f1);
      expect(history.valConfusionMatrix![3]).toEqual(last.confusionMatrix);
      const [heading, first] = readFileSync(join(folder, 'log.csv'), 'utf8').split('\n');
      expect(heading).toMatch(/,valF1,valTopKAccuracy$/);
      expect(first!.split(',')).toHaveLength(heading!.split(',').length);
      const line = JSON.parse(
        readFileSync(join(folder, 'log.jsonl'), 'utf8').split('\n')[3]!,
      ) as object;
      expect(line).toMatchObject({ valF1: last.f1, valConfusionMatrix: last.confusionMatrix });

      const directory = join(folder, 'checkpoints');
      const saving = () =>
        callbacks.modelCheckpoint({ directory, everySteps: 1, monitor: 'valF1' });
      const part = tagger(CLASSES);
      const stop = { onBatchEnd: ({ step }: { step: number }) => step === 4 && part.stop() };
      await part.fit(x, y, { ...options, callbacks: [saving(), { everySteps: 1, ...stop }] });
      const resumed = tagger(CLASSES);
      const again = await resumed.fit(x, y, {
        ...options,
        callbacks: [saving()],
        resume: directory,
      });
      const { seconds: _one, ...a } = history;
      const { seconds: _two, ...b } = again;
      expect(b).toEqual(a);
    }));

  test('takes validation data of its own, and a plateau may follow a metric', async () => {
    using model = tagger(CLASSES);
    const history = await model.fit(x, y, {
      loss: options.loss,
      metrics: ['f1'],
      validationData: { x, y, mask },
      epochs: 2,
    });
    const { f1 } = await model.evaluate(x, y, { loss: options.loss, mask, metrics: ['f1'] });
    expect(history['valF1']).toHaveLength(2);
    expect((history['valF1'] as number[])[1]).toBe(f1);
  });

  test.each<[object, RegExp]>([
    [{ metrics: ['f1'], validationSplit: 0 }, /metrics\[0\].*"f1".*validationData/],
    [{ metrics: ['f2'] }, /metrics\[0\].*"f2"/],
    [{ metrics: ['mae'] }, /that the loss "sparseCategoricalCrossentropy" has.*accuracy/],
    [{ metrics: ['f1', 'f1'] }, /metrics\[1\].name.*"f1"/],
    [{ metrics: [{ kind: 'f1', k: 3 }] }, /nothing with the metric "f1".*k/],
    [{ metrics: [{ kind: 'f1', average: 'binary' }] }, /more than two classes/],
    [{ metrics: [{ kind: 'f1', name: 'valLoss' }] }, /a name of its own/],
  ])('%j is an error', async (given, message) => {
    using model = tagger(CLASSES);
    const caught = await rejectionOf(() => model.fit(x, y, { ...options, ...given } as never));
    expect(caught).toEqual(argumentError(caught.name as 'TypeError', message));
  });

  test('mase needs its history', async () => {
    using model = tagger(2);
    const caught = await rejectionOf(() =>
      model.evaluate(x, ragged(1), { loss: 'meanSquaredError', metrics: ['mase'] }),
    );
    expect(caught).toEqual(argumentError('TypeError', /metrics\[0\]\.history.*required/));
  });
});
