// Drivers on one case: the files with the same work for all, getting ready, taking turns.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { safetensors } from '../../dist/index.mjs';
import { makeData } from './data.mjs';
import { DriverDied } from './driver.mjs';
import { writeOnnx } from './onnx-model.mjs';

export const PREPARE_TIMEOUT_MS = 180_000;
const WORK_TIMEOUT_MS = 600_000;
/** A driver slower than this a call has no use of calls that only warm the caches, but the first. */
const LONG_CALL_MS = 200;
const VERY_LONG_CALL_MS = 1000;
/** Shorter calls are timed in groups of about this length. */
const GROUP_MS = 0.1;

/**
 * Calls work({ folder, data, onnx, noOnnx }) with files of the case's weights and inputs, and
 * deletes them. `noOnnx` is the reason why there is no `onnx` although `withOnnx` asked for it.
 */
export async function withFiles(it, withOnnx, work) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'ostinato-bench-'));
  try {
    const files = { folder, data: path.join(folder, 'data.safetensors') };
    const tensors = makeData(it);
    await safetensors.write(files.data, tensors);
    if (withOnnx) {
      const onnx = path.join(folder, 'model.onnx');
      try {
        await writeOnnx(onnx, it, tensors);
        files.onnx = onnx;
      } catch (error) {
        files.noOnnx = error.message;
      }
    }
    return await work(files);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Prepares a driver and reads what it computed. Gives { driver, peer, results, callMs }, or
 * { peer, missing | unsupported | failed }.
 */
export async function prepare(pool, peer, it, files) {
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
    return { peer, driver, results: tensors, callMs, times: [] };
  } catch (error) {
    if (!(error instanceof DriverDied)) throw error;
    return { peer, failed: error.message };
  }
}

/** Frees what the driver keeps for a case. */
export async function release({ driver }) {
  if (!driver.alive) return;
  await driver.request({ op: 'release' }, PREPARE_TIMEOUT_MS).catch(() => {});
}

/**
 * Times calls of a prepared driver and adds them to its `times`.
 *
 * @param plan { warmMs, budgetMs, maxSamples }
 * @throws DriverDied
 */
export async function takeTurn(entry, plan) {
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

/** Whether a driver is far too slow to win, so that more turns would tell nothing. */
function hasSeenEnough(entry, entries, round, { slowMs, farRatio, farRounds }) {
  if (round === 0) return false;
  if (entry.callMs * round > slowMs) return true;
  const fastest = Math.min(...entries.map(({ callMs }) => callMs));
  const behind = entry.callMs / fastest;
  return behind > farRatio ** 2 || (round >= farRounds && behind > farRatio);
}

/**
 * A B C … B C A …: who goes first changes, so that nobody always follows the same driver. A driver
 * that dies has `failed` set.
 *
 * @param plan { rounds, warmMs, budgetMs, maxSamples, slowMs, farRatio, farRounds }
 */
export async function takeTurns(entries, plan) {
  for (let round = 0; round < plan.rounds; ++round) {
    const first = round % entries.length;
    for (const entry of [...entries.slice(first), ...entries.slice(0, first)]) {
      if (entry.failed !== undefined || hasSeenEnough(entry, entries, round, plan)) continue;
      try {
        await takeTurn(entry, plan);
      } catch (error) {
        if (!(error instanceof DriverDied)) throw error;
        entry.failed = error.message;
      }
    }
  }
}
