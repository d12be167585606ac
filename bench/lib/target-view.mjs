// Picks the numbers that a target asks for out of a result: functions of a view that give members
// { id, value }, one for each case that was measured.

/**
 * What the functions below read. Cases of a run in which all were held to an instruction set answer
 * for nothing but that.
 */
export function viewOf({ cases, extras = {}, forced_isa: forcedIsa }) {
  const usual = forcedIsa === undefined ? cases : [];
  return {
    cases: usual,
    byId: new Map(usual.map((it) => [it.id, it])),
    extras,
    held: forcedIsa === undefined ? {} : { [forcedIsa]: cases },
  };
}

const THREADS = 2;

/** Records of the ten shapes that a cell and phase has. */
export const shapes = (cell, phase) => (view) =>
  view.cases.filter(
    (it) =>
      it.groups.includes('shapes') &&
      it.threads === THREADS &&
      it.cell === cell &&
      it.phase === phase,
  );

/** oneDNN and PyTorch took part, even if one of them could not do the case: else nobody is "best". */
const REFERENCES = ['onednn', 'pytorch'];
const wasCompared = ({ peers, unsupported, failed, checks }) =>
  REFERENCES.every(
    (name) =>
      !/^too slow/.test(unsupported[name] ?? '') &&
      [peers, unsupported, failed, checks].some((it) => name in (it ?? {})),
  );

const bestRatio = (records) =>
  records
    .filter((it) => it.ratio_best !== null && wasCompared(it))
    .map((it) => ({ id: it.id, value: it.ratio_best, note: it.best_peer }));

/** The best peer's time ÷ ours over the ten shapes. */
export const fastestPeer = (cell, phase) => (view) => bestRatio(shapes(cell, phase)(view));

/** A peer's time ÷ ours over the records that `select(view)` gives. */
export const peer = (name, select) => (view) =>
  select(view)
    .filter(({ peers }) => name in peers)
    .map(({ id, peers, ours }) => ({ id, value: peers[name].median_ms / ours.median_ms }));

/** % of limit over shapes of all cells. */
export const shareOfLimit = (phase, filter) => (view) =>
  ['lstm', 'gru', 'elman']
    .flatMap((cell) => shapes(cell, phase)(view))
    .filter((it) => filter(it) && it.pct_limit !== null)
    .map(({ id, pct_limit: value }) => ({ id, value }));

/** Ragged cases: time ÷ (time of the dense case of the same shape × share of steps that exist). */
export function ragged({ cases, byId }) {
  return cases
    .filter(({ phase }) => phase === 'ragged')
    .map((it) => ({ it, full: byId.get(it.id.replace('/ragged/', '/training/')) }))
    .filter(({ full }) => full !== undefined)
    .map(({ it, full }) => {
      const share = it.rows / (it.T * it.B);
      return { id: it.id, value: it.ours.median_ms / (full.ours.median_ms * share) };
    });
}

/** Streaming steps of an LSTM with these units. */
export const step = (units, valueOf) => (view) =>
  step
    .cases(units)(view)
    .filter((it) => valueOf(it) !== null)
    .map((it) => ({ id: it.id, value: valueOf(it) }));
step.cases = (units) => (view) =>
  view.cases.filter(
    (it) => it.phase === 'step' && it.cell === 'lstm' && it.B === 1 && units.includes(it.H),
  );

/** Time on one thread ÷ time on two, of layers and both phases; both in the result. */
export const twoThreads =
  (filter) =>
  ({ cases, byId }) =>
    cases
      .filter((it) => it.threads === 2 && ['training', 'inference'].includes(it.phase))
      .map((it) => ({ it, single: byId.get(it.id.replace('/t2', '/t1')) }))
      .filter(({ it, single }) => single !== undefined && filter(it))
      .map(({ it, single }) => ({
        id: it.id,
        value: single.ours.median_ms / it.ours.median_ms,
      }));

/** Time a step at `to` steps ÷ at `from`, of each cell of the ladder over T. */
export const ladderGrowth =
  (phase, from, to) =>
  ({ cases }) => {
    const ladder = cases.filter(
      (it) => it.groups.includes('ladder-T') && it.phase === phase && it.threads === THREADS,
    );
    return ladder
      .filter(({ T }) => T === to)
      .map((it) => ({ it, short: ladder.find(({ T, cell }) => T === from && cell === it.cell) }))
      .filter(({ short }) => short !== undefined)
      .map(({ it, short }) => ({
        id: it.id,
        value: it.ours.median_ms / to / (short.ours.median_ms / from),
      }));
  };

/** Entries of an extra measurement. */
export const extra =
  (name, valueOf, filter = () => true) =>
  ({ extras }) => {
    const found = extras[name];
    if (found?.entries === undefined) return [];
    return found.entries
      .filter((it) => filter(it) && !it.unsupported)
      .map((it) => ({ id: it.id, value: valueOf(it, found) }));
  };

/** The best peer's time ÷ ours with all held to an instruction set: the extra, or a whole run. */
export const isa = (name, cell, phase) => (view) => {
  const cases = view.held[name] ?? view.extras[name]?.entries ?? [];
  return bestRatio(shapes(cell, phase)({ cases }));
};
