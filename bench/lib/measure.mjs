// One case on all drivers: the same work first, then turns.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { safetensors } from '../../dist/index.mjs';
import { largestError, lengthsOf, makeData } from './data.mjs';
import { DriverDied } from './driver.mjs';
import { boundMs } from './limits.mjs';
import { writeOnnx } from './onnx-model.mjs';
import { NATIVE, OURS, PEERS } from './peers.mjs';
import { summarise } from './statistics.mjs';

const PREPARE_TIMEOUT_MS = 180_000;
const WORK_TIMEOUT_MS = 600_000;
/** Largest difference between two libraries' results, relative to the largest value above 1. */
export const TOLERANCE = 1e-4;
/** A driver slower than this a call has no use of calls that only warm the caches, but the first. */
const LONG_CALL_MS = 200;
const VERY_LONG_CALL_MS = 1000;
/** Shorter calls are timed in groups of about this length. */
const GROUP_MS = 0.1;

/** A library that computes something else than ours, or ours that does not work. */
export class CheckFailed extends Error {}

const oursFor = (it) => OURS.find(({ phases }) => phases.includes(it.phase));

/** Drivers of a case in the order in which they take their first turns: ours, then the others. */
function contestants(it, wanted) {
  const others = [NATIVE, ...PEERS.filter(({ name }) => wanted(name))];
  return [oursFor(it), ...others.filter(({ phases }) => phases.includes(it.phase))];
}

/**
 * Prepares a driver and reads what it computed. Gives { driver, peer, results, callMs }, or
 * { peer, unsupported | failed }.
 */
async function prepare(pool, peer, it, files) {
  const driver = await pool.get(peer, it.threads);
  if (driver === undefined) return { peer, missing: true };
  const output = path.join(files.folder, `${peer.name}.safetensors`);
  try {
    await driver.forgetPeakMemory();
    const ready = await driver.request(
      { op: 'prepare', case: it, data: files.data, onnx: files.onnx },
      PREPARE_TIMEOUT_MS,
    );
    if (ready.unsupported) return { peer, unsupported: ready.unsupported };
    if (ready.error) return { peer, failed: ready.error };
    const begin = performance.now();
    const checked = await driver.request({ op: 'check', output }, WORK_TIMEOUT_MS);
    if (checked.unsupported) return { peer, unsupported: checked.unsupported };
    if (checked.error) return { peer, failed: checked.error };
    const callMs = performance.now() - begin;
    const { tensors } = await safetensors.read(output);
    await rm(output);
    return { peer, driver, results: tensors, callMs };
  } catch (error) {
    if (!(error instanceof DriverDied)) throw error;
    return { peer, failed: error.message };
  }
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

async function takeTurn(entry, plan) {
  const long = entry.times.length > 0 ? LONG_CALL_MS : VERY_LONG_CALL_MS;
  const warmMs = entry.callMs > long ? 0 : plan.warmMs;
  const reply = await entry.driver.request(
    {
      op: 'time',
      warmMs,
      budgetMs: plan.budgetMs,
      groupMs: GROUP_MS,
      minSamples: 1,
      maxSamples: plan.maxSamples,
    },
    WORK_TIMEOUT_MS,
  );
  if (reply.error) throw new DriverDied(`${entry.peer.name}: ${reply.error}`);
  entry.times.push(...reply.timesMs);
  entry.callMs = Math.min(...reply.timesMs);
}

/** A B C … B C A …: who goes first changes, so that nobody always follows the same driver. */
async function takeTurns(entries, plan) {
  for (let round = 0; round < plan.rounds; ++round) {
    const first = round % entries.length;
    for (const entry of [...entries.slice(first), ...entries.slice(0, first)]) {
      if (entry.failed !== undefined) continue;
      // A driver that is far too slow to win is not measured as finely.
      if (round > 0 && entry.callMs * round > plan.slowMs) continue;
      try {
        await takeTurn(entry, plan);
      } catch (error) {
        if (!(error instanceof DriverDied)) throw error;
        entry.failed = error.message;
      }
    }
  }
}

/** A timed run of `fit` is an epoch; what is reported is a step. */
const perStep = (it, times, { name }) =>
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

/**
 * Measures a case.
 *
 * @param plan { rounds, warmMs, budgetMs, maxSamples, slowMs }
 * @param wanted whether a peer takes part, by its name
 * @returns the case's record in the results; `checks` in it lists drivers that compute something else
 * @throws CheckFailed when our own driver does not work
 */
export async function measureCase(pool, it, { plan, wanted, machine }) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'ostinato-bench-'));
  const files = { folder, data: path.join(folder, 'data.safetensors') };
  try {
    const peers = contestants(it, wanted);
    const tensors = makeData(it);
    await safetensors.write(files.data, tensors);
    if (peers.some(({ name }) => name.startsWith('onnxruntime'))) {
      files.onnx = path.join(folder, 'model.onnx');
      await writeOnnx(files.onnx, it, tensors).catch((error) => {
        pool.missing.onnxruntime ??= { reason: error.message, install: PEERS[4].install };
        pool.missing['onnxruntime-node'] ??= pool.missing.onnxruntime;
      });
    }
    const entries = [];
    const others = [];
    const checks = {};
    for (const peer of peers) {
      const entry = await prepare(pool, peer, it, files);
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
      entries.push({ ...entry, error, times: [] });
    }
    await takeTurns(entries, plan);
    if (entries[0].failed !== undefined) throw new CheckFailed(entries[0].failed);
    for (const entry of entries) {
      if (!entry.driver.alive) continue;
      entry.peakMB = await entry.driver.peakMemoryMB();
      await entry.driver.request({ op: 'release' }, PREPARE_TIMEOUT_MS).catch(() => {});
    }
    return { ...withLimits(makeRecord(it, entries, others), machine), checks };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
