import { execFile } from 'node:child_process';
import { AsyncLocalStorage } from 'node:async_hooks';
import { promisify } from 'node:util';
import { layers, sequential } from '../../lib';
import type { Model } from '../../lib';
import { builtLibrary } from '../helpers/library';

const run = promisify(execFile);

/** Runs a script in a process of its own that has the library and a small model at hand. */
function script(body: string, env: Record<string, string> = {}) {
  const text = `
    const { layers, sequential, info } = require(${JSON.stringify(builtLibrary())});
    const make = (units = 8) =>
      sequential([layers.lstm({ units, inputFeatures: 4 }), layers.dense({ units: 1 })]);
    const x = { data: new Float32Array(16 * 20 * 4).fill(0.5), shape: [16, 20, 4] };
    const y = { data: new Float32Array(16), shape: [16, 1] };
    const train = (model, options) => model.fit(x, y, { loss: 'meanSquaredError', ...options });
    ${body}
  `;
  return run(process.execPath, ['-e', text], { env: { ...process.env, ...env }, timeout: 60_000 });
}

function small(): Model {
  return sequential([layers.lstm({ units: 4, inputFeatures: 2 }), layers.dense({ units: 1 })]);
}

const X = [
  [
    [1, 2],
    [3, 4],
  ],
];

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('one thread runs all jobs, and is there from the first job on', async () => {
  const { stdout } = await script(`
    const fs = require('node:fs');
    const threads = () => fs.readdirSync('/proc/self/task')
      .map((id) => fs.readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim());
    const engines = () => threads().filter((name) => name === 'ostinato').length;
    (async () => {
      const models = [make(), make(), make()];
      models[0].predictSync(x);
      const before = engines();
      for (let i = 0; i < 5; i++) {
        await Promise.all(models.flatMap((model) => [1, 2].map(() => model.predict(x, { threads: 1 }))));
        await train(models[i % 3], { threads: 1 });
      }
      console.log(JSON.stringify([before, engines()]));
    })();
  `);
  expect(JSON.parse(stdout)).toEqual([0, 1]);
});

test('a process stays while a job is pending and ends by itself after the last one', async () => {
  const { stdout } = await script(`
    train(make(), { epochs: 30 }).then(() => console.log('trained'));
    process.on('exit', (code) => console.log('exit', code));
  `);
  expect(stdout).toBe('trained\nexit 0\n');
});

test('a process that has cancelled all its jobs ends by itself', async () => {
  const { stdout } = await script(`
    const model = make();
    const long = { data: new Float32Array(4096 * 20 * 4), shape: [4096, 20, 4] };
    const first = model.predict(long, { batchSize: 4096 });
    const ended = [first, model.predict(x), model.predict(x)].map((job) => job.catch(({ code }) => code));
    model.dispose();
    Promise.all(ended).then((codes) => console.log(codes.slice(1).join()));
  `);
  expect(stdout).toBe('ERR_DISPOSED,ERR_DISPOSED\n');
});

test('process.exit at any moment of a training', async () => {
  for (const delay of [0, 1, 3, 10, 40]) {
    const body = `
      for (const model of [make(), make(64)]) train(model, { epochs: 1e6, threads: 2 });
      setTimeout(() => process.exit(7), ${delay});
    `;
    await expect(script(body)).rejects.toMatchObject({ code: 7, signal: null, stderr: '' });
  }
});

test('an uncaught error in the middle of a training', async () => {
  const body = `
    train(make(64), { epochs: 1e6, threads: 2 });
    setTimeout(() => { throw new Error('from the user'); }, 20);
  `;
  await expect(script(body)).rejects.toMatchObject({
    code: 1,
    signal: null,
    stderr: expect.stringContaining('from the user') as string,
  });
});

test('process.exit in the main thread and in a worker while both train', async () => {
  for (const [inWorker, inMain] of [
    [15, 1e6],
    [1e6, 25],
  ]) {
    const body = `
      const { Worker, isMainThread } = require('node:worker_threads');
      train(make(32), { epochs: 1e6, threads: 2 });
      if (isMainThread) {
        const text = process.execArgv.at(-1) ?? '';
        const worker = new Worker(text, { eval: true, execArgv: [] });
        worker.on('exit', (code) => process.exit(code));
        setTimeout(() => process.exit(5), ${inMain});
      } else {
        setTimeout(() => process.exit(4), ${inWorker});
      }
    `;
    const code = inWorker! < inMain! ? 4 : 5;
    await expect(script(body)).rejects.toMatchObject({ code, signal: null, stderr: '' });
  }
});

test('a worker that is terminated while jobs wait behind a running one', async () => {
  const { stdout } = await script(`
    const { Worker } = require('node:worker_threads');
    const body = \`
      const { layers, sequential } = require(${JSON.stringify(builtLibrary())});
      const make = () => sequential([layers.lstm({ units: 64, inputFeatures: 4, returnSequences: true })]);
      const x = { data: new Float32Array(64 * 200 * 4), shape: [64, 200, 4] };
      for (let i = 0; i < 20; i++) make().predict(x, { threads: 2 });
      require('node:worker_threads').parentPort.postMessage('queued');
    \`;
    (async () => {
      for (let i = 0; i < 6; i++) {
        const worker = new Worker(body, { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        await new Promise((resolve) => setTimeout(resolve, i * 3));
        await worker.terminate();
      }
      await make().predict(x);
      console.log('fine');
    })();
  `);
  expect(stdout).toBe('fine\n');
});

test('jobs of different models end in the order in which they were given', async () => {
  const order: number[] = [];
  const models = Array.from({ length: 8 }, small);
  await Promise.all(models.map((model, i) => model.predict(X).then(() => order.push(i))));
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('asynchronous context goes through a job, to its callbacks and what follows', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen = async (name: string): Promise<(string | undefined)[]> =>
    storage.run(name, async () => {
      const model = small();
      const names: (string | undefined)[] = [];
      const onBatch = () => void names.push(storage.getStore());
      await model.fit(X, [[1]], { loss: 'meanSquaredError', onBatch });
      names.push(storage.getStore());
      await model.predict(X);
      names.push(storage.getStore());
      return names;
    });
  const all = await Promise.all([seen('a'), seen('b')]);
  expect(all).toEqual([
    ['a', 'a', 'a'],
    ['b', 'b', 'b'],
  ]);
});

test('async_hooks sees the work under the name of the library', async () => {
  const { stdout } = await script(`
    const { createHook } = require('node:async_hooks');
    const types = new Map();
    const entered = [];
    createHook({
      init: (id, type) => types.set(id, type),
      before: (id) => entered.push(types.get(id)),
    }).enable();
    make().predict(x).then(() => console.log(entered.includes('ostinato')));
  `);
  expect(stdout).toBe('true\n');
});

test('data may be overwritten as soon as the call has returned', async () => {
  const losses = await Promise.all(
    [false, true].map(async (overwrite) => {
      const model = sequential(
        [layers.lstm({ units: 4, inputFeatures: 2 }), layers.dense({ units: 1 })],
        { seed: 3 },
      );
      const x = {
        data: Float32Array.from({ length: 80 }, (_v, i) => Math.sin(i)),
        shape: [8, 5, 2],
      };
      const y = { data: Float32Array.from({ length: 8 }, (_v, i) => i), shape: [8, 1] };
      const done = model.fit(x, y, { loss: 'meanSquaredError', epochs: 3, batchSize: 2 });
      if (overwrite) for (const { data } of [x, y]) data.fill(100);
      return (await done).loss;
    }),
  );
  expect(losses[1]).toEqual(losses[0]);
});

test('the setting for idle threads does not stay in the environment', async () => {
  const print = `info(); console.log(process.env.GOMP_SPINCOUNT);`;
  expect((await script(`delete process.env.GOMP_SPINCOUNT; ${print}`)).stdout).toBe('undefined\n');
  expect((await script(print, { GOMP_SPINCOUNT: '77' })).stdout).toBe('77\n');
});

onLinux('libgomp sees the setting for idle threads, unless the user has one', async () => {
  const shown = async (env: Record<string, string>): Promise<string | undefined> => {
    const { stdout, stderr } = await script('if (info().parallel !== "openmp") process.exit(9);', {
      OMP_DISPLAY_ENV: 'verbose',
      ...env,
    });
    return /GOMP_SPINCOUNT = '(.*)'/.exec(stdout + stderr)?.[1];
  };
  expect(await shown({})).toBe('10000');
  expect(await shown({ GOMP_SPINCOUNT: '77' })).toBe('77');
  expect(await shown({ OMP_WAIT_POLICY: 'passive' })).toBe('0');
});
