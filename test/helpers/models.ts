import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layers, sequential } from '../../lib';
import type { Model } from '../../lib';

/** Numbers that look random and are the same every time. */
export function numbers(count: number, seed = 1): Float32Array {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** A character model over `size` ids that gives logits for each step. */
export function characterModel(size = 7, units = 8, seed = 1): Model {
  return sequential(
    [
      layers.embedding({ inputDim: size, units: 5 }),
      layers.lstm({ units, returnSequences: true }),
      layers.dense({ units: size }),
    ],
    { seed },
  );
}

/** A model from [batch, time, 3] to [batch, 2]. */
export function regressionModel(units = 4): Model {
  return sequential([layers.gru({ units, inputFeatures: 3 }), layers.dense({ units: 2 })], {
    seed: 3,
  });
}

/** Runs `work` with a directory that is gone afterwards. */
export async function inTemporaryDirectory<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), 'ostinato-test-'));
  try {
    return await work(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
