import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import { layers, load, safetensors, sequential } from '../../lib';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { characterModel, inTemporaryDirectory, numbers } from '../helpers/models';

const build = (seed: number) =>
  sequential(
    [
      layers.lstm({
        units: 4,
        layers: 2,
        bidirectional: true,
        inputFeatures: 3,
        returnSequences: true,
        name: 'body',
      }),
      layers.layerNorm(),
      layers.gru({ units: 3, resetAfter: false }),
      layers.dense({ units: 2, activation: 'softmax' }),
    ],
    { seed },
  );

test('save and load are exact', async () => {
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'model.safetensors');
    using model = build(11);
    model.metadata = { vocab: ['a', 'ß'], deep: { list: [1, null] } };
    await model.save(path);
    using back = await load(path);
    expect(back.getConfig()).toEqual(model.getConfig());
    expect(back.metadata).toEqual(model.metadata);
    const before = model.getWeights();
    for (const [name, { data, shape }] of Object.entries(back.getWeights())) {
      expect(shape).toEqual(before[name]!.shape);
      expect([...data]).toEqual([...before[name]!.data]);
    }
    const x = { data: numbers(2 * 3 * 3), shape: [2, 3, 3] };
    expect([...back.predictSync(x).data]).toEqual([...model.predictSync(x).data]);
    const header = await safetensors.inspect(path);
    expect(header.metadata['format']).toBe('pt');
    expect(header.tensors.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['body.weight_ih_l0', 'body.bias_hh_l1_reverse', 'dense.weight']),
    );
  });
});

test('metadata must be JSON', async () => {
  using model = build(1);
  for (const metadata of [() => 1, { a: NaN }, { a: new Float32Array(1) }, { a: undefined }]) {
    const error = await rejectionOf(() => model.save('/nowhere/x', { metadata }));
    expect(error).toMatchObject({ name: 'TypeError' });
  }
});

test('a saved file survives a save that fails', async () => {
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'model.safetensors');
    using model = build(11);
    await model.save(path);
    const before = await fs.readFile(path);
    const error = await rejectionOf(() => model.save(join(directory, 'no', 'such', 'place')));
    expect(error).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOENT' } });
    const rename = jest
      .spyOn(fs, 'rename')
      .mockRejectedValueOnce(
        Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'rename' }),
      );
    expect((await rejectionOf(() => model.save(path))).code).toBe('ERR_IO');
    rename.mockRestore();
    expect(await fs.readFile(path)).toEqual(before);
    expect(await fs.readdir(directory)).toEqual(['model.safetensors']);
  });
});

describe('loadWeights', () => {
  const state = (prefix: string, units = 8) => ({
    [`${prefix}.weight_ih_l0`]: { data: numbers(4 * units * 5), shape: [4 * units, 5] },
    [`${prefix}.weight_hh_l0`]: { data: numbers(4 * units * units), shape: [4 * units, units] },
    [`${prefix}.bias_ih_l0`]: { data: numbers(4 * units), shape: [4 * units] },
    [`${prefix}.bias_hh_l0`]: { data: numbers(4 * units), shape: [4 * units] },
    'emb.weight': { data: numbers(7 * 5), shape: [7, 5] },
    'fc.weight': { data: numbers(7 * units), shape: [7, units] },
    'fc.bias': { data: numbers(7), shape: [7] },
  });
  const map = { rnn: 'lstm', emb: 'embedding', fc: 'dense' };

  test('a plain state dict, by prefixes and by a function', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'torch.safetensors');
      await safetensors.write(path, { ...state('rnn'), 'aux.scale': [1] });
      using model = characterModel();
      const before = [...model.getWeights()['dense.bias']!.data];
      const error = await rejectionOf(() => model.loadWeights(path, { map }));
      expect(error).toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
      expect(error.message).toContain('unexpected: aux.scale');
      expect([...model.getWeights()['dense.bias']!.data]).toEqual(before);
      const report = await model.loadWeights(path, { map, strict: false });
      expect(report).toMatchObject({ missing: [], unexpected: ['aux.scale'], mismatched: [] });
      expect([...model.getWeights()['dense.bias']!.data]).toEqual([...numbers(7)]);
      const byFunction = (name: string) =>
        name === 'aux.scale' ? null : name.replace(/^(\w+)/, (key) => map[key as 'rnn'] ?? key);
      expect((await model.loadWeights(path, { map: byFunction })).loaded).toHaveLength(7);
      const whole = { 'rnn.weight_ih_l0': 'lstm.weight_ih_l0' };
      expect((await model.loadWeights(path, { map: whole, strict: false })).loaded).toEqual([
        'lstm.weight_ih_l0',
      ]);
    });
  });

  test('all that is wrong is listed, and nothing is changed', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'torch.safetensors');
      const { 'emb.weight': _left, ...rest } = state('rnn', 9);
      await safetensors.write(path, rest);
      using model = characterModel();
      const before = [...model.getWeights()['dense.bias']!.data];
      const error = await rejectionOf(() => model.loadWeights(path, { map }));
      expect(error.message).toContain('missing: embedding.weight');
      expect(error.message).toContain(
        'rnn.weight_ih_l0 (as lstm.weight_ih_l0): [36, 5] instead of [32, 5]',
      );
      expect([...model.getWeights()['dense.bias']!.data]).toEqual(before);
      const twice = await rejectionOf(() => model.loadWeights(path, { map: () => 'dense.bias' }));
      expect(twice.message).toContain('both become it');
      expect((await rejectionOf(() => model.loadWeights(path, { map: 5 as never }))).name).toBe(
        'TypeError',
      );
      const notSaved = await rejectionOf(() => load(path));
      expect(notSaved).toMatchObject({ code: 'ERR_FORMAT' });
      expect(notSaved.message).toContain('holds no model configuration');
    });
  });
});

test('a configuration that cannot be used', async () => {
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'a.safetensors');
    for (const config of ['{', '{"format":99}', '{"format":1,"layers":[{"type":"x"}]}', '[]']) {
      await safetensors.write(path, { a: [1] }, { 'ostinato.config': config });
      expect((await rejectionOf(() => load(path))).code).toBe('ERR_FORMAT');
    }
  });
});

test('setWeights checks all before it writes any', () => {
  using model = characterModel();
  const before = [...model.getWeights()['dense.bias']!.data];
  const good = { 'dense.bias': numbers(7) };
  expect(thrownBy(() => model.setWeights({ ...good, 'dense.biass': [1] })).message).toContain(
    'did you mean "dense.bias"?',
  );
  expect(thrownBy(() => model.setWeights({ ...good, 'dense.weight': [[1]] })).code).toBe(
    'ERR_SHAPE_MISMATCH',
  );
  expect([...model.getWeights()['dense.bias']!.data]).toEqual(before);
  model.setWeights(good);
  expect([...model.getWeights()['dense.bias']!.data]).toEqual([...numbers(7)]);
});
