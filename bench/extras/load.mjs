// Two threads against one while another process keeps one core busy.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCase } from '../cases.mjs';
import { oursFor } from '../lib/measure.mjs';
import { Pool } from '../lib/pool.mjs';
import { summarise } from '../lib/statistics.mjs';
import { formatMs, formatRatio } from '../lib/table.mjs';
import { prepare, release, takeTurn, withFiles } from '../lib/turns.mjs';

export const name = 'load';
export const title = 'two threads against one while another process loads a core, ms';
export const minutes = 0.8;

const CASES = [
  'lstm/training/20,8,16,32',
  'lstm/training/64,32,128,128',
  'gru/training/64,16,128,128',
  'lstm/training/64,64,256,256',
  'lstm/inference/100,1,256,256',
  'lstm/inference/64,64,256,256',
];
const ROUNDS = 15;
const TURN = { warmMs: 10, budgetMs: 60, maxSamples: 500 };
/** Time for the system to have seen that one core is taken. */
const SETTLE_MS = 200;

/** A process that does nothing but use a core, until stop(). It ends itself with this one. */
function startLoad() {
  const program =
    'const parent = process.ppid;' +
    'for (;;) { const end = Date.now() + 100; while (Date.now() < end);' +
    ' if (process.ppid !== parent) process.exit(); }';
  const child = spawn(process.execPath, ['--eval', program], { stdio: 'ignore' });
  const stop = () => child.kill('SIGKILL');
  process.once('exit', stop);
  return () => {
    process.removeListener('exit', stop);
    stop();
  };
}

/** Prepares the case for one and for two threads and lets them take turns. */
async function timeBoth(pool, id) {
  const cases = [1, 2].map((threads) => parseCase(`${id}/t${threads}`));
  return withFiles(cases[0], false, async (files) => {
    const entries = [];
    for (const it of cases) {
      const entry = await prepare(pool, oursFor(it), it, files);
      if (entry.results === undefined) throw new Error(`${it.id}: ${entry.failed ?? 'missing'}`);
      entries.push(entry);
    }
    const stop = startLoad();
    try {
      await sleep(SETTLE_MS);
      for (let round = 0; round < ROUNDS; ++round) {
        for (const entry of round % 2 === 0 ? entries : [...entries].reverse()) {
          await takeTurn(entry, TURN);
        }
      }
    } finally {
      stop();
    }
    for (const entry of entries) await release(entry);
    const [one, two] = entries.map(({ times }) => summarise(times));
    return {
      id,
      one_ms: one.median_ms,
      two_ms: two.median_ms,
      ratio: one.median_ms / two.median_ms,
      ratio_of_minima: one.min_ms / two.min_ms,
    };
  });
}

export async function measure({ isa }) {
  const pool = new Pool({ isa });
  try {
    const entries = [];
    for (const id of CASES) entries.push(await timeBoth(pool, id));
    return { entries };
  } finally {
    pool.close();
  }
}

export function rows({ entries }) {
  return [
    ['case', 'one thread', 'two threads', 'one ÷ two', 'of minima'],
    ...entries.map((it) => [
      it.id,
      formatMs(it.one_ms),
      formatMs(it.two_ms),
      formatRatio(it.ratio),
      formatRatio(it.ratio_of_minima),
    ]),
  ];
}
