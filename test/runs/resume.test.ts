/** Runs that are stopped after any step, and resumed by another model in the same process. */
import { truncateSync, writeFileSync, readFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  callbacks,
  layers,
  load,
  optimizers,
  safetensors,
  schedules,
  sequential,
  text,
} from '../../lib';
import type { Callback, FitOptions, History, Model } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { inTemporaryDirectory, numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const loss = 'meanSquaredError' as const;

const corpus = 'the sea sees a ship. a whale hears the sea! '.repeat(8);
const vocab = text.charVocab(corpus);

interface Case {
  model: () => Model;
  data: () => readonly unknown[];
  options: () => FitOptions;
}

/** Batches that depend on the epoch, and on nothing else. */
function* batches(epoch: number) {
  for (let i = 0; i < 5; i++) {
    const seed = 1 + epoch * 100 + i;
    yield {
      x: { data: numbers(4 * 5 * 3, seed), shape: [4, 5, 3] },
      y: { data: numbers(4 * 2, seed + 50), shape: [4, 2] },
    };
  }
}

const CASES: Record<string, Case> = {
  'samples in a new order each epoch, held-out ones, rmsprop with momentum': {
    model: () =>
      sequential([
        layers.gru({ units: 4, inputFeatures: 3 }),
        layers.dropout({ rate: 0.3 }),
        layers.dense({ units: 2 }),
      ]),
    data: () => [x, y],
    options: () => ({
      loss,
      epochs: 3,
      batchSize: 3,
      validationSplit: 0.2,
      optimizer: optimizers.rmsprop({ momentum: 0.9 }),
      seed: 4,
    }),
  },
  'a momentum that moves with the rate': {
    model: () => regressionModel(),
    data: () => [x, y],
    options: () => ({
      loss,
      epochs: 3,
      batchSize: 3,
      optimizer: optimizers.adam({
        learningRate: schedules.oneCycle({
          learningRate: 0.02,
          totalSteps: 20,
          cycleMomentum: true,
          baseMomentum: 0.3,
        }),
      }),
      seed: 2,
    }),
  },
  'carried states, two layers, adamw': {
    model: () =>
      sequential([
        layers.embedding({ inputDim: vocab.size, units: 4 }),
        layers.lstm({ units: 5, layers: 2, dropout: 0.2, returnSequences: true }),
        layers.dense({ units: vocab.size }),
      ]),
    data: () => [text.windows(corpus, { vocab, length: 12, batchSize: 4 })],
    options: () => ({
      loss: 'sparseCategoricalCrossentropy',
      epochs: 2,
      metrics: ['accuracy', 'bits'],
      optimizer: optimizers.adamw({ learningRate: (step) => 0.01 / (1 + step), clipNorm: 0.5 }),
    }),
  },
  'in the middle of an accumulation, averages, a rate that follows the loss': {
    model: () => regressionModel(),
    data: () => [x, y],
    options: () => ({
      loss,
      epochs: 4,
      batchSize: 4,
      optimizer: optimizers.nadam({
        learningRate: schedules.plateau({ learningRate: 0.5, patience: 0 }),
        accumulateSteps: 3,
        averaging: { kind: 'ema', decay: 0.9 },
      }),
    }),
  },
  'running statistics of a batch norm, a schedule-free method, averages': {
    model: () =>
      sequential([
        layers.conv1d({ filters: 4, kernelSize: 2, inputFeatures: 3 }),
        layers.batchNorm({ momentum: 0.8 }),
        layers.globalAveragePooling1d(),
        layers.dense({ units: 2 }),
      ]),
    data: () => [x, y],
    options: () => ({
      loss,
      epochs: 2,
      batchSize: 6,
      optimizer: optimizers.scheduleFreeAdamw({ averaging: { kind: 'ema', decay: 0.9 } }),
    }),
  },
  'a stream, plain sgd': {
    model: () => regressionModel(),
    data: () => [batches],
    options: () => ({ loss, epochs: 2, optimizer: optimizers.sgd() }),
  },
  'a stream with carried states, momentum': {
    model: () => regressionModel(),
    data: () => [batches],
    options: () => ({
      loss,
      epochs: 2,
      stateful: true,
      optimizer: optimizers.sgd({ momentum: 0.8 }),
    }),
  },
};

function train(model: Model, { data, options }: Case, more: Partial<FitOptions>): Promise<History> {
  const fit = model.fit.bind(model) as (...args: unknown[]) => Promise<History>;
  return fit(...data(), { ...options(), ...more });
}

function bits(model: Model): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(model.getWeights()).map(([name, { data }]) => [name, [...data]]),
  );
}

/** A history without times, which are never the same. */
function scores(history: History): object {
  return { ...history, seconds: history.seconds.length };
}

describe('a run that is stopped after any step goes on as if it had not been', () => {
  test.each(Object.entries(CASES))('%s', async (_name, given) => {
    await inTemporaryDirectory(async (folder) => {
      using whole = given.model();
      let all = 0;
      const expected = await train(whole, given, { onBatch: () => all++ });
      for (let stop = 1; stop <= all; stop++) {
        const path = join(folder, `${stop}.safetensors`);
        using first = given.model();
        const stopper: Callback = {
          everySteps: stop,
          async onSafePoint(context) {
            if (context.steps !== stop) return;
            await context.saveCheckpoint(path);
            context.stop();
          },
        };
        await train(first, given, { callbacks: [stopper] });
        using second = given.model();
        const history = await train(second, given, { resume: path });
        expect(scores(history)).toEqual(scores(expected));
        expect(bits(second)).toEqual(bits(whole));
        expect(second.trainedSteps).toBe(whole.trainedSteps);
      }
    });
  });

  test('more epochs than before; a finished run has nothing left to do', async () => {
    await inTemporaryDirectory(async (directory) => {
      const options = { loss, optimizer: optimizers.adam(), batchSize: 8 };
      using whole = regressionModel();
      const expected = await whole.fit(x, y, { ...options, epochs: 5 });
      using first = regressionModel();
      const keep = () => [callbacks.modelCheckpoint({ directory })];
      await first.fit(x, y, { ...options, epochs: 2, callbacks: keep() });
      using second = regressionModel();
      const resume = directory;
      const same = await second.fit(x, y, { ...options, epochs: 2, resume, callbacks: keep() });
      expect(bits(second)).toEqual(bits(first));
      expect(same.epoch).toEqual([0, 1]);
      const more = await second.fit(x, y, { ...options, epochs: 5, resume, callbacks: keep() });
      expect(scores(more)).toEqual(scores(expected));
      expect(bits(second)).toEqual(bits(whole));
    });
  });
});

describe('what does not belong to the run', () => {
  const options = { loss, batchSize: 8, epochs: 2, optimizer: optimizers.adam() };

  async function withCheckpoint(work: (path: string) => Promise<void>): Promise<void> {
    await inTemporaryDirectory(async (directory) => {
      using model = regressionModel();
      model.metadata = { note: 'kept' };
      const saver = callbacks.modelCheckpoint({ directory });
      await model.fit(x, y, { ...options, callbacks: [saver] });
      await work(saver.saved.at(-1)!);
    });
  }

  test.each([
    ['a model with other units', 8, {}, /"model.layers\[0\].units" was 4 there but is 8 here/],
    ['another batch size', 4, { batchSize: 5 }, /"batchSize" was 8 there but is 5 here/],
    ['another loss', 4, { loss: 'huber' as const }, /"loss.kind" was "meanSquaredError" there/],
    [
      'an optimiser of another kind',
      4,
      { optimizer: 'sgd' as const },
      /"optimizer.kind" was "adam"/,
    ],
    [
      'an option of the optimiser',
      4,
      { optimizer: optimizers.adam({ beta2: 0.9 }) },
      /"optimizer.beta2" was 0.999 there but is 0.9 here/,
    ],
    ['another order', 4, { seed: 9 }, /"seed" was 3 there but is 9 here/],
    ['held-out samples', 4, { validationSplit: 0.5 }, /"trainSamples" was 20 there but is 10 here/],
  ])('%s', async (_name, units, change, message) => {
    await withCheckpoint(async (resume) => {
      using model = regressionModel(units);
      const before = bits(model);
      const error = await rejectionOf(() => model.fit(x, y, { ...options, ...change, resume }));
      expect(error).toMatchObject({ code: 'ERR_CHECKPOINT', message });
      expect(error.message).toContain(resume);
      expect(bits(model)).toEqual(before);
    });
  });

  test('a checkpoint of a later version', async () => {
    await withCheckpoint(async (resume) => {
      const { tensors, metadata } = await safetensors.read(resume);
      const record = metadata['ostinato.training']!.replace('"format":1', '"format":2');
      await safetensors.write(resume, tensors, { ...metadata, 'ostinato.training': record });
      using model = regressionModel();
      const error = await rejectionOf(() => model.fit(x, y, { ...options, resume }));
      expect(error).toMatchObject({ code: 'ERR_CHECKPOINT', message: /of format 2, written by/ });
    });
  });

  test('damaged files are passed over for an older one; alone they are an error', async () => {
    await withCheckpoint(async (resume) => {
      const folder = join(resume, '..');
      const whole = readFileSync(resume);
      const newer = join(folder, 'step-000000099.safetensors');
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      using model = regressionModel();
      const flipped = Buffer.from(whole);
      flipped[flipped.length - 5]! ^= 1;
      for (const bytes of [whole.subarray(0, 200), whole.subarray(0, -4), flipped]) {
        writeFileSync(newer, bytes);
        const error = await rejectionOf(() => model.fit(x, y, { ...options, resume: newer }));
        expect(error).toMatchObject({ code: 'ERR_FORMAT' });
        const history = await model.fit(x, y, { ...options, resume: folder });
        expect(await callbacks.latestCheckpoint(folder)).toBe(resume);
        expect(history.epoch).toEqual([0, 1]);
      }
      expect(warn).toHaveBeenCalledTimes(6);
      expect(warn.mock.calls[5]![0]).toMatch(/match its digest; going on from ".*step-0{8}6/);
      warn.mockRestore();
      truncateSync(resume, 100);
      copyFileSync(resume, join(folder, 'step-000000003.safetensors'));
      const error = await rejectionOf(() => model.fit(x, y, { ...options, resume: folder }));
      expect(error).toMatchObject({ code: 'ERR_FORMAT', message: /step-000000099/ });
    });
  });

  test('folders and files without a checkpoint, and options that exclude it', async () => {
    await inTemporaryDirectory(async (folder) => {
      using model = regressionModel();
      const path = join(folder, 'model.safetensors');
      await model.save(path);
      const fit = (resume: string, more = {}) =>
        rejectionOf(() => model.fit(x, y, { ...options, ...more, resume }));
      expect(await callbacks.latestCheckpoint(folder)).toBeUndefined();
      expect(await callbacks.latestCheckpoint(join(folder, 'no'))).toBeUndefined();
      expect(await fit(folder)).toMatchObject({ code: 'ERR_IO', message: /it holds none/ });
      expect(await fit(join(folder, 'no'))).toMatchObject({ code: 'ERR_IO', message: /no"/ });
      expect(await fit(path)).toMatchObject({ code: 'ERR_FORMAT', message: /use load\(\)/ });
      expect(await fit(path, { initialEpoch: 1 })).toMatchObject({
        name: 'TypeError',
        message: /nothing beside resume/,
      });
    });
  });

  test('a checkpoint is a model as well', async () => {
    await withCheckpoint(async (path) => {
      using model = await load(path);
      expect(model.metadata).toEqual({ note: 'kept' });
      using trained = regressionModel();
      await trained.fit(x, y, options);
      expect(bits(model)).toEqual(bits(trained));
    });
  });
});
