// Training on very long sequences: with recomputation over time (`checkpointEvery: 'auto'`) against
// without it, each in a process of its own.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { formatMs, formatRatio } from '../lib/table.mjs';
import { ISAS } from '../lib/peers.mjs';

export const name = 'long';
export const title = "long sequences: LSTM 256, B = 1, checkpointEvery: 'auto' against without";
export const minutes = 1.5;

const LONG = 100_000;
const JOBS = [
  { id: 'plain, short', T: 1000, calls: 20 },
  { id: 'plain', T: LONG, calls: 2 },
  { id: 'auto', T: LONG, calls: 2, checkpointEvery: 'auto' },
];
/** Plain and checkpointed take turns, twice: each turn is a process. */
const TURNS = 2;
const SIZES = { I: 16, H: 256, threads: 2 };
const TIMEOUT_MS = 300_000;

async function runJob({ id, ...job }, isa) {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [path.join(import.meta.dirname, 'long-job.mjs'), JSON.stringify({ ...SIZES, ...job })],
    { env: { ...process.env, ...ISAS[isa] }, timeout: TIMEOUT_MS },
  );
  return { id, ...job, ...JSON.parse(stdout) };
}

/** The better of two runs of the same job. */
function best(first, second) {
  return {
    ...first,
    us_per_step: Math.min(first.us_per_step, second.us_per_step),
    peak_mb: Math.max(first.peak_mb, second.peak_mb),
  };
}

export async function measure({ isa, log }) {
  let entries;
  for (let turn = 0; turn < TURNS; ++turn) {
    const runs = [];
    for (const job of JOBS) {
      const run = await runJob(job, isa);
      if (run.unsupported !== undefined) {
        log(`long: ${run.unsupported}`);
        if (turn === 0) runs.push(run);
        continue;
      }
      runs.push(run);
    }
    entries = entries ? entries.map((it) => bestOfSame(it, runs)) : runs;
  }
  return { ...SIZES, entries };
}

function bestOfSame(it, runs) {
  const again = runs.find(({ id }) => id === it.id);
  return again === undefined || it.unsupported ? it : best(it, again);
}

export function rows({ entries, I, H }) {
  const plain = entries.find(({ id }) => id === 'plain');
  return [
    [`I = ${I}, H = ${H}`, 'T', 'µs a step', '÷ plain', 'peak MB'],
    ...entries.map((it) =>
      it.unsupported
        ? [it.id, it.T, it.unsupported, '', '']
        : [
            it.id,
            it.T,
            formatMs(it.us_per_step),
            formatRatio(it.us_per_step / plain.us_per_step),
            it.peak_mb,
          ],
    ),
  ];
}
