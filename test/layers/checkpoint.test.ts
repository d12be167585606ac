import { layers, load, optimizers, sequential } from '../../lib';
import type { Model } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { inTemporaryDirectory, numbers } from '../helpers/models';

type CheckpointEvery = layers.CheckpointEvery;

describe('checkpointEvery', () => {
  test.each([
    ['never', 'RangeError', '"auto" or a number of steps'],
    [0, 'RangeError', 'received 0 (number)'],
    [-3, 'RangeError', 'an integer from 1'],
    [2.5, 'RangeError', 'an integer from 1'],
    [NaN, 'RangeError', 'an integer from 1'],
    [2 ** 31, 'RangeError', 'to 2147483647'],
    [true, 'TypeError', '"auto" or a number of steps'],
    [null, 'TypeError', '"auto" or a number of steps'],
    [[10], 'TypeError', '"auto" or a number of steps'],
  ])('%j is refused', (checkpointEvery, name, message) => {
    for (const make of [layers.lstm, layers.gru, layers.simpleRnn]) {
      const error = thrownBy(() => make({ units: 4, checkpointEvery } as never));
      expect(error).toMatchObject({ name, code: 'ERR_INVALID_ARGUMENT' });
      expect(error.message).toContain(message);
      expect(error.message).toContain('.checkpointEvery"');
    }
  });

  const x = { data: numbers(6 * 23 * 3), shape: [6, 23, 3] };
  const y = { data: numbers(6 * 23 * 2, 9), shape: [6, 23, 2] };

  function modelWith(checkpointEvery: CheckpointEvery | undefined): Model {
    const often = checkpointEvery === undefined ? {} : { checkpointEvery };
    return sequential(
      [
        layers.lstm({
          units: 9,
          inputFeatures: 3,
          layers: 2,
          bidirectional: true,
          returnSequences: true,
          ...often,
        }),
        layers.gru({ units: 7, returnSequences: true, ...often }),
        layers.dense({ units: 2 }),
      ],
      { seed: 4 },
    );
  }

  test.each([1, 5, 23, 50, 'auto'] as const)('fit gives the same losses with %j', async (every) => {
    const lossesOf = async (checkpointEvery: CheckpointEvery | undefined) => {
      using model = modelWith(checkpointEvery);
      const history = await model.fit(x, y, {
        loss: 'meanSquaredError',
        epochs: 8,
        batchSize: 4,
        lengths: [23, 11, 0, 23, 7, 16],
        optimizer: optimizers.adam({ learningRate: 0.01 }),
        validationData: [x, y],
      });
      return [...history.loss, ...history.valLoss!];
    };
    const plain = await lossesOf(undefined);
    const cut = await lossesOf(every);
    expect(plain[7]).toBeLessThan(plain[0]! * 0.97);
    cut.forEach((loss, i) => expect(Math.abs(loss / plain[i]! - 1)).toBeLessThan(1e-5));
    // The first epoch's order of sums differs; a plain run would not.
    if (every === 1) expect(cut).not.toEqual(plain);
    if (every === 50 || every === 'auto') expect(cut).toEqual(plain);
  });

  test('is saved with the model, and absent unless given', async () => {
    using plain = modelWith(undefined);
    expect(JSON.stringify(plain.getConfig())).not.toContain('checkpointEvery');
    await inTemporaryDirectory(async (directory) => {
      for (const every of [12, 'auto'] as const) {
        using model = modelWith(every);
        await model.save(`${directory}/model.safetensors`);
        using loaded = await load(`${directory}/model.safetensors`);
        expect(loaded.getConfig()).toEqual(model.getConfig());
        expect(JSON.stringify(loaded.getConfig())).toContain(
          `"checkpointEvery":${JSON.stringify(every)}`,
        );
      }
    });
  });
});
