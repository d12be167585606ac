import { layers, optimizers, schedules, sequential, text } from '../../lib';
import type { BatchEvent, EpochEvent } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { characterModel, numbers, regressionModel } from '../helpers/models';

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const loss = 'meanSquaredError' as const;

describe('fit learns', () => {
  test('a regression on last steps', async () => {
    using model = regressionModel(16);
    const optimizer = optimizers.adam({ learningRate: 0.02 });
    const { loss: losses, epoch } = await model.fit(x, y, { loss, epochs: 60, optimizer });
    expect(epoch).toHaveLength(60);
    expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.1);
    const { loss: after } = await model.evaluate(x, y);
    expect(after).toBeLessThan(losses[0]! * 0.1);
  });

  test('a text, with carried state, and is the same every time', async () => {
    const corpus = 'abcabdabcabe'.repeat(60);
    const vocab = text.charVocab(corpus);
    const run = async (threads: number) => {
      using model = characterModel(vocab.size, 16, 7);
      const history = await model.fit(text.windows(corpus, { vocab, length: 12, batchSize: 4 }), {
        loss: 'sparseCategoricalCrossentropy',
        epochs: 12,
        optimizer: optimizers.adamw({ learningRate: 0.02, clipNorm: 1 }),
        metrics: ['accuracy', 'bits', 'perplexity'],
        validationSplit: 0.2,
        threads,
      });
      return { history, weights: [...model.getWeights()['lstm.weight_hh_l0']!.data] };
    };
    const first = await run(1);
    expect(first.history.accuracy!.at(-1)).toBeGreaterThan(0.85);
    expect(first.history.valBits!.at(-1)).toBeLessThan(0.6);
    expect(first.history.perplexity![0]).toBeCloseTo(Math.exp(first.history.loss[0]!), 6);
    const second = await run(2);
    expect(second.weights).toEqual(first.weights);
    expect(second.history.loss).toEqual(first.history.loss);
  });

  test('which of two sequences has more ones: masks, weights, binary cross-entropy', async () => {
    using model = sequential([
      layers.lstm({ units: 8, inputFeatures: 1 }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ]);
    const samples = Array.from({ length: 64 }, (_v, i) =>
      Array.from({ length: 6 }, (_w, t) => (i >> t) & 1),
    );
    const targets = samples.map((bits) => (bits.reduce((sum, bit) => sum + bit, 0) > 3 ? 1 : 0));
    const history = await model.fit(samples, targets, {
      loss: 'binaryCrossentropy',
      epochs: 80,
      batchSize: 16,
      optimizer: optimizers.rmsprop({ learningRate: 0.02 }),
      sampleWeights: Array.from({ length: 64 }, () => 1),
    });
    expect(history.loss.at(-1)).toBeLessThan(0.2);
  });
});

describe('what counts', () => {
  test('masked and weighted rows', async () => {
    using model = characterModel(4);
    const ids = [
      [0, 1, 2],
      [3, 2, 1],
    ];
    const options = { loss: 'sparseCategoricalCrossentropy' as const };
    const a = await model.evaluate(ids, ids, {
      ...options,
      mask: [
        [1, 1, 1],
        [0, 0, 0],
      ],
    });
    const b = await model.evaluate(ids.slice(0, 1), ids.slice(0, 1), options);
    expect(a.loss).toBeCloseTo(b.loss, 6);
    const c = await model.evaluate(ids, ids, { ...options, sampleWeights: [2, 0] });
    expect(c.loss).toBeCloseTo(b.loss, 6);
    // A label where the mask is 0 may be anything.
    const d = await model.evaluate(
      ids,
      [
        [0, 1, 2],
        [-1, -1, -1],
      ],
      {
        ...options,
        mask: [
          [1, 1, 1],
          [0, 0, 0],
        ],
      },
    );
    expect(d.loss).toBeCloseTo(b.loss, 6);
  });

  test('lengths and ragged inputs agree', async () => {
    using model = characterModel(4);
    const options = { loss: 'sparseCategoricalCrossentropy' as const };
    const a = await model.evaluate(
      [
        [0, 1, 2],
        [3, 0, 0],
      ],
      [
        [0, 1, 2],
        [3, 0, 0],
      ],
      { ...options, lengths: [3, 1] },
    );
    const b = await model.evaluate([[0, 1, 2], [3]], [[0, 1, 2], [3]], options);
    expect(a).toEqual(b);
  });

  test('logits and probabilities give the same loss', async () => {
    const build = (activation: 'linear' | 'softmax') =>
      sequential(
        [layers.gru({ units: 4, inputFeatures: 3 }), layers.dense({ units: 2, activation })],
        { seed: 3 },
      );
    const labels = Array.from({ length: 20 }, (_v, i) => i % 2);
    const options = { loss: 'sparseCategoricalCrossentropy' as const };
    const a = await build('linear').evaluate(x, labels, options);
    const b = await build('softmax').evaluate(x, labels, options);
    expect(b.loss).toBeCloseTo(a.loss, 5);
    const dense = labels.map((label) => (label === 0 ? [1, 0] : [0, 1]));
    const c = await build('linear').evaluate(x, dense, { loss: 'categoricalCrossentropy' });
    expect(c.loss).toBeCloseTo(a.loss, 5);
  });

  test('gradients are those of the loss', async () => {
    using model = sequential(
      [layers.lstm({ units: 3, inputFeatures: 3, returnState: true }), layers.dense({ units: 2 })],
      { seed: 3 },
    );
    const h0 = { data: numbers(20 * 3, 4), shape: [1, 20, 3] };
    const g = await model.gradients(x, y, { loss, initialState: { lstm: { h: h0 } } });
    expect(g.input!.shape).toEqual([20, 5, 3]);
    expect(g.initialState['lstm']!['h']!.shape).toEqual([1, 20, 3]);
    const lossAt = async () =>
      (await model.gradients(x, y, { loss, initialState: { lstm: { h: h0 } } })).loss;
    for (const name of ['lstm.weight_hh_l0', 'dense.bias']) {
      const { data, shape } = model.getWeights()[name]!;
      const moved = async (by: number) => {
        const changed = data.slice();
        changed[1]! += by;
        model.setWeights({ [name]: { data: changed, shape } });
        return lossAt();
      };
      const numeric = ((await moved(1e-2)) - (await moved(-1e-2))) / 2e-2;
      await moved(0);
      expect(numeric).toBeCloseTo(g.parameters[name]!.data[1]!, 3);
    }
  });
});

describe('the loop', () => {
  test('callbacks come in order with what they promise', async () => {
    using model = regressionModel();
    const batches: BatchEvent[] = [];
    const epochs: EpochEvent[] = [];
    await model.fit(x, y, {
      loss,
      epochs: 2,
      batchSize: 8,
      optimizer: optimizers.sgd({ learningRate: schedules.step({ learningRate: 0.1, every: 3 }) }),
      validationData: [x, y],
      onBatch: (event) => batches.push(event),
      onEpoch: (event) => epochs.push(event),
    });
    expect(batches.map(({ epoch, batch, step, rows }) => [epoch, batch, step, rows])).toEqual([
      [0, 0, 0, 8],
      [0, 1, 1, 8],
      [0, 2, 2, 4],
      [1, 0, 3, 8],
      [1, 1, 4, 8],
      [1, 2, 5, 4],
    ]);
    expect(batches.map(({ learningRate }) => learningRate)).toEqual([
      0.1,
      0.1,
      0.1,
      0.1 * 0.1,
      0.1 * 0.1,
      0.1 * 0.1,
    ]);
    expect(batches.every(({ gradientNorm }) => gradientNorm > 0)).toBe(true);
    const mean = batches.slice(0, 3).reduce((sum, { loss: l, rows }) => sum + l * rows, 0) / 20;
    expect(epochs[0]!.loss).toBeCloseTo(mean, 10);
    expect(epochs.map(({ valLoss }) => typeof valLoss)).toEqual(['number', 'number']);
  });

  test('the model can be read in callbacks, not trained', async () => {
    using model = regressionModel();
    const codes: unknown[] = [];
    await model.fit(x, y, {
      loss,
      onEpoch: async () => {
        expect((await model.predict(x)).shape).toEqual([20, 2]);
        expect((await model.evaluate(x, y, { loss })).loss).toBeGreaterThan(0);
        expect(Object.keys(model.getWeights())).toContain('dense.bias');
        codes.push((await rejectionOf(() => model.fit(x, y, { loss }))).code);
      },
    });
    expect(codes).toEqual(['ERR_BUSY']);
    await model.fit(x, y, { loss });
  });

  test('an error in a callback ends fit with it', async () => {
    using model = regressionModel();
    const error = await rejectionOf(() =>
      model.fit(x, y, {
        loss,
        epochs: 100,
        onBatch: () => {
          throw new Error('mine');
        },
      }),
    );
    expect(error.message).toBe('mine');
    await model.fit(x, y, { loss });
  });

  test('stop() ends fit normally', async () => {
    using model = regressionModel();
    const { epoch } = await model.fit(x, y, {
      loss,
      epochs: 1000,
      onEpoch: ({ epoch: at }) => at === 2 && model.stop(),
    });
    expect(epoch).toEqual([0, 1, 2]);
  });

  test('the same optimiser goes on, another starts afresh', async () => {
    const optimizer = optimizers.adam({ learningRate: 0.01 });
    const options = { loss, optimizer, shuffle: false };
    using a = regressionModel();
    await a.fit(x, y, { ...options, epochs: 4 });
    using b = regressionModel();
    await b.fit(x, y, { ...options, epochs: 2 });
    expect(b.trainedSteps).toBe(2);
    await b.fit(x, y, { ...options, epochs: 4, initialEpoch: 2 });
    expect(b.trainedSteps).toBe(4);
    expect([...b.getWeights()['dense.weight']!.data]).toEqual([
      ...a.getWeights()['dense.weight']!.data,
    ]);
    await b.fit(x, y, { ...options, optimizer: optimizers.adam({ learningRate: 0.01 }) });
    expect(b.trainedSteps).toBe(1);
  });

  test('the same optimiser goes on with another loss', async () => {
    const options = { optimizer: optimizers.adam({ learningRate: 0.01 }), shuffle: false };
    const train = async (second: 'huber' | 'meanSquaredError') => {
      using model = regressionModel();
      await model.fit(x, y, { ...options, loss: 'meanSquaredError' });
      const { loss: losses } = await model.fit(x, y, { ...options, loss: second });
      expect(model.trainedSteps).toBe(2);
      return losses[0]!;
    };
    expect(await train('huber')).toBeLessThan(await train('meanSquaredError'));
  });

  test('iterables, async iterables and functions give the same as arrays', async () => {
    const batches = [0, 1].map((i) => ({
      x: { data: x.data.slice(i * 150, (i + 1) * 150), shape: [10, 5, 3] },
      y: { data: y.data.slice(i * 20, (i + 1) * 20), shape: [10, 2] },
    }));
    // eslint-disable-next-line @typescript-eslint/require-await
    async function* generator() {
      yield* batches;
    }
    const weights = async (
      train: (model: ReturnType<typeof regressionModel>) => Promise<unknown>,
    ) => {
      using model = regressionModel();
      await train(model);
      return [...model.getWeights()['dense.weight']!.data];
    };
    const options = { loss, epochs: 2 };
    const arrays = await weights((m) => m.fit(x, y, { ...options, batchSize: 10, shuffle: false }));
    expect(await weights((m) => m.fit(batches, options))).toEqual(arrays);
    expect(await weights((m) => m.fit(generator, options))).toEqual(arrays);
    expect(
      await weights((m) => m.fit(batches.map((b) => [b.x, b.y] as const).values(), { loss })),
    ).toHaveLength(8);
    const error = await rejectionOf(() => weights((m) => m.fit(generator(), options)));
    expect(error.message).toMatch(/epoch 1.*a function that makes a new one/);
  });

  test('a stream is one batch ahead, and closed when fit ends early', async () => {
    using model = regressionModel();
    let asked = 0;
    let closed = false;
    function* endless() {
      try {
        for (;;) {
          asked++;
          yield { x, y };
        }
      } finally {
        closed = true;
      }
    }
    await model.fit(endless, {
      loss,
      onBatch: ({ batch }) => {
        expect(asked - batch).toBeLessThanOrEqual(2);
        if (batch === 4) model.stop();
      },
    });
    expect(asked).toBe(6);
    expect(closed).toBe(true);
  });

  test('a stream is evaluated whole', async () => {
    using model = regressionModel();
    const whole = await model.evaluate(x, y, { loss });
    const halves = [
      [
        { data: x.data.slice(0, 150), shape: [10, 5, 3] },
        { data: y.data.slice(0, 20), shape: [10, 2] },
      ],
      [
        { data: x.data.slice(150), shape: [10, 5, 3] },
        { data: y.data.slice(20), shape: [10, 2] },
      ],
    ] as const;
    expect((await model.evaluate(halves.values(), { loss })).loss).toBeCloseTo(whole.loss, 10);
  });

  test('dropout is active in training only and reproducible', async () => {
    const build = () =>
      sequential([
        layers.lstm({ units: 8, layers: 2, dropout: 0.5, inputFeatures: 3 }),
        layers.dropout({ rate: 0.3 }),
        layers.dense({ units: 2 }),
      ]);
    using a = build();
    using b = build();
    expect([...(await a.predict(x)).data]).toEqual([...(await a.predict(x)).data]);
    const [first, second] = await Promise.all([a, b].map((m) => m.fit(x, y, { loss, epochs: 3 })));
    expect(first!.loss).toEqual(second!.loss);
    const evaluated = await a.evaluate(x, y);
    expect(evaluated.loss).not.toBe(first!.loss.at(-1));
  });
});
