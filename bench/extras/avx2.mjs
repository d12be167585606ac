// The ten shapes with every library that can be held to AVX2 held to it.
import { allCases } from '../cases.mjs';
import { probe } from '../lib/machine.mjs';
import { CheckFailed, measureCase } from '../lib/measure.mjs';
import { Pool } from '../lib/pool.mjs';
import { formatMs, formatRatio } from '../lib/table.mjs';

export const name = 'avx2';
export const title = 'the ten shapes on AVX2, ms';
export const minutes = 5;

const ISA = 'avx2';
const THREADS = 2;
const PLAN = { rounds: 3, budgetMs: 40, slowMs: 1500, farRounds: 2, callLimitMs: 3000 };
/** Those that can win. */
const PEERS = ['onednn', 'pytorch', 'jax'];

/** @param wanted whether a peer takes part; others than these never do */
export async function measure({ plan, wanted, log }) {
  const machine = await probe(THREADS, ISA);
  if (machine.isa !== ISA) return { unsupported: `this processor runs ${machine.isa}` };
  const pool = new Pool({ isa: ISA });
  const cases = allCases().filter((it) => it.groups.includes('shapes') && it.threads === THREADS);
  const entries = [];
  const failed = [];
  try {
    for (const it of cases) {
      try {
        const record = await measureCase(pool, it, {
          plan: { ...plan, ...PLAN },
          wanted: (peer) => PEERS.includes(peer) && wanted(peer),
          machine,
        });
        failed.push(
          ...Object.entries(record.checks).map((check) => `${it.id}: ${check.join(': ')}`),
        );
        entries.push(record);
      } catch (error) {
        if (!(error instanceof CheckFailed)) throw error;
        failed.push(`${it.id}: ours: ${error.message}`);
      }
      log(`avx2 ${it.id}`);
    }
  } finally {
    pool.close();
  }
  return { machine, entries, checks_failed: failed };
}

export function rows({ entries }) {
  return [
    ['case', 'ours', 'best peer', '', 'ratio', '% of limit'],
    ...entries.map((it) => [
      it.id,
      formatMs(it.ours.median_ms),
      it.best_peer ?? '–',
      formatMs(it.peers[it.best_peer]?.median_ms),
      formatRatio(it.ratio_best),
      it.pct_limit === null ? '–' : it.pct_limit.toFixed(0),
    ]),
  ];
}
