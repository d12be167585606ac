import { execFile } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { builtLibrary, root } from '../helpers/library';
import { inTemporaryDirectory } from '../helpers/models';

const run = promisify(execFile);

/** Trains a few steps in the worker, or for ever, and tells when it has begun. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { layers, sequential } = require(workerData.library);
  const model = sequential([layers.lstm({ units: 32, inputFeatures: 4 }), layers.dense({ units: 1 })]);
  const x = { data: new Float32Array(16 * 20 * 4).fill(0.5), shape: [16, 20, 4] };
  const y = { data: new Float32Array(16), shape: [16, 1] };
  const epochs = workerData.forever ? 1e6 : 5;
  let told = false;
  const onEpoch = () => {
    if (workerData.forever && !told) parentPort.postMessage('training');
    told = true;
  };
  model.fit(x, y, { loss: 'meanSquaredError', epochs, onEpoch, threads: 2 }).then(
    ({ loss }) => parentPort.postMessage(loss),
    (error) => { throw error; },
  );
`;

function start(forever: boolean): Worker {
  const workerData = { library: builtLibrary(), forever };
  return new Worker(WORKER, { eval: true, workerData });
}

function firstMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

async function trainOnce(): Promise<number[]> {
  const worker = start(false);
  const ended = new Promise<number>((resolve) => worker.once('exit', resolve));
  const losses = (await firstMessage(worker)) as number[];
  expect(await ended).toBe(0);
  return losses;
}

test('20 workers, one after the other', async () => {
  const first = await trainOnce();
  expect(first).toHaveLength(5);
  for (let i = 1; i < 20; i++) expect(await trainOnce()).toEqual(first);
});

test('4 workers at once', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, trainOnce));
  for (const losses of all) expect(losses).toEqual(all[0]);
});

test('terminated in the middle of training', async () => {
  for (let i = 0; i < 5; i++) {
    const worker = start(true);
    await firstMessage(worker);
    await sleep(i * 13);
    const before = performance.now();
    await worker.terminate();
    expect(performance.now() - before).toBeLessThan(2000);
  }
  expect(await trainOnce()).toHaveLength(5);
});

test('a process that ends while it trains', async () => {
  const script = `
    const { layers, sequential } = require(${JSON.stringify(builtLibrary())});
    const model = sequential([layers.lstm({ units: 32, inputFeatures: 4 }), layers.dense({ units: 1 })]);
    const x = { data: new Float32Array(16 * 20 * 4), shape: [16, 20, 4] };
    const y = { data: new Float32Array(16), shape: [16, 1] };
    model.fit(x, y, { loss: 'meanSquaredError', epochs: 1e6 });
    model.predict(x).catch(() => setTimeout(() => process.exit(7), 50));
  `;
  await expect(run(process.execPath, ['-e', script])).rejects.toMatchObject({ code: 7 });
});

test('models that are forgotten are collected', async () => {
  const script = `
    const { layers, sequential } = require(${JSON.stringify(builtLibrary())});
    (async () => {
      const make = () => sequential([layers.dense({ units: 1024, inputFeatures: 1024 })]);
      const x = [new Array(1024).fill(1)];
      for (let i = 0; i < 100; i++) {
        await make().predict(x);
        make().session;
        await new Promise(setImmediate);
      }
      // 200 models of 8 MB and more; what lives is a few of them.
      console.log(process.memoryUsage().rss / 2 ** 20);
    })();
  `;
  const { stdout } = await run(process.execPath, ['-e', script]);
  expect(Number(stdout)).toBeGreaterThan(0);
  expect(Number(stdout)).toBeLessThan(900);
});

test('two copies of the package in one process', async () => {
  await inTemporaryDirectory(async (directory) => {
    const copies = ['one', 'two'].map((name) => join(directory, name));
    for (const copy of copies) {
      await fs.cp(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
      await fs.cp(
        join(root, 'build/Release/ostinato.node'),
        join(copy, 'build/Release/ostinato.node'),
      );
      await fs.copyFile(join(root, 'package.json'), join(copy, 'package.json'));
      await fs.symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    }
    const script = `
      const [one, two] = ${JSON.stringify(copies)}.map((copy) => require(copy));
      const [a, b] = ${JSON.stringify(copies)}.map((copy) => require(copy + '/build/Release/ostinato.node'));
      const make = ({ layers, sequential }) => sequential([layers.gru({ units: 8, inputFeatures: 2 })], { seed: 5 });
      const [x, y] = [one, two].map((library) => make(library).predictSync([[[1, 2], [3, 4]]]).data);
      const config = { seed: 1, inputs: [{ features: 1, tokens: false, timed: true }],
        layers: [{ type: 'lstm', name: 'lstm', options: { units: 2 } }],
        nodes: [{ layer: 0, inputs: [0] }], outputs: [1] };
      let refused = 0;
      try { a.Model.prototype.describe.call(new b.Model(config)); } catch (error) { refused += error instanceof TypeError; }
      try { one.sequential([two.layers.dense({ units: 1, inputFeatures: 1 })]); } catch (error) { refused += error instanceof TypeError; }
      console.log(JSON.stringify({ same: x.every((value, i) => value === y[i]), distinct: a !== b, refused }));
    `;
    const { stdout } = await run(process.execPath, ['-e', script]);
    expect(JSON.parse(stdout)).toEqual({ same: true, distinct: true, refused: 2 });
  });
});
