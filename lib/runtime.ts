/** Settings of this process's use of the core, and what it is made of. */
import { availableParallelism } from 'node:os';
import { guardNative, wrongValue } from './errors';
import { addon } from './native';
import { checkInteger } from './validate';

/** More threads than this never help and would only cost memory. */
const MAX_THREADS = 1024;

/** What {@link info} returns. */
export interface Info {
  /** Version of this package. */
  version: string;
  /** The instruction set that is used: `avx512`, `avx2`, `neon` or `scalar`. */
  isa: string;
  /** Instruction sets that were built and that this machine has, best first. */
  isas: string[];
  /** How threads are made: `openmp`, `threads` or `serial`. */
  parallel: string;
  /** Threads that long calls use; see {@link setThreads}. */
  threads: number;
  /** The compiler that built the addon. */
  compiler: string;
  /** Recurrent cells by name, with their numbers of gates and the names of their states. */
  cells: { name: string; gates: number; states: string[] }[];
  node: string;
  platform: string;
  arch: string;
}

function initialThreads(): number {
  const given = process.env['OSTINATO_NUM_THREADS'];
  if (given === undefined || given === '') return Math.min(availableParallelism(), MAX_THREADS);
  const threads = Number(given);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw wrongValue(`an integer from 1 to ${MAX_THREADS}`, 'OSTINATO_NUM_THREADS', given);
  }
  return threads;
}

let threads: number | undefined;

/**
 * Sets how many threads long calls may use from now on, in this thread's environment. Results do
 * not depend on it. Small problems use fewer.
 *
 * @throws TypeError, RangeError unless an integer from 1 to 1024
 */
export function setThreads(count: number): void {
  threads = checkInteger(count, 'threads', 1, MAX_THREADS);
}

/**
 * How many threads long calls may use: what {@link setThreads} set, else the environment variable
 * `OSTINATO_NUM_THREADS`, else the processors that this process may use.
 */
export function getThreads(): number {
  threads ??= initialThreads();
  return threads;
}

/** The version in package.json. */
export function version(): string {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('../package.json') as { version: string }).version;
}

/**
 * What this process runs on: instruction set, threads, versions.
 *
 * @throws OstinatoError `ERR_ADDON` when the native addon cannot be loaded
 * @throws RangeError when `OSTINATO_ISA` names an instruction set that is not there
 */
export function info(): Info {
  return {
    version: version(),
    ...guardNative(() => addon().info()),
    threads: getThreads(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
  };
}
