/** The hooks of callbacks, and the callbacks that come with the library. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { callbacks, optimizers } from '../../lib';
import type { Callback, FitContext } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { inTemporaryDirectory, numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const loss = 'meanSquaredError' as const;
const options = { loss, batchSize: 4, optimizer: 'adam' as const };

/** Gives the epochs the scores of a list, whatever the model has learnt. */
function scripted(values: readonly number[]): Callback {
  return { onEpochEnd: (event) => void (event.loss = values[event.epoch]!) };
}

describe('hooks', () => {
  test('come in order, and know where the run stands', async () => {
    const heard: string[] = [];
    const hear =
      (name: string) =>
      (...args: unknown[]) => {
        const context = args.at(-1) as FitContext;
        heard.push(`${name} ${context.epoch} ${context.steps}`);
      };
    using model = regressionModel();
    const observer: Callback = {
      everySteps: 2,
      onTrainBegin: hear('begin'),
      onEpochBegin: hear('epoch begin'),
      onSafePoint: hear('safe'),
      onEpochEnd: hear('epoch end'),
      onTrainEnd: hear('end'),
    };
    await model.fit(x, y, { ...options, epochs: 2, callbacks: [observer] });
    expect(heard).toEqual([
      'begin 0 0',
      'epoch begin 0 0',
      ...['safe 0 2', 'safe 0 4', 'safe 0 5'],
      'epoch end 0 5',
      'safe 1 5',
      'epoch begin 1 5',
      ...['safe 1 6', 'safe 1 8', 'safe 1 10'],
      'epoch end 1 10',
      'safe 2 10',
      'end 2 10',
    ]);
  });

  test('the model stands where onSafePoint says, and gradients are the last ones', async () => {
    using model = regressionModel();
    const single = regressionModel();
    const seen: number[][] = [];
    const observer: Callback = {
      everySteps: 3,
      onSafePoint(context) {
        if (context.steps !== 3) return;
        seen.push([...context.model.getWeights()['dense.weight']!.data]);
        const gradient = context.gradients();
        expect(Object.keys(gradient)).toEqual(Object.keys(model.getWeights()));
        expect(gradient['dense.weight']!.data.some((value) => value !== 0)).toBe(true);
        context.stop();
      },
    };
    const all = { ...options, shuffle: false };
    await model.fit(x, y, { ...all, callbacks: [observer] });
    const three = { data: x.data.subarray(0, 12 * 15), shape: [12, 5, 3] };
    const targets = { data: y.data.subarray(0, 24), shape: [12, 2] };
    await single.fit(three, targets, all);
    expect(seen).toEqual([[...single.getWeights()['dense.weight']!.data]]);
    single.dispose();
  });

  test('what they throw ends the run, and others hear of it', async () => {
    using model = regressionModel();
    const heard: unknown[] = [];
    const failure = new Error('enough');
    const list: Callback[] = [
      { onTrainError: (error) => heard.push(error) },
      { onTrainError: () => Promise.reject(new Error('hidden')) },
      { onBatchEnd: () => Promise.reject(failure) },
      { onTrainError: (error) => heard.push(error), onTrainEnd: () => heard.push('end') },
    ];
    const error = await rejectionOf(() => model.fit(x, y, { ...options, callbacks: list }));
    expect(error).toBe(failure);
    expect(heard).toEqual([failure, failure]);
    await model.fit(x, y, options);
  });

  test('outside their moments, gradients and checkpoints are refused', async () => {
    using model = regressionModel();
    const early: Callback = { onBatchEnd: (_event, context) => context.saveCheckpoint('no') };
    const fit = (callback: Callback) =>
      rejectionOf(() => model.fit(x, y, { ...options, callbacks: [callback] }));
    expect(await fit(early)).toMatchObject({ code: 'ERR_BUSY', message: /onSafePoint alone/ });
    const gradients: Callback = { onEpochBegin: (context) => context.gradients() };
    expect(await fit(gradients)).toMatchObject({ code: 'ERR_BUSY', message: /gradients/ });
    const late: Callback = { onEpochEnd: (_event, context) => context.saveCheckpoint('no') };
    expect(await fit(late)).toMatchObject({ code: 'ERR_BUSY' });
  });

  test.each([
    [{ onTrainBatchEnd: () => 0 }, /did you mean "onBatchEnd"/],
    [new (class Mine { onEpochEnds() {} })(), /did you mean "onEpochEnd"/], // prettier-ignore
    [{ on_epoch_end: () => 0 }, /did you mean "onEpochEnd"/],
    [{ onEpochEnd: 3 }, /a function for "model.fit.callbacks\[0\].onEpochEnd"/],
    [{ everySteps: 0 }, /whole number of 1 or more/],
    [{ name: 3 }, /a string/],
    [3, /a callback/],
  ])('%p is none', async (callback, message) => {
    using model = regressionModel();
    const fit = () => model.fit(x, y, { ...options, callbacks: [callback as Callback] });
    expect(await rejectionOf(fit)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message });
  });

  test('two of one name would overwrite each other in a checkpoint', async () => {
    using model = regressionModel();
    const two = [callbacks.earlyStopping(), callbacks.earlyStopping()];
    const error = await rejectionOf(() => model.fit(x, y, { ...options, callbacks: two }));
    expect(error.message).toMatch(/a name of its own/);
  });
});

describe('earlyStopping', () => {
  const script = [5, 4, 4.5, 3.95, 4.2, 1];

  test('waits, then stops and restores the best weights', async () => {
    using model = regressionModel();
    const weights: number[][] = [];
    const stopping = callbacks.earlyStopping({ patience: 2, minDelta: 0.1 });
    const keep: Callback = {
      onEpochEnd: (_event, { model: trained }) =>
        void weights.push([...trained.getWeights()['dense.weight']!.data]),
    };
    const list = [scripted(script), keep, stopping];
    const history = await model.fit(x, y, { ...options, epochs: 6, callbacks: list });
    expect(history.epoch).toEqual([0, 1, 2, 3]);
    expect(stopping).toMatchObject({ best: 4, bestEpoch: 1, stoppedEpoch: 3 });
    expect([...model.getWeights()['dense.weight']!.data]).toEqual(weights[1]);
  });

  test('keeps the last weights if asked, counts from an epoch on, and knows a baseline', async () => {
    const run = async (given: Parameters<typeof callbacks.earlyStopping>[0]) => {
      using model = regressionModel();
      const stopping = callbacks.earlyStopping(given);
      const list = [scripted([5, 4, 4.5, 3.9, 3.8, 3.7]), stopping];
      const { epoch } = await model.fit(x, y, { ...options, epochs: 6, callbacks: list });
      return { epochs: epoch.length, best: stopping.best, weights: model.getWeights() };
    };
    expect(await run({ patience: 1 })).toMatchObject({ epochs: 3, best: 4 });
    expect(await run({ patience: 1, mode: 'max' })).toMatchObject({ epochs: 2, best: 5 });
    expect(await run({ patience: 1, startFromEpoch: 3 })).toMatchObject({ epochs: 6, best: 3.7 });
    expect(await run({ patience: 3, baseline: 1 })).toMatchObject({ epochs: 3, best: 4 });
    const kept = await run({ patience: 1, restoreBestWeights: false });
    const restored = await run({ patience: 1 });
    expect(kept.weights).not.toEqual(restored.weights);
  });

  test('a score that the run does not report', async () => {
    using model = regressionModel();
    const list = [callbacks.earlyStopping({ monitor: 'valLoss' })];
    const error = await rejectionOf(() => model.fit(x, y, { ...options, callbacks: list }));
    expect(error.message).toMatch(/"earlyStopping.monitor" but received "valLoss".*reports loss;/);
  });

  test('goes on waiting after a resume, and restores weights from before it', async () => {
    await inTemporaryDirectory(async (directory) => {
      const run = async (epochs: number, resume: boolean) => {
        using model = regressionModel();
        const stopping = callbacks.earlyStopping({ patience: 3 });
        const saving = callbacks.modelCheckpoint({ directory: join(directory, 'parts') });
        const list = [scripted([5, 3, 4, 4, 4, 1]), stopping, ...(resume ? [saving] : [])];
        const again = resume && existsSync(join(directory, 'parts'));
        const more = again ? { resume: join(directory, 'parts') } : {};
        await model.fit(x, y, { ...options, epochs, callbacks: list, ...more });
        return { weights: model.getWeights(), stopped: stopping.stoppedEpoch };
      };
      const whole = await run(6, false);
      for (const epochs of [1, 3, 6]) await run(epochs, true);
      // The run has ended: nothing more is trained, and the best weights are there again.
      expect(await run(6, true)).toEqual(whole);
      expect(whole.stopped).toBe(4);
    });
  });
});

describe('modelCheckpoint', () => {
  const names = (directory: string) => readdirSync(directory).sort();

  test('every n steps; keeps the newest k, and the best', async () => {
    await inTemporaryDirectory(async (directory) => {
      using model = regressionModel();
      const saver = callbacks.modelCheckpoint({ directory, everySteps: 3, keep: 2 });
      const list = [scripted([2, 1, 3, 4]), saver];
      await model.fit(x, y, { ...options, epochs: 4, callbacks: list });
      expect(names(directory)).toEqual([
        'best.safetensors',
        'step-000000018.safetensors',
        'step-000000020.safetensors',
      ]);
      expect(saver.best).toBe(1);
      expect(saver.saved).toEqual(
        names(directory)
          .slice(1)
          .map((name) => join(directory, name)),
      );
      using best = regressionModel();
      await best.loadWeights(join(directory, 'best.safetensors'));
      using two = regressionModel();
      await two.fit(x, y, { ...options, epochs: 2 });
      expect(best.getWeights()).toEqual(two.getWeights());
    });
  });

  test('every so many seconds, or epochs, or when the run is stopped', async () => {
    await inTemporaryDirectory(async (folder) => {
      const run = async (name: string, given: object, more: Callback = {}) => {
        using model = regressionModel();
        const directory = join(folder, name);
        const saver = callbacks.modelCheckpoint({ directory, saveBest: false, keep: 9, ...given });
        const slow: Callback = {
          everySteps: 1,
          onSafePoint: () => new Promise((resolve) => setTimeout(resolve, 6)),
        };
        await model.fit(x, y, { ...options, epochs: 4, callbacks: [more, slow, saver] });
        return names(directory).map((file) => Number(/\d+/.exec(file)![0]));
      };
      const bySeconds = await run('seconds', { everySeconds: 0.03 });
      expect(bySeconds.length).toBeGreaterThan(2);
      expect(bySeconds.length).toBeLessThan(9);
      expect(bySeconds.at(-1)).toBe(20);
      expect(await run('epochs', { everyEpochs: 3 })).toEqual([15, 20]);
      expect(await run('default', {})).toEqual([5, 10, 15, 20]);
      const stop: Callback = {
        onBatchEnd: ({ step }, context) => void (step === 6 && context.stop()),
      };
      expect(await run('stopped', { everyEpochs: 50 }, stop)).toEqual([7]);
    });
  });

  test('does not mix with the checkpoints of another run', async () => {
    await inTemporaryDirectory(async (directory) => {
      using model = regressionModel();
      const fit = () =>
        model.fit(x, y, { ...options, callbacks: [callbacks.modelCheckpoint({ directory })] });
      await fit();
      const before = names(directory);
      expect((await rejectionOf(fit)).message).toMatch(/without checkpoints of other runs/);
      expect(names(directory)).toEqual(before);
    });
  });
});

describe('loggers', () => {
  const lines = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');

  test('CSV of epochs and of steps', async () => {
    await inTemporaryDirectory(async (folder) => {
      using model = regressionModel();
      const [epochs, steps] = [join(folder, 'a/epochs.csv'), join(folder, 'steps.csv')];
      const list = [
        callbacks.csvLogger({ path: epochs, separator: ';' }),
        callbacks.csvLogger({ path: steps, frequency: 'batch' }),
      ];
      const history = await model.fit(x, y, { ...options, epochs: 3, callbacks: list });
      expect(lines(epochs)[0]).toBe('epoch;loss;learningRate;seconds');
      expect(
        lines(epochs)
          .slice(1)
          .map((line) => Number(line.split(';')[1])),
      ).toEqual(history.loss);
      expect(lines(steps)).toHaveLength(16);
      expect(lines(steps)[0]).toBe('epoch,batch,batches,step,learningRate,gradientNorm,rows,loss');
      // A new run begins a new file, unless it is told to append.
      await model.fit(x, y, { ...options, callbacks: [callbacks.csvLogger({ path: epochs })] });
      expect(lines(epochs)).toHaveLength(2);
      const more = callbacks.csvLogger({ path: epochs, append: true });
      await model.fit(x, y, { ...options, callbacks: [more] });
      expect(lines(epochs)).toHaveLength(3);
    });
  });

  test('lines of JSON, and the line of the step that diverged', async () => {
    await inTemporaryDirectory(async (folder) => {
      using model = regressionModel();
      const path = join(folder, 'log.jsonl');
      const logger = callbacks.jsonLogger({ path, frequency: 'both' });
      await model.fit(x, y, { ...options, epochs: 2, callbacks: [logger] });
      const events = lines(path).map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(events.map(({ event }) => event)).toEqual(
        Array.from({ length: 12 }, (_v, i) => (i % 6 === 5 ? 'epoch' : 'batch')),
      );
      expect(events[1]).toMatchObject({ epoch: 0, batch: 1, step: 1, learningRate: 0.001 });
      const bad = { data: y.data.map((v, i) => (i > 30 ? NaN : v)), shape: y.shape };
      await rejectionOf(() =>
        model.fit(x, bad, { ...options, shuffle: false, callbacks: [logger] }),
      );
      expect(JSON.parse(lines(path).at(-1)!)).toMatchObject({ event: 'batch', loss: 'NaN' });
    });
  });

  test('learning rates', async () => {
    using model = regressionModel();
    const logger = callbacks.learningRateLogger({ every: 4 });
    const optimizer = optimizers.sgd({ learningRate: (step) => 1 / (10 + step) });
    const history = await model.fit(x, y, {
      loss,
      batchSize: 4,
      epochs: 2,
      optimizer,
      callbacks: [logger],
    });
    expect(logger.steps).toEqual([0, 4, 8]);
    expect(logger.learningRates).toEqual([1 / 10, 1 / 14, 1 / 18]);
    expect(history.learningRate).toEqual([1 / 14, 1 / 19]);
  });
});

describe('terminateOnNaN', () => {
  const bad = { data: y.data.map((v, i) => (i >= 24 && i < 32 ? NaN : v)), shape: y.shape };
  const given = { ...options, shuffle: false, epochs: 3 };

  test('ends the run, and says where the NaNs went', async () => {
    using model = regressionModel();
    const watch = callbacks.terminateOnNaN();
    const list = [watch, { everySteps: 1 }];
    await model.fit(x, bad, { ...given, onDivergence: 'continue', callbacks: list });
    expect(watch.report).toMatchObject({ step: 3, epoch: 0, batch: 3, loss: NaN });
    expect(watch.report!.parameters).toContain('gru.weight_hh_l0');
    expect(model.trainedSteps).toBe(4);
  });

  test('bears some in a row, as skipped steps leave the weights alone', async () => {
    using model = regressionModel();
    const watch = callbacks.terminateOnNaN({ patience: 2 });
    await model.fit(x, bad, { ...given, onDivergence: 'skip', callbacks: [watch] });
    expect(watch.report).toBeUndefined();
    expect(model.trainedSteps).toBe(15);
  });
});
