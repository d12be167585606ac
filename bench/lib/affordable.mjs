// Whether a driver would take minutes on a case: found out on a shorter one, before it is tried.
import { isSmall, scaledUp, shorterCases } from './call-history.mjs';
import { DriverDied } from './driver.mjs';
import { prepare, release, takeTurn, withFiles } from './turns.mjs';

/** One call in the caches' usual state, a few for what is compiled when it first runs. */
const PROBE_PLAN = { warmMs: 0, budgetMs: 20, maxSamples: 100 };

const seconds = (ms) => `${Number((ms / 1000).toPrecision(2))} s`;

/**
 * A rival must not be left out because the machine was busy for a moment: it is tried more often, and
 * its calls may take this many times longer.
 */
const TURNS_OF_RIVALS = 3;
const PATIENCE_WITH_RIVALS = 4;

/** A first call may compile, but not for this many limits. */
const FIRST_CALL = 4;

/** { ms } of a call, { unsupported }, or {} when the driver failed. */
async function timeOnce(pool, peer, it, limitMs) {
  return withFiles(it, peer.name.startsWith('onnxruntime'), async (files) => {
    const entry = await prepare(pool, peer, it, files);
    if (entry.results === undefined) return { unsupported: entry.unsupported };
    try {
      const turns = entry.callMs > FIRST_CALL * limitMs ? 0 : peer.isFar ? 1 : TURNS_OF_RIVALS;
      for (let turn = 0; turn < turns; ++turn) await takeTurn(entry, PROBE_PLAN);
    } catch (error) {
      if (!(error instanceof DriverDied)) throw error;
      return {};
    }
    await release(entry);
    return { ms: Math.min(entry.callMs, ...entry.times) };
  });
}

/**
 * Rows do not cost in full: a pair of cases with fewer of them rules out only what is far too slow,
 * and only when the pair with all rows would take long itself.
 */
const FAR_TOO_SLOW = 20;
const LONG_MS = 100;

function tooSlowBy({ T, B }, ms, limitMs, expected) {
  const about = expected === undefined ? '' : `about ${seconds(expected)} a call, by `;
  return `too slow: ${about}${seconds(ms)} for T = ${T}, B = ${B}; the limit is ${seconds(limitMs)}`;
}

/**
 * Why the driver has to be left out of a case: a call would take longer than the limit. Undefined
 * when it need not be. Known calls decide where they can; else shorter cases are run.
 */
export async function tooSlow(pool, peer, it, usualLimitMs) {
  const { history } = pool;
  const limitMs = peer.isFar ? usualLimitMs : PATIENCE_WITH_RIVALS * usualLimitMs;
  if (isSmall(it) || history.atMost(peer.name, it) <= limitMs) return undefined;
  const known = history.atLeast(peer.name, it);
  if (known > limitMs) {
    return `too slow: ${seconds(known)} for a smaller case; the limit is ${seconds(limitMs)}`;
  }
  const attempts = [
    {
      pair: shorterCases(it, { fewRows: true }),
      rulesOut: (ms, all) => all > FAR_TOO_SLOW * limitMs && ms > LONG_MS,
    },
    { pair: shorterCases(it), rulesOut: (_ms, all) => all > limitMs },
  ];
  for (const { pair, rulesOut } of attempts) {
    const times = [];
    for (const shorter of pair) {
      const { ms, unsupported } = await timeOnce(pool, peer, shorter, limitMs);
      if (ms === undefined) return unsupported; // if it failed, the case itself will tell why
      history.add(peer.name, shorter, ms);
      if (ms > limitMs) return tooSlowBy(shorter, ms, limitMs);
      times.push(ms);
    }
    if (pair.length === 0) continue;
    const expected = scaledUp(it, pair, times);
    if (expected <= limitMs) return undefined;
    if (rulesOut(times[0], expected)) {
      history.add(peer.name, it, expected);
      return tooSlowBy(pair[1], times[1], limitMs, expected);
    }
  }
  return undefined;
}
