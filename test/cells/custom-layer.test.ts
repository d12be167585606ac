import { execFileSync } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import { defineCell, fromConfig, layers, load, optimizers, sequential } from '../../lib';
import type { Cell, Layer } from '../../lib';
import { ostinato } from '../cli/helpers';
import { restatedElman, restatedGru, restatedLstm } from '../helpers/cells';
import { rejectionOf } from '../helpers/errors';
import { builtLibrary } from '../helpers/library';
import { inTemporaryDirectory, numbers } from '../helpers/models';

/** An LSTM with peepholes (Gers and Schmidhuber 2000): two states and learned vectors. */
const peephole = defineCell({
  name: 'peephole',
  gates: ['i', 'f', 'g', 'o'],
  states: ['h', 'c'],
  params: { pi: 'uniform', pf: 'ones', po: { kind: 'constant', value: 0.25 } },
  step: ({ gates: { i, f, g, o }, states, params, ops: { add, mul, sigmoid, tanh } }) => {
    const forget = sigmoid(add(f, mul(params.pf, states.c)));
    const write = sigmoid(add(i, mul(params.pi, states.c)));
    const c = add(mul(forget, states.c), mul(write, tanh(g)));
    return { h: mul(sigmoid(add(o, mul(params.po, c))), tanh(c)), c };
  },
});

const modelOf = (cell: Cell, more: object = {}) =>
  sequential(
    [
      layers.custom({ cell, units: 5, inputFeatures: 3, name: 'rnn', ...more }),
      layers.dense({ units: 2 }),
    ],
    { seed: 4 },
  );
const x = { data: numbers(6 * 7 * 3), shape: [6, 7, 3] };
const y = { data: numbers(6 * 2, 2), shape: [6, 2] };

test('learned vectors are parameters, with their initialisers', () => {
  using model = modelOf(peephole, { layers: 2, bidirectional: true });
  const weights = model.getWeights();
  for (const suffix of ['l0', 'l0_reverse', 'l1', 'l1_reverse']) {
    expect(weights[`rnn.pf_${suffix}`]!.shape).toEqual([5]);
    expect([...weights[`rnn.pf_${suffix}`]!.data]).toEqual([1, 1, 1, 1, 1]);
    expect([...weights[`rnn.po_${suffix}`]!.data]).toEqual([0.25, 0.25, 0.25, 0.25, 0.25]);
    expect(new Set(weights[`rnn.pi_${suffix}`]!.data).size).toBe(5);
  }
  expect(weights['rnn.pi_l0']!.data).not.toEqual(weights['rnn.pi_l1']!.data);
  // Four gates on 3 and on 10 inputs, with two biases and three vectors each.
  const count = 2 * (20 * (3 + 5 + 2) + 15) + 2 * (20 * (10 + 5 + 2) + 15);
  expect(model.summary()).toContain(` ${count.toLocaleString('en-US')}
`);
});

test('training moves them, and lowers the loss', async () => {
  using model = modelOf(peephole);
  const before = model.getWeights();
  const history = await model.fit(x, y, {
    epochs: 40,
    loss: 'meanSquaredError',
    optimizer: optimizers.adam({ learningRate: 0.02 }),
  });
  expect(history.loss.at(-1)!).toBeLessThan(history.loss[0]! / 4);
  const after = model.getWeights();
  for (const name of ['pi', 'pf', 'po']) {
    expect(after[`rnn.${name}_l0`]!.data).not.toEqual(before[`rnn.${name}_l0`]!.data);
  }
});

test('weight decay leaves learned vectors alone, as it does biases', async () => {
  using model = modelOf(peephole);
  const before = model.getWeights();
  const zero = { data: new Float32Array(12), shape: [6, 2] };
  model.setWeights({ 'dense.weight': { data: new Float32Array(10), shape: [2, 5] } });
  const optimizer = optimizers.adamw({ learningRate: 0.1, weightDecay: 0.5 });
  await model.fit(x, zero, { epochs: 1, loss: 'meanSquaredError', optimizer });
  const after = model.getWeights();
  expect(after['rnn.pf_l0']).toEqual(before['rnn.pf_l0']);
  expect(after['rnn.weight_hh_l0']).not.toEqual(before['rnn.weight_hh_l0']);
});

test.each<[string, Cell, (options: object) => Layer]>([
  ['Elman', restatedElman(), (options) => layers.simpleRnn(options as never)],
  ['GRU', restatedGru(), (options) => layers.gru(options as never)],
  ['LSTM', restatedLstm(), (options) => layers.lstm(options as never)],
])('training with a restated %s is training with the built-in one', async (_name, cell, make) => {
  const options = { units: 20, inputFeatures: 3, name: 'rnn', layers: 2, dropout: 0.3 };
  using own = sequential([make(options), layers.dense({ units: 2 })], { seed: 5 });
  using defined = sequential([layers.custom({ ...options, cell }), layers.dense({ units: 2 })], {
    seed: 5,
  });
  defined.setWeights(own.getWeights());
  const fit = { epochs: 5, batchSize: 4, loss: 'meanSquaredError' as const };
  const [left, right] = [await own.fit(x, y, fit), await defined.fit(x, y, fit)];
  left.loss.forEach((loss, i) => expect(right.loss[i]).toBeCloseTo(loss, 5));
});

describe('sessions', () => {
  test.each([
    ['GRU', restatedGru()],
    ['peephole LSTM', peephole],
  ])('steps of a %s are the steps of a sequence', async (_name, cell) => {
    using model = sequential([
      layers.custom({ cell, units: 9, inputFeatures: 3, layers: 2, returnSequences: true }),
    ]);
    const whole = await model.predict(x);
    using session = model.session({ streams: 6 });
    for (let t = 0; t < 7; t++) {
      const rows = Float32Array.from({ length: 18 }, (_v, i) => {
        return x.data[(Math.floor(i / 3) * 7 + t) * 3 + (i % 3)]!;
      });
      const step = t % 2 === 0 ? session.stepSync(rows) : await session.step(rows);
      const wanted = Array.from({ length: 54 }, (_v, i) => {
        return whole.data[(Math.floor(i / 9) * 7 + t) * 9 + (i % 9)]!;
      });
      expect([...step]).toEqual(wanted);
    }
    expect(Object.keys(session.state['custom']!)).toEqual([...cell.states]);
    const state = session.state;
    using other = model.session({ streams: 6 });
    other.setState(state);
    const row = numbers(18, 9);
    expect([...other.stepSync(row)]).toEqual([...session.stepSync(row)]);
  });
});

test('rows do not depend on the batch they are in, nor on lengths of others', async () => {
  using model = modelOf(peephole, { bidirectional: true, returnSequences: true });
  const all = await model.predict(x, { lengths: [7, 3, 0, 7, 1, 5] });
  const alone = await model.predict({ data: x.data.slice(21, 30), shape: [1, 3, 3] });
  expect([...all.data.slice(14, 20)]).toEqual([...alone.data]);
});

describe('files', () => {
  test('a saved model needs no code of its own to be loaded', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      using model = modelOf(peephole, { layers: 2 });
      await model.save(path);
      const program = `
        const { load } = require(${JSON.stringify(builtLibrary())});
        load(process.argv[1]).then(async (model) => {
          const x = { data: Float32Array.from(JSON.parse(process.argv[2])), shape: [6, 7, 3] };
          console.log(JSON.stringify([...(await model.predict(x)).data]));
        });`;
      const data = JSON.stringify([...x.data]);
      const printed = execFileSync(process.execPath, ['-e', program, path, data], {
        encoding: 'utf8',
      });
      expect(JSON.parse(printed)).toEqual([...model.predictSync(x).data]);
    });
  });

  test('configurations', () => {
    using model = modelOf(peephole, { bidirectional: 'sum', checkpointEvery: 2 });
    const config = JSON.parse(JSON.stringify(model.getConfig())) as typeof copied;
    using copy = fromConfig(config);
    const copied = copy.getConfig();
    expect(copied).toEqual(config);
    expect(copy.summary()).toBe(model.summary());
  });

  test('a damaged cell is the fault of the file', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'model.safetensors');
      using model = modelOf(restatedElman());
      await model.save(path);
      const bytes = await fs.readFile(path);
      const at = bytes.indexOf('tanh(sum.a)');
      expect(at).toBeGreaterThan(0);
      for (const other of ['tanh(sum.b)', 'tanh(#0)   ', 'tanc(sum.a)']) {
        const damaged = Buffer.from(bytes);
        damaged.write(other, at);
        await fs.writeFile(path, damaged);
        expect(await rejectionOf(() => load(path))).toMatchObject({
          code: 'ERR_FORMAT',
          message: expect.stringContaining('custom.cell') as string,
        });
      }
    });
  });

  test('summary and inspect print the equations', async () => {
    await inTemporaryDirectory(async (directory) => {
      using model = modelOf(peephole);
      const lines = [
        'rnn: cell peephole',
        "  c' = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * tanh(g)",
        "  h' = sigmoid(o + po * c') * tanh(c')",
      ].join('\n');
      expect(model.summary()).toContain(`\n\n${lines}`);
      await model.save(join(directory, 'model.safetensors'));
      const { code, stdout } = await ostinato(directory, ['inspect', 'model.safetensors']);
      expect(code).toBe(0);
      expect(stdout).toContain(lines);
      expect(stdout).not.toContain('#0');
    });
  });
});

test('the core refuses a cell with too many values at a time, by its own check', () => {
  const wide = defineCell({
    name: 'wide',
    gates: ['a'],
    step: ({ gates: { a }, ops: { add, mul, max, div } }) => {
      const values = Array.from({ length: 50 }, (_v, i) => mul(a, i + 0.5));
      const top = values.reduce((left, right) => max(left, right));
      return { h: values.map((value) => div(top, value)).reduce((l, r) => add(max(l, r), l)) };
    },
  });
  expect(() => modelOf(wide)).toThrow(/values at a time/);
});
