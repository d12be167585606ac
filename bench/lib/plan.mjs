// How long each case may take, in which order cases are run, and how long all will take.
import { isSmall, stepsOf } from './call-history.mjs';
import { boundMs } from './limits.mjs';
import { NATIVE, OURS, PEERS, takesPart } from './peers.mjs';

/**
 * rounds       turns of each driver
 * warmMs       untimed calls at the start of a turn
 * budgetMs     timed calls of a turn
 * maxSamples   most timed calls of a turn
 * slowMs       a driver has had its turns when its calls come to this
 * farRatio     a driver this many times slower than the fastest …
 * farRounds    … has had its turns after these; one that is the square of it slower, after one
 * callLimitMs  a peer that would need longer for one call is left out, with the reason
 * minorRounds  turns of each driver in cases that no target asks for, and on one thread
 * hurryAfter   minutes; what is left then goes through in single rounds
 */
export const PLANS = {
  full: {
    ...{ rounds: 5, warmMs: 10, budgetMs: 60, maxSamples: 2000, slowMs: 1500 },
    ...{ farRatio: 4, farRounds: 3, callLimitMs: 2500, minorRounds: 3, hurryAfter: 27 },
  },
  quick: {
    ...{ rounds: 3, warmMs: 5, budgetMs: 40, maxSamples: 1000, slowMs: 500 },
    ...{ farRatio: 4, farRounds: 2, callLimitMs: 2500, minorRounds: 3, hurryAfter: 2.5 },
  },
};

/** What a plan becomes when it is late. */
export const HURRY = { rounds: 1, slowMs: 0 };

/** Groups by what they tell about the targets: `bench/targets.mjs` needs the first. */
const FIRST = ['given', 'shapes', 'ragged', 'step', 'fit', 'text', 'threads', 'predict'];
const isFirst = ({ groups }) => groups.some((group) => FIRST.includes(group));

/** The plan of one case. */
export function planFor(it, plan) {
  const isMinor = !isFirst(it) || it.groups.every((group) => group === 'threads');
  return isMinor ? { ...plan, rounds: Math.min(plan.rounds, plan.minorRounds) } : plan;
}

/**
 * The most telling cases first; among equals those with more threads, so that drivers start once for
 * each number of threads; else in the given order.
 */
export function byImportance(cases) {
  const tier = (it) => (isFirst(it) ? 0 : 1);
  return [...cases].sort((a, b) => tier(a) - tier(b) || b.threads - a.threads);
}

/** The group under which a case is counted: its first. */
export const mainGroup = ({ groups }) => groups[0];

/**
 * Typical of each driver, for estimates only: how much longer than the machine's limit it takes, and
 * microseconds that it spends on each step besides.
 */
const TYPICAL = {
  ostinato: { times: 1.5, stepUs: 0.5 },
  'ostinato-js': { times: 1.8, stepUs: 0.5 },
  native: { times: 1.5, stepUs: 0.5 },
  onednn: { times: 1.7, stepUs: 2 },
  pytorch: { times: 2.2, stepUs: 30 },
  'pytorch-padded': { times: 4, stepUs: 30 },
  onnxruntime: { times: 2, stepUs: 3 },
  'onnxruntime-node': { times: 2.2, stepUs: 4 },
  jax: { times: 4.5, stepUs: 8 },
  'tfjs-wasm': { times: 200, stepUs: 400 },
  tfjs: { times: 900, stepUs: 800 },
  'brain.js': { times: 60, stepUs: 200 },
};
const SECONDS_TO_START = 2;
/** Reading the case's file, building what the driver needs, reading its results. */
const PREPARE_MS = 80;
const PREPARE_MS_PER_MILLION_NUMBERS = 60;

/** Millions of numbers in a case's file and in what a training driver answers. */
function millions({ T, B, I, H, layers, bidirectional, phase, batches = 1 }) {
  const weights = 4 * H * (I + H) * layers * (bidirectional ? 2 : 1);
  const rows = T * B * (I + H) * (phase === 'fit' ? batches : 1);
  return (2 * (weights + rows)) / 1e6;
}

/** Seconds that a driver spends on a case. */
function driverSeconds(name, it, plan, limitMs) {
  const { times, stepUs } = TYPICAL[name];
  const phases = /inference|step|predict/.test(it.phase) ? 1 : 3;
  const callMs = times * limitMs + (phases * stepUs * stepsOf(it)) / 1000;
  const numbers = PREPARE_MS_PER_MILLION_NUMBERS * millions(it);
  // Left out after a smaller case, which is what it is because the limit is what it is.
  if (callMs > plan.callLimitMs) return (2 * PREPARE_MS + numbers + plan.callLimitMs / 4) / 1000;
  const turnMs = Math.max(callMs, plan.budgetMs) + (callMs > 200 ? 0 : plan.warmMs);
  const behind = times / TYPICAL.ostinato.times;
  const enough =
    behind > plan.farRatio ** 2 ? 1 : behind > plan.farRatio ? plan.farRounds : Infinity;
  const most = Math.min(plan.rounds, enough);
  const turns = Math.max(1, Math.min(most, 1 + Math.floor(plan.slowMs / callMs)));
  const probe = isSmall(it) || times < TYPICAL.jax.times ? 0 : callMs / 32;
  return (PREPARE_MS + numbers + callMs + probe + turns * turnMs) / 1000;
}

/**
 * Minutes that cases will take, roughly, on this machine when it is quiet: { total, groups } with
 * the minutes of each group.
 *
 * @param wanted whether a peer takes part, by its name
 * @param machine what the probe measured
 * @param extras { name, minutes } of extra measurements
 */
export function estimateMinutes(cases, { plan, wanted, machine, extras = [] }) {
  const drivers = [...OURS, NATIVE, ...PEERS.filter(({ name }) => wanted(name))];
  const groups = {};
  for (const it of cases) {
    const peak = machine.peaks.find(({ threads }) => threads === it.threads) ?? machine.peaks[0];
    const limitMs = boundMs(it, peak, machine.cacheBytes) * (it.batches ?? 1);
    const taking = drivers.filter((driver) => takesPart(driver, it));
    const seconds = taking.reduce(
      (sum, { name }) => sum + driverSeconds(name, it, planFor(it, plan), limitMs),
      0,
    );
    groups[mainGroup(it)] = (groups[mainGroup(it)] ?? 0) + seconds / 60;
  }
  for (const { name, minutes } of extras) groups[`extra ${name}`] = minutes;
  const counts = new Set(cases.map(({ threads }) => threads)).size;
  const starting = (counts * drivers.length * SECONDS_TO_START) / 60;
  const sum = Object.values(groups).reduce((total, minutes) => total + minutes, 0);
  return { total: sum + starting, groups };
}

/** "about 12 minutes: shapes 5.1, threads 4.0 …" */
export function describeEstimate({ total, groups }) {
  const parts = Object.entries(groups).map(([name, minutes]) => `${name} ${minutes.toFixed(1)}`);
  return `about ${total < 1 ? total.toFixed(1) : Math.round(total)} minutes: ${parts.join(', ')}`;
}
