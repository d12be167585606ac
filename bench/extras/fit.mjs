// `fit` through the public API against the same training steps in C++, in short alternating turns.
//
// Both make the same pass over the same arrays in one timed call: batches in order, recurrent layer,
// its last step, dense layer, mean squared error, Adam, no shuffling, no metrics; the trained
// weights are compared first. `fit` also checks its arguments, makes its data set, its optimiser and
// its history for each call. So the same is measured for epochs of two lengths: the difference is
// what the additional steps alone take, whatever a call costs.
import { parseCase } from '../cases.mjs';
import { largestError } from '../lib/data.mjs';
import { TOLERANCE } from '../lib/measure.mjs';
import { NATIVE, OURS } from '../lib/peers.mjs';
import { Pool } from '../lib/pool.mjs';
import { summarise } from '../lib/statistics.mjs';
import { formatMs, formatRatio } from '../lib/table.mjs';
import { prepare, release, takeTurn, withFiles } from '../lib/turns.mjs';

export const name = 'fit';
export const title = 'fit against the same steps in C++, ms a training step';
export const minutes = 0.6;

const THREADS = 2;
const JOBS = [
  { shape: '20,8,16,32', epochs: [64, 512] },
  { shape: '64,32,128,128', epochs: [16, 64] },
];
const ROUNDS = 15;
const TURN = { warmMs: 5, budgetMs: 40, maxSamples: 200 };

async function timePair(pool, it) {
  return withFiles(it, false, async (files) => {
    const [ours] = OURS.filter(({ phases }) => phases.includes('fit'));
    const entries = [await prepare(pool, ours, it, files), await prepare(pool, NATIVE, it, files)];
    for (const { peer, results, failed } of entries) {
      if (results === undefined) throw new Error(`${it.id}: ${peer.name}: ${failed ?? 'missing'}`);
    }
    const { error, name: tensor } = largestError(entries[1].results, entries[0].results);
    if (!(error <= TOLERANCE)) throw new Error(`${it.id}: ${tensor} differs by ${error}`);
    for (let round = 0; round < ROUNDS; ++round) {
      for (const entry of round % 2 === 0 ? entries : [...entries].reverse()) {
        await takeTurn(entry, TURN);
      }
    }
    for (const entry of entries) await release(entry);
    return entries.map(({ times }) => summarise(times));
  });
}

export async function measure({ isa }) {
  const pool = new Pool({ isa });
  try {
    const entries = [];
    for (const { shape, epochs } of JOBS) {
      const calls = [];
      for (const batches of epochs) {
        const it = { ...parseCase(`lstm/fit/${shape}/t${THREADS}`), batches };
        const [ours, native] = await timePair(pool, { ...it, id: `${it.id} (${batches})` });
        calls.push({ batches, ours, native });
      }
      const [short, long] = calls;
      const perStep = (who) =>
        (long[who].median_ms - short[who].median_ms) / (long.batches - short.batches);
      entries.push({
        id: `lstm/fit/${shape}/t${THREADS}`,
        batches: long.batches,
        ours_ms: long.ours.median_ms / long.batches,
        native_ms: long.native.median_ms / long.batches,
        ratio: long.ours.median_ms / long.native.median_ms,
        ratio_of_minima: long.ours.min_ms / long.native.min_ms,
        short: {
          batches: short.batches,
          ours_ms: short.ours.median_ms / short.batches,
          native_ms: short.native.median_ms / short.batches,
          ratio: short.ours.median_ms / short.native.median_ms,
        },
        steps_alone: { ours_ms: perStep('ours'), native_ms: perStep('native') },
      });
    }
    return { entries };
  } finally {
    pool.close();
  }
}

export function rows({ entries }) {
  return [
    ['case', 'steps an epoch', 'fit', 'in C++', 'ratio', 'of minima'],
    ...entries.flatMap((it) => [
      [
        it.id,
        it.batches,
        formatMs(it.ours_ms),
        formatMs(it.native_ms),
        formatRatio(it.ratio),
        formatRatio(it.ratio_of_minima),
      ],
      [
        '  shorter epochs',
        it.short.batches,
        formatMs(it.short.ours_ms),
        formatMs(it.short.native_ms),
        formatRatio(it.short.ratio),
        '',
      ],
      [
        '  additional steps alone',
        '',
        formatMs(it.steps_alone.ours_ms),
        formatMs(it.steps_alone.native_ms),
        formatRatio(it.steps_alone.ours_ms / it.steps_alone.native_ms),
        '',
      ],
    ]),
  ];
}
