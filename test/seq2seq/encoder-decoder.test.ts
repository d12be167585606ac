import { join } from 'node:path';
import {
  callbacks,
  encoderDecoder,
  fromConfig,
  layers,
  load,
  loadEncoderDecoder,
  optimizers,
  sequential,
} from '../../lib';
import type { EncoderDecoder, EncoderDecoderFitOptions, EncoderDecoderOptions } from '../../lib';
import { argumentError, rejectionOf, thrownBy } from '../helpers/errors';
import { inTemporaryDirectory } from '../helpers/models';
import { reversals, tinyModel } from '../helpers/seq2seq';

const VOCAB = 6;
const { sources, targets } = reversals(360, VOCAB, 6);
const TRAIN = 300;
const training = [sources.slice(0, TRAIN), targets.slice(0, TRAIN)] as const;
const heldOut = [sources.slice(TRAIN), targets.slice(TRAIN)] as const;

const OPTIONS: EncoderDecoderOptions = {
  source: { vocab: VOCAB, embedding: 16 },
  target: { vocab: VOCAB + 2, embedding: 16, startToken: VOCAB, endToken: VOCAB + 1 },
  cell: 'gru',
  units: 48,
  seed: 3,
};
const bits = ({ model }: EncoderDecoder): string => JSON.stringify(model.getWeights());

describe('an encoder–decoder', () => {
  test('learns to turn strings round', async () => {
    using made = encoderDecoder(OPTIONS);
    const history = await made.fit(...training, {
      epochs: 40,
      batchSize: 32,
      optimizer: optimizers.adam({ learningRate: 1e-2, clipNorm: 1 }),
      validationData: heldOut,
    });
    expect(history.loss.at(-1)).toBeLessThan(0.02);
    expect(history.valAccuracy!.at(-1)).toBeGreaterThan(0.95);
    const learned = await made.evaluate(...training);
    expect(learned.sequenceAccuracy).toBe(1);
    expect(learned.perplexity).toBeCloseTo(Math.exp(learned.loss), 10);
    const unseen = await made.evaluate(...heldOut, { beamWidth: 3 });
    expect(unseen.sequenceAccuracy).toBeGreaterThan(0.85);
    expect(unseen.loss).toBeCloseTo(history.valLoss!.at(-1)!, 5);
    expect(await made.decode([[0, 1, 2, 3], Int32Array.of(5, 4)])).toEqual([
      [3, 2, 1, 0],
      [4, 5],
    ]);
  });

  test('is the graph that its summary says', () => {
    using made = encoderDecoder({ ...OPTIONS, bidirectional: true, layers: 2, dropout: 0.1 });
    const summary = made.summary();
    for (const name of ['encoder', 'final_h', 'bridge_h', 'decoder', 'attention', 'output']) {
      expect(summary).toContain(name);
    }
    expect(made.model.inputs).toMatchObject({
      source: { axis: 'source' },
      target: { axis: 'target' },
    });
    using plain = encoderDecoder({ ...OPTIONS, attention: false });
    expect(plain.summary()).not.toContain('attention');
    expect(plain.summary()).not.toContain('bridge');
  });

  test('trains with all its options, and targets without tokens', async () => {
    for (const more of [
      { attention: 'dot', layers: 2, dropout: 0.2, cell: 'lstm' },
      { attention: 'additive', attentionUnits: 5, bidirectional: true },
      { attention: false, bidirectional: 'sum', cell: 'simpleRnn' },
    ] as const) {
      using made = encoderDecoder({ ...OPTIONS, units: 12, ...more });
      const history = await made.fit([[1], [2, 3], [4]], [[], [3], [4, 4]], {
        epochs: 60,
        optimizer: optimizers.adam({ learningRate: 2e-2 }),
        labelSmoothing: 0.01,
      });
      expect(history.loss.at(-1)).toBeLessThan(0.7 * history.loss[0]!);
      expect(history.accuracy).toHaveLength(60);
    }
  });

  test('decodes the same after it was saved and loaded', async () => {
    using made = tinyModel({ bidirectional: true });
    made.metadata = { words: ['a'] };
    const given = [[0, 1], [3]];
    const wanted = await made.decode(given, { beamWidth: 3, nBest: 3 });
    await inTemporaryDirectory(async (folder) => {
      const path = join(folder, 'model.safetensors');
      await made.save(path);
      using again = await loadEncoderDecoder(path);
      expect(again.metadata).toEqual({ words: ['a'] });
      expect(await again.decode(given, { beamWidth: 3, nBest: 3 })).toEqual(wanted);
      using model = await load(path);
      expect(model.getConfig()).toEqual(made.model.getConfig());
      expect(model.getConfig().boundaries).toEqual({ startToken: 3, endToken: 4 });
      using drawn = fromConfig(model.getConfig());
      expect(drawn.parameterCount).toBe(model.parameterCount);
      using other = sequential([layers.dense({ units: 1, inputFeatures: 1 })]);
      await other.save(path);
      expect(await rejectionOf(() => loadEncoderDecoder(path))).toMatchObject({
        code: 'ERR_FORMAT',
        message: expect.stringContaining('no encoder–decoder') as string,
      });
    });
  });

  test('sees the weights that training and setWeights leave', async () => {
    using made = tinyModel();
    const before = await made.decode([[0, 1, 2]], { returnScores: true });
    await made.fit([[0, 1, 2]], [[1, 1]], { epochs: 3 });
    const after = await made.decode([[0, 1, 2]], { returnScores: true });
    expect(after).not.toEqual(before);
    using other = tinyModel();
    other.model.setWeights(made.model.getWeights());
    expect(await other.decode([[0, 1, 2]], { returnScores: true })).toEqual(after);
  });

  test('can be read in callbacks, and not while it trains', async () => {
    using made = encoderDecoder({ ...OPTIONS, units: 8 });
    const seen: number[][][] = [];
    const running = made.fit(...training, {
      epochs: 2,
      onEpoch: async () => {
        seen.push(await made.decode([[1, 2]], { maxLength: 3 }));
      },
    });
    expect(await rejectionOf(() => made.decode([[1]]))).toMatchObject({ code: 'ERR_BUSY' });
    await running;
    expect(seen).toHaveLength(2);
    const decoding = made.decode(training[0], { beamWidth: 4 });
    expect(await rejectionOf(() => made.fit(...training))).toMatchObject({ code: 'ERR_BUSY' });
    expect(thrownBy(() => made.model.setWeights({}))).toMatchObject({ code: 'ERR_BUSY' });
    await decoding;
  });

  test('goes on bit for bit from a checkpoint', async () => {
    await inTemporaryDirectory(async (folder) => {
      const options: EncoderDecoderFitOptions = {
        epochs: 3,
        batchSize: 64,
        validationSplit: 0.1,
        teacherForcing: (step) => 1 - step / 20,
      };
      const small: EncoderDecoderOptions = { ...OPTIONS, units: 8, dropout: 0.1 };
      using whole = encoderDecoder(small);
      const history = await whole.fit(...training, options);
      using first = encoderDecoder(small);
      await first.fit(...training, {
        ...options,
        callbacks: [
          callbacks.modelCheckpoint({ directory: folder, everySteps: 1 }),
          { onBatchEnd: ({ step }, run) => step === 6 && run.stop() },
        ],
      });
      const resume = await callbacks.latestCheckpoint(folder);
      using second = await loadEncoderDecoder(resume!);
      const rest = await second.fit(...training, { ...options, resume });
      expect(bits(second)).toBe(bits(whole));
      expect(rest.loss).toEqual(history.loss);
      using third = encoderDecoder(small);
      const other = await rejectionOf(() =>
        third.fit(...training, { ...options, guess: 'greedy', resume }),
      );
      expect(other).toMatchObject({
        code: 'ERR_CHECKPOINT',
        message: expect.stringContaining('scheduledSampling.guess') as string,
      });
    });
  });

  test('refuses wrong options', () => {
    const refusal = (options: object) => thrownBy(() => encoderDecoder({ ...OPTIONS, ...options }));
    const { startToken } = OPTIONS.target;
    expect(refusal({ target: { vocab: 8, startToken } })).toEqual(
      argumentError('TypeError', /encoderDecoder\.target\.endToken/),
    );
    expect(refusal({ target: { vocab: 7, startToken, endToken: 7 } })).toEqual(
      argumentError('RangeError', /from 0 to 6 for "encoderDecoder\.target\.endToken"/),
    );
    expect(refusal({ source: { vocab: 0 } })).toEqual(
      argumentError('RangeError', /encoderDecoder\.source\.vocab/),
    );
    expect(refusal({ bidirectionnal: true })).toEqual(
      argumentError('TypeError', /did you mean "bidirectional"/),
    );
    expect(refusal({ attention: 'luong' })).toEqual(argumentError('RangeError', /attention/));
    expect(refusal({ attention: 'dot', bidirectional: true })).toEqual(
      argumentError('RangeError', /bidirectional: "sum"/),
    );
    expect(refusal({ attentionUnits: 4 })).toEqual(argumentError('TypeError', /additive/));
    expect(refusal({ cell: 'gpu' })).toEqual(argumentError('RangeError', /did you mean "gru"/));
    expect(refusal({ units: undefined })).toEqual(argumentError('TypeError', /units/));
  });

  test('refuses wrong data and options of training', async () => {
    using made = encoderDecoder({ ...OPTIONS, units: 4 });
    const refusal = (...args: unknown[]) =>
      rejectionOf(() => made.fit(...(args as Parameters<EncoderDecoder['fit']>)));
    expect(await refusal([[1], [2]], [[1]])).toEqual(
      argumentError('RangeError', /2 sequences, as many as sources, for "targets"/),
    );
    expect(await refusal([[1]], [[1, 8]])).toEqual(
      argumentError('RangeError', /from 0 to 7 for "targets\[0\]\[1\]"/),
    );
    expect(await refusal([[1]], [[1, 7]])).toEqual(argumentError('RangeError', /leave them out/));
    expect(await refusal([[]], [[1]])).toEqual(argumentError('RangeError', /sources\[0\]/));
    expect(await refusal([[1]], [[1]], { teacherForcing: 1.5 })).toEqual(
      argumentError('RangeError', /teacherForcing/),
    );
    expect(await refusal([[1]], [[1]], { teacherForcing: () => NaN })).toEqual(
      argumentError('RangeError', /teacherForcing\(0\)/),
    );
    expect(await refusal([[1]], [[1]], { teacherforcing: 1 })).toEqual(
      argumentError('TypeError', /did you mean "teacherForcing"/),
    );
    expect(await refusal([[1]], [[1]], { loss: 'huber' })).toEqual(
      argumentError('TypeError', /loss/),
    );
    expect(await refusal([[1]], [[1]], { validationData: [[1]] })).toEqual(
      argumentError('TypeError', /\[sources, targets\]/),
    );
    expect(await refusal([[1]], [[1]], { validationData: [[[9]], [[1]]] })).toEqual(
      argumentError('RangeError', /validationData\[0\]\[0\]\[0\]/),
    );
    const wrong = await rejectionOf(() => made.evaluate([[1]], [[1]], { beamWidth: 0 }));
    expect(wrong).toEqual(argumentError('RangeError', /beamWidth/));
  });
});
