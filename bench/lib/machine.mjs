// What a result was measured on.
import { execFile, execFileSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ISAS } from './peers.mjs';

const root = path.resolve(import.meta.dirname, '..', '..');
const PROBE = path.join(root, 'build-cmake', 'bench', 'bench', 'native', 'machine_probe');
const PROBE_MS = 50;

function git(...args) {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio }).trim();
  } catch {
    return undefined; // not a checkout
  }
}

/**
 * Peaks of multiply-adds and reading for one thread and for `threads`, with the processor's best
 * instruction set or with `isa`. Throws when it is not built.
 */
export async function probe(threads, isa) {
  const { stdout } = await promisify(execFile)(PROBE, [String(threads), String(PROBE_MS)], {
    env: { ...process.env, ...ISAS[isa] },
  });
  return JSON.parse(stdout);
}

/**
 * Nanoseconds that a cache line takes from one processor to another now: some 30 on one core complex,
 * 180 between two, where two threads that share memory are slower. Null when it can't be measured.
 */
export async function handover() {
  if (os.cpus().length < 2) return null;
  try {
    const { stdout } = await promisify(execFile)(PROBE, ['handover'], { timeout: 5000 });
    return JSON.parse(stdout).handoverNs;
  } catch {
    return null;
  }
}

/** The larger of each pair of peaks: a limit is what the machine can do when nobody disturbs it. */
export function bestOf(first, second) {
  const peaks = first.peaks.map((peak, i) => {
    const other = second.peaks[i];
    const bandwidthGBs = Object.fromEntries(
      Object.entries(peak.bandwidthGBs).map(([level, value]) => [
        level,
        Math.max(value, other.bandwidthGBs[level]),
      ]),
    );
    const fmaGflops = Math.max(peak.fmaGflops, other.fmaGflops);
    const readCurve = peak.readCurve?.map(({ bytes, GBs }, point) => ({
      bytes,
      GBs: Math.max(GBs, other.readCurve[point].GBs),
    }));
    return { threads: peak.threads, fmaGflops, bandwidthGBs, readCurve };
  });
  return { ...first, peaks };
}

/** `intel-xeon-processor-2cpu` */
export function machineName() {
  const [{ model }] = os.cpus();
  const words = model
    .replace(/\(R\)|\(TM\)|CPU|@.*$/g, ' ')
    .toLowerCase()
    .match(/[a-z0-9]+/g);
  return [...(words ?? ['unknown']), `${os.cpus().length}cpu`].join('-');
}

export function describeMachine() {
  return {
    name: machineName(),
    cpu: os.cpus()[0].model,
    cpus: os.cpus().length,
    memoryGB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
  };
}

/** { commit, dirty }: a result of changed files is not one of the commit. */
export function describeCommit() {
  const commit = git('rev-parse', 'HEAD');
  return { commit, dirty: commit && git('status', '--porcelain', '--untracked-files=no') !== '' };
}
