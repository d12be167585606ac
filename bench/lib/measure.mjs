// One case on all drivers: the same work first, then turns.
import { tooSlow } from './affordable.mjs';
import { largestError, lengthsOf } from './data.mjs';
import { boundMs } from './limits.mjs';
import { NATIVE, OURS, PEERS, takesPart } from './peers.mjs';
import { summarise } from './statistics.mjs';
import { prepare, release, takeTurns, withFiles } from './turns.mjs';

/** Largest difference between two libraries' results, relative to the largest value above 1. */
export const TOLERANCE = 1e-4;
/** A peer is not left out for being slow when it is no slower than this many times ours. */
const CALL_LIMIT_OF_OURS = 8;

/** A library that computes something else than ours, or ours that does not work. */
export class CheckFailed extends Error {}

export const oursFor = (it) => OURS.find(({ phases }) => phases.includes(it.phase));

/** Drivers of a case in the order in which they take their first turns: ours, then the others. */
function contestants(it, wanted) {
  const others = [NATIVE, ...PEERS.filter(({ name }) => wanted(name))];
  return [oursFor(it), ...others.filter((driver) => takesPart(driver, it))];
}

/** Compares with ours. Every tensor that both have must agree; `y` or the parameters must be there. */
function compare(ours, other) {
  const shared = Object.keys(ours.results).filter((name) => name in other.results);
  const required = Object.keys(ours.results).filter((name) => !/bias_[ih]h/.test(name));
  const wanted = Object.fromEntries(
    [...new Set([...shared, ...required])].map((name) => [name, ours.results[name]]),
  );
  const { error, name } = largestError(other.results, wanted);
  return error <= TOLERANCE ? error : new CheckFailed(`${name} differs by ${error.toPrecision(2)}`);
}

/** A timed run of `fit` is an epoch; what is reported is a step. */
export const perStep = (it, times, { name }) =>
  it.phase === 'fit' || (it.phase === 'text' && name !== 'brain.js')
    ? times.map((ms) => ms / it.batches)
    : times;

/** Adds the bound and the share of it; again when better peaks are known. */
export function withLimits(record, machine) {
  const peak = machine.peaks.find(({ threads }) => threads === record.threads);
  if (!peak || record.phase === 'text') return { ...record, bound_ms: null, pct_limit: null };
  const lengths = record.phase === 'ragged' ? lengthsOf(record) : undefined;
  const bound = boundMs(record, peak, machine.cacheBytes, lengths);
  return { ...record, bound_ms: bound, pct_limit: (100 * bound) / record.ours.median_ms };
}

function makeRecord(it, entries, others) {
  const times = (entry) => ({
    ...summarise(perStep(it, entry.times, entry.peer)),
    ...(entry.peakMB === undefined ? {} : { peak_mb: entry.peakMB }),
  });
  const peers = {};
  let native;
  for (const entry of entries.slice(1)) {
    if (entry.failed !== undefined) continue;
    if (entry.peer === NATIVE) native = times(entry);
    else if (entry.peer.differs)
      peers[entry.peer.name] = { ...times(entry), differs: entry.peer.differs };
    else peers[entry.peer.name] = { ...times(entry), error: entry.error };
  }
  const ours = times(entries[0]);
  const [best] = Object.keys(peers)
    .filter((name) => peers[name].differs === undefined)
    .sort((a, b) => peers[a].median_ms - peers[b].median_ms);
  const lengths = it.phase === 'ragged' ? lengthsOf(it) : undefined;
  const fields = { ...it };
  delete fields.quick;
  return {
    ...fields,
    ...(lengths ? { rows: lengths.reduce((sum, length) => sum + length, 0) } : {}),
    ours,
    ...(native ? { native } : {}),
    peers,
    best_peer: best ?? null,
    ratio_best: best ? peers[best].median_ms / ours.median_ms : null,
    unsupported: Object.fromEntries(
      others.filter((e) => e.unsupported).map((e) => [e.peer.name, e.unsupported]),
    ),
    failed: Object.fromEntries(
      [...others, ...entries].filter((e) => e.failed).map((e) => [e.peer.name, e.failed]),
    ),
  };
}

/** Prepares everybody who can take part: { entries, others, checks }, our own driver first. */
async function prepareAll(pool, peers, it, files, plan) {
  const entries = [];
  const others = [];
  const checks = {};
  for (const peer of peers) {
    const limitMs = Math.max(plan.callLimitMs, CALL_LIMIT_OF_OURS * (entries[0]?.callMs ?? 0));
    const entry = await prepareOne(pool, peer, it, files, limitMs);
    if (entry.results === undefined) {
      if (entries.length === 0) {
        throw new CheckFailed(entry.failed ?? entry.unsupported ?? JSON.stringify(pool.missing));
      }
      others.push(entry);
      continue;
    }
    const comparable = entries.length > 0 && peer.differs === undefined;
    const error = comparable ? compare(entries[0], entry) : 0;
    if (error instanceof CheckFailed) {
      checks[peer.name] = error.message;
      continue;
    }
    if (entries.length > 0) delete entry.results;
    entries.push({ ...entry, error });
  }
  return { entries, others, checks };
}

async function prepareOne(pool, peer, it, files, limitMs) {
  if (pool.isa !== undefined && peer.isaIsFixed) {
    return { peer, unsupported: `cannot be held to ${pool.isa}` };
  }
  if (files.noOnnx !== undefined && peer.name.startsWith('onnxruntime')) {
    pool.missing[peer.name] ??= { reason: files.noOnnx, install: peer.install };
    return { peer, missing: true };
  }
  const isOurs = peer === NATIVE || OURS.includes(peer);
  const reason = isOurs ? undefined : await tooSlow(pool, peer, it, limitMs);
  return reason === undefined
    ? await prepare(pool, peer, it, files)
    : { peer, unsupported: reason };
}

/**
 * Measures a case.
 *
 * @param plan as for `takeTurns`, and { callLimitMs }: slower peers are left out
 * @param wanted whether a peer takes part, by its name
 * @returns the case's record in the results; `checks` in it lists drivers that compute something else
 * @throws CheckFailed when our own driver does not work
 */
export async function measureCase(pool, it, { plan, wanted, machine }) {
  const peers = contestants(it, wanted);
  const withOnnx = peers.some(({ name }) => name.startsWith('onnxruntime'));
  return withFiles(it, withOnnx, async (files) => {
    const { entries, others, checks } = await prepareAll(pool, peers, it, files, plan);
    await takeTurns(entries, plan);
    if (entries[0].failed !== undefined) throw new CheckFailed(entries[0].failed);
    for (const entry of entries) {
      if (entry.times.length > 0) pool.history.add(entry.peer.name, it, entry.callMs);
      if (!entry.driver.alive) continue;
      entry.peakMB = await entry.driver.peakMemoryMB();
      await release(entry);
    }
    return { ...withLimits(makeRecord(it, entries, others), machine), checks };
  });
}
