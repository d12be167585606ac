/**
 * Clients of streaming-server.mjs: each types the same sentence, at a pace of its own. Started by
 * `streaming-server.mjs --demo N` on another thread.
 */
import { workerData } from 'node:worker_threads';

const SENTENCE = 'It was the whale, the whale himself, that rose out of the sea.';
const { base, count } = workerData;
const times = [];

/** Types the sentence, some characters a request; returns what the model expects after it. */
async function type(pace) {
  const { id } = await (await fetch(base, { method: 'POST' })).json();
  let next;
  for (let at = 0; at < SENTENCE.length; at += pace) {
    const start = performance.now();
    const body = SENTENCE.slice(at, at + pace);
    ({ next } = await (await fetch(`${base}/${id}`, { method: 'POST', body })).json());
    times.push(performance.now() - start);
  }
  await fetch(`${base}/${id}`, { method: 'DELETE' });
  return JSON.stringify(next);
}

const begin = performance.now();
const answers = await Promise.all(Array.from({ length: count }, (_client, i) => type(1 + (i % 5))));
const seconds = (performance.now() - begin) / 1000;
times.sort((a, b) => a - b);
const percentile = (share) => times[Math.floor(share * (times.length - 1))].toFixed(1);
console.log(`After "${SENTENCE}" the model expects ${answers[0]}`);
console.log(
  `clients: count=${count} requests=${times.length} seconds=${seconds.toFixed(1)} ` +
    `p50_ms=${percentile(0.5)} p99_ms=${percentile(0.99)} ` +
    `answers_agree=${new Set(answers).size === 1}`,
);
