// Peak resident set of training against PyTorch's for the same job, and allocations of a step.
//
// A fresh process for each library and job: it loads the library and the case's file, computes once,
// then its peak is forgotten and counted anew while it trains. So loading counts only as far as it
// stays. Layers are trained in C++ on our side, whole models (`fit`) in Node; PyTorch's process is
// Python in both.
import { parseCase } from '../cases.mjs';
import { oursFor } from '../lib/measure.mjs';
import { PEERS } from '../lib/peers.mjs';
import { Pool } from '../lib/pool.mjs';
import { formatRatio } from '../lib/table.mjs';
import { prepare, takeTurn, withFiles } from '../lib/turns.mjs';

export const name = 'memory';
export const title = 'peak resident set while training, MB';
export const minutes = 0.8;

const CASES = [
  'lstm/training/64,32,128,128/t2',
  'lstm/training/64,64,256,256/t2',
  'lstm/training/50,64,512,512/t2',
  'lstm/fit/64,32,128,128/t2',
  'lstm/fit/64,64,256,256/t2',
];
const TURN = { warmMs: 0, budgetMs: 300, maxSamples: 100 };
const ALLOCATIONS_TIMEOUT_MS = 60_000;

/** { mb, allocations } of one process; { reason } where it cannot be had. */
async function runAlone(peer, it, files, isa) {
  const pool = new Pool({ isa });
  try {
    const entry = await prepare(pool, peer, it, files);
    if (entry.results === undefined) {
      return { reason: entry.failed ?? entry.unsupported ?? pool.missing[peer.name]?.reason };
    }
    delete entry.results;
    await entry.driver.forgetPeakMemory();
    await takeTurn(entry, TURN);
    const mb = await entry.driver.peakMemoryMB();
    const counted = await entry.driver.request({ op: 'allocations' }, ALLOCATIONS_TIMEOUT_MS);
    return { mb, allocations: counted.count };
  } finally {
    pool.close();
  }
}

export async function measure({ isa, wanted }) {
  const pytorch = PEERS.find((peer) => peer.name === 'pytorch');
  const entries = [];
  for (const id of CASES) {
    const it = parseCase(id);
    const entry = await withFiles(it, false, async (files) => {
      const ours = await runAlone(oursFor(it), it, files, isa);
      if (ours.mb === undefined) return { id, reason: ours.reason ?? 'the system does not tell' };
      const theirs = wanted('pytorch') ? await runAlone(pytorch, it, files, isa) : {};
      return {
        id,
        ours_mb: ours.mb,
        pytorch_mb: theirs.mb ?? null,
        ratio: theirs.mb === undefined ? null : ours.mb / theirs.mb,
        allocations: ours.allocations ?? null,
        ...(theirs.reason ? { reason: theirs.reason } : {}),
      };
    });
    entries.push(entry);
  }
  return { entries };
}

export function rows({ entries }) {
  return [
    ['case', 'ours', 'PyTorch', 'ratio', 'allocations a step'],
    ...entries.map((it) => [
      it.id,
      it.ours_mb ?? it.reason,
      it.pytorch_mb ?? '–',
      formatRatio(it.ratio),
      it.allocations ?? '–',
    ]),
  ];
}
