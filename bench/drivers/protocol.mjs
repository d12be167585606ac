// The harness's protocol for drivers in JavaScript: a JSON object a line in, one out.
//
// bench/README.md describes it. A driver is { describe, prepare } as in `serve` below; a job has
// check(), called once and first, which gives { name: { data, shape } }, and run(), which is timed.
// Both may return promises; a run() that does not is timed without awaiting anything.
import { createInterface } from 'node:readline';
import { safetensors } from '../../dist/index.mjs';

/** A case that the library behind the driver cannot do. */
export class Unsupported extends Error {}

/**
 * Milliseconds of timed calls, after calls that bring code and data back to the caches. A call
 * shorter than groupMs is timed in groups, so that the clock's own cost does not count.
 */
async function timeCalls(job, { warmMs, budgetMs, groupMs, minSamples, maxSamples }) {
  let callMs = 0;
  const warmBegin = performance.now();
  for (let calls = 0; warmMs > 0; ++calls) {
    if (calls > 0 && performance.now() - warmBegin >= warmMs) break;
    const begin = performance.now();
    await job.run();
    callMs = performance.now() - begin;
  }
  const group = callMs > 0 && callMs < groupMs ? Math.floor(groupMs / callMs) + 1 : 1;
  const times = [];
  const begin = performance.now();
  while (times.length < maxSamples) {
    if (times.length >= minSamples && performance.now() - begin >= budgetMs) break;
    const sampleBegin = performance.now();
    for (let i = 0; i < group; ++i) {
      const running = job.run();
      if (running !== undefined) await running;
    }
    times.push((performance.now() - sampleBegin) / group);
  }
  return times;
}

async function answer(driver, state, request) {
  switch (request.op) {
    case 'describe':
      return driver.describe();
    case 'prepare': {
      state.job?.dispose?.();
      state.job = undefined;
      const { tensors } = await safetensors.read(request.data);
      state.job = await driver.prepare(request.case, tensors, request);
      return { ok: true };
    }
    case 'release':
      state.job?.dispose?.();
      state.job = undefined;
      return { ok: true };
    case 'check':
      await safetensors.write(request.output, await state.job.check());
      return { ok: true };
    case 'time':
      return { timesMs: await timeCalls(state.job, request) };
    default:
      throw new Error(`Unknown request "${request.op}"`);
  }
}

/**
 * Answers requests on standard input until it ends.
 *
 * @param driver describe() -> { version, settings }; prepare(case, tensors, request) -> a job
 */
export async function serve(driver) {
  const state = {};
  for await (const line of createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = await answer(driver, state, JSON.parse(line));
    } catch (error) {
      reply =
        error instanceof Unsupported ? { unsupported: error.message } : { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

/** [T, B, F] to [B, T, F], or back. */
export function swapBatchAndTime({ data, shape: [outer, inner, features] }) {
  const swapped = new Float32Array(data.length);
  for (let i = 0; i < outer; ++i) {
    for (let j = 0; j < inner; ++j) {
      const begin = (i * inner + j) * features;
      swapped.set(data.subarray(begin, begin + features), (j * outer + i) * features);
    }
  }
  return { data: swapped, shape: [inner, outer, features] };
}
