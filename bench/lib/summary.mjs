// What a result says as a whole: ratios by cell and phase, and differences from an older result.
import { geometricMean } from './statistics.mjs';
import { formatMs, formatRatio, formatTable } from './table.mjs';

/**
 * For each cell and phase: how many cases, the geometric mean and the least of the ratios to the
 * best peer and to each peer.
 */
export function summarise(cases) {
  const groups = Map.groupBy
    ? Map.groupBy(cases, ({ cell, phase, threads }) => `${cell} ${phase} t${threads}`)
    : cases.reduce((map, it) => {
        const key = `${it.cell} ${it.phase} t${it.threads}`;
        return map.set(key, [...(map.get(key) ?? []), it]);
      }, new Map());
  return [...groups].map(([key, members]) => {
    const compared = members.filter(({ ratio_best: ratio }) => ratio !== null);
    const ratios = compared.map(({ ratio_best: ratio }) => ratio);
    const names = [...new Set(members.flatMap(({ peers }) => Object.keys(peers)))];
    const byPeer = Object.fromEntries(
      names.map((name) => {
        const timed = members.filter(({ peers }) => name in peers);
        return [
          name,
          geometricMean(timed.map((it) => it.peers[name].median_ms / it.ours.median_ms)),
        ];
      }),
    );
    return {
      key,
      cases: members.length,
      compared: compared.length,
      mean: ratios.length > 0 ? geometricMean(ratios) : null,
      least: ratios.length > 0 ? Math.min(...ratios) : null,
      byPeer,
    };
  });
}

export function summaryTable(cases) {
  const groups = summarise(cases);
  const names = [...new Set(groups.flatMap(({ byPeer }) => Object.keys(byPeer)))];
  const header = ['geometric means of peer ÷ ours', 'cases', 'best peer', 'least', ...names];
  const rows = groups.map((it) => [
    it.key,
    it.cases,
    formatRatio(it.mean),
    formatRatio(it.least),
    ...names.map((name) => formatRatio(it.byPeer[name])),
  ]);
  return formatTable([header, ...rows]).join('\n');
}

// Nanoseconds of a handover from which processors are not on one core complex.
const APART_NS = 100;

/** How many cases on several threads were measured with their processors apart, or null. */
export function describeDistance(cases) {
  const measured = cases.filter(({ handover_ns: ns }) => typeof ns === 'number');
  if (measured.length === 0) return null;
  const apart = measured.filter(({ handover_ns: ns }) => ns > APART_NS);
  return (
    `${apart.length} of ${measured.length} cases on several threads ended with processors apart ` +
    `(a cache line takes over ${APART_NS} ns from one to the other)`
  );
}

/**
 * What follows from several numbers of a result, as { what, id, value, text }:
 *
 *   two threads    median on one thread ÷ median on two
 *   ragged         median ÷ (median of the dense case × the share of steps that exist)
 *   API            median through the public API ÷ the same work in C++
 *   memory         peak resident set of training ÷ PyTorch's
 */
export function derive(cases) {
  const byId = new Map(cases.map((it) => [it.id, it]));
  const ratio = (value) => `${value.toFixed(2)}×`;
  const findings = [];
  const add = (what, id, value) => findings.push({ what, id, value, text: ratio(value) });
  for (const it of cases) {
    const { id, ours, native, peers } = it;
    const single = byId.get(id.replace('/t2', '/t1'));
    if (it.threads === 2 && single) add('two threads', id, single.ours.median_ms / ours.median_ms);
    const dense = byId.get(id.replace('/ragged/', '/training/'));
    if (it.phase === 'ragged' && dense) {
      const share = it.rows / (it.T * it.B);
      add('ragged', id, ours.median_ms / (dense.ours.median_ms * share));
    }
    if (native) add('API', id, ours.median_ms / native.median_ms);
    const torch = peers.pytorch?.peak_mb;
    if (it.phase === 'training' && torch && ours.peak_mb) add('memory', id, ours.peak_mb / torch);
  }
  return findings;
}

const DERIVED = {
  'two threads': 'two threads: time on one ÷ time on two',
  ragged: 'ragged: time ÷ its share of the dense time',
  API: 'public API: time ÷ the same work in C++',
  memory: "memory: peak resident set of training ÷ PyTorch's",
};

export function derivedTable(cases) {
  const findings = derive(cases).sort((a, b) => (a.what < b.what ? -1 : 1));
  const order = Object.keys(DERIVED);
  const rows = order.flatMap((what) => {
    const members = findings.filter((it) => it.what === what);
    return members.length > 0
      ? [[DERIVED[what], ''], ...members.map(({ id, text }) => [`  ${id}`, text])]
      : [];
  });
  return rows.length > 0 ? formatTable(rows).join('\n') : '';
}

/** Changes smaller than this are noise on most machines. */
const NOISE = 0.05;

/**
 * Cases that both results have: our medians and minima, new ÷ old, and the same after division by
 * each run's own peak of multiply-adds, which is fairer when the machine was slower in one of them.
 */
export function compareTable(now, before) {
  const old = new Map(before.cases.map((it) => [it.id, it]));
  const peak = (result, threads) =>
    result.machine.peaks.find((it) => it.threads === threads)?.fmaGflops ?? NaN;
  const header = ['case', 'old ms', 'new ms', 'old ÷ new', 'of minima', 'at equal peaks', ''];
  const rows = now.cases
    .filter(({ id }) => old.has(id))
    .map((it) => {
      const then = old.get(it.id);
      const gain = then.ours.median_ms / it.ours.median_ms;
      const gainOfMinima = then.ours.min_ms / it.ours.min_ms;
      const atEqualPeaks = (gain * peak(before, it.threads)) / peak(now, it.threads);
      const word = Math.min(gain, gainOfMinima) > 1 + NOISE ? 'faster' : '';
      const verdict = Math.max(gain, gainOfMinima) < 1 - NOISE ? 'SLOWER' : word;
      const ratios = [gain, gainOfMinima, atEqualPeaks].map((value) => `${value.toFixed(2)}×`);
      return [
        it.id,
        formatMs(then.ours.median_ms),
        formatMs(it.ours.median_ms),
        ...ratios,
        verdict,
      ];
    });
  if (rows.length === 0) return 'The two results have no case in common.';
  return formatTable([header, ...rows]).join('\n');
}
