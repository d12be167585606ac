/** A disk that fills up while a checkpoint is written. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callbacks } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { inTemporaryDirectory, numbers, regressionModel } from '../helpers/models';

/** Bytes that files may still take; what would go beyond is written in part. */
let room = Infinity;

jest.mock('node:fs/promises', () => {
  const real = jest.requireActual<typeof promises>('node:fs/promises');
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => {
      const file = await real.open(...args);
      const write = file.writeFile.bind(file);
      file.writeFile = async (data) => {
        const bytes = data as Uint8Array;
        const fits = bytes.subarray(0, Math.min(bytes.length, room));
        room -= fits.length;
        await write(fits);
        if (fits.length < bytes.length) {
          throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
            code: 'ENOSPC',
            syscall: 'write',
          });
        }
      };
      return file;
    },
  };
});

afterEach(() => {
  room = Infinity;
});

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const options = { loss: 'meanSquaredError', batchSize: 4, epochs: 3 } as const;

test('the error names the file, older checkpoints stay whole, and the run goes on from them', async () => {
  await inTemporaryDirectory(async (directory) => {
    const saver = () => callbacks.modelCheckpoint({ directory, everySteps: 4, keep: 1 });
    using model = regressionModel();
    const fill = { onBatchEnd: ({ step }: { step: number }) => void (step === 6 && (room = 3000)) };
    const error = await rejectionOf(() =>
      model.fit(x, y, { ...options, callbacks: [fill, saver()] }),
    );
    expect(error).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOSPC' } });
    expect(error.message).toContain(join(directory, 'step-000000008.safetensors'));
    expect(error.message).toMatch(/no space left.*nothing that was saved before is changed/);
    // The half-written file is gone, the one before is there, and the model is as it was trained.
    expect(readdirSync(directory).sort()).toEqual([
      'best.safetensors',
      'step-000000005.safetensors',
    ]);
    expect(model.trainedSteps).toBe(8);

    room = Infinity;
    using again = regressionModel();
    await again.fit(x, y, { ...options, callbacks: [saver()], resume: directory });
    using whole = regressionModel();
    await whole.fit(x, y, options);
    expect(again.getWeights()).toEqual(whole.getWeights());
  });
});

test('a file system that is full', async () => {
  const mount = mkdtempSync(join(tmpdir(), 'ostinato-full-'));
  const run = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
  // Only some machines let a test mount; the test before this one needs nothing.
  if (!run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount)) {
    rmSync(mount, { recursive: true });
    return;
  }
  try {
    const directory = join(mount, 'checkpoints');
    mkdirSync(directory);
    const saver = () => callbacks.modelCheckpoint({ directory, everySteps: 1, keep: 1 });
    using model = regressionModel();
    await model.fit(x, y, { ...options, epochs: 1, callbacks: [saver()] });
    const before = readdirSync(directory).map((name) => readFileSync(join(directory, name)));
    // Fills what is left.
    let block = 32_768;
    for (let i = 0; block >= 1024; i++) {
      try {
        writeFileSync(join(mount, `block-${i}`), new Uint8Array(block));
      } catch {
        rmSync(join(mount, `block-${i}`), { force: true });
        block /= 2;
      }
    }
    const error = await rejectionOf(() =>
      model.fit(x, y, { ...options, callbacks: [saver()], resume: directory }),
    );
    expect(error).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOSPC' } });
    expect(error.message).toContain('step-000000006.safetensors');
    const after = readdirSync(directory).map((name) => readFileSync(join(directory, name)));
    expect(after).toEqual(before);
  } finally {
    run('umount', mount);
    rmSync(mount, { recursive: true, force: true });
  }
});
