// The drivers: how each is started, and what to install when it does not start.
import { existsSync } from 'node:fs';
import path from 'node:path';

const bench = path.resolve(import.meta.dirname, '..');
const root = path.resolve(bench, '..');
const driver = (file) => path.join(bench, 'drivers', file);
const built = (name) => path.join(root, 'build-cmake', 'bench', 'bench', 'native', name);

const SETUP = 'npm run bench:setup';

function python() {
  const own = path.join(bench, '.venv', 'bin', 'python');
  return process.env.OSTINATO_BENCH_PYTHON ?? (existsSync(own) ? own : 'python3');
}

/** Thread counts for whatever library reads them from the environment. */
function environment(threads) {
  const count = String(threads);
  return { OMP_NUM_THREADS: count, MKL_NUM_THREADS: count, OSTINATO_NUM_THREADS: count };
}

/** What holds every library that can be held to an older instruction set. */
export const ISAS = {
  avx2: {
    OSTINATO_ISA: 'avx2',
    ONEDNN_MAX_CPU_ISA: 'AVX2',
    ATEN_CPU_CAPABILITY: 'avx2',
    MKL_ENABLE_INSTRUCTIONS: 'AVX2',
    XLA_FLAGS: '--xla_cpu_max_isa=AVX2',
  },
};

const inPython = (file, ...options) => ({
  start: (threads) => ({ file: python(), args: [driver(file), String(threads), ...options] }),
  install: `${SETUP}   (or: python3 -m venv bench/.venv && bench/.venv/bin/pip install -r bench/requirements.txt)`,
});
const inNode = (file, ...options) => ({
  start: (threads) => ({
    file: process.execPath,
    args: [driver(file), ...options, String(threads)],
  }),
  install: `${SETUP}   (or: npm install --ignore-scripts --prefix bench)`,
});
const native = (name, packages) => ({
  start: () => ({ file: built(name), args: [] }),
  install: `${SETUP}   (or: apt-get install ${packages} && npm run bench:build)`,
});

const LAYER_PHASES = ['inference', 'training', 'ragged'];
const API_PHASES = ['step', 'predict', 'fit', 'text'];

/** This library: in C++ for the layer's own phases, through the public API for the others. */
export const OURS = [
  {
    name: 'ostinato',
    phases: LAYER_PHASES,
    ...native('ostinato_driver', 'cmake g++ nlohmann-json3-dev'),
  },
  { name: 'ostinato-js', phases: API_PHASES, ...inNode('ostinato_driver.mjs') },
];

/**
 * What the public API's time is compared with, to see its own cost: the same work in C++. Not a
 * peer.
 */
export const NATIVE = {
  name: 'native',
  phases: ['step', 'fit'],
  ...native('ostinato_driver', 'cmake g++ nlohmann-json3-dev'),
};

/**
 * Everybody else. `phases`: what a driver can do at all; `differs`: why its numbers cannot be ours;
 * `isaIsFixed`: it takes the processor's instruction set whatever it is told; `isFar`: it is so far
 * behind that it is not timed again in the cases that only tell two threads from one.
 */
export const PEERS = [
  {
    name: 'onednn',
    phases: ['inference', 'training', 'ragged', 'step'],
    ...native('onednn_driver', 'cmake g++ nlohmann-json3-dev libdnnl-dev'),
  },
  {
    name: 'pytorch',
    phases: ['inference', 'training', 'ragged', 'step', 'fit'],
    ...inPython('pytorch_driver.py'),
  },
  {
    name: 'pytorch-padded',
    phases: ['ragged'],
    ...inPython('pytorch_driver.py', '--padded'),
  },
  {
    name: 'onnxruntime',
    phases: ['inference', 'step'],
    isaIsFixed: true,
    ...inPython('onnxruntime_driver.py'),
  },
  {
    name: 'onnxruntime-node',
    phases: ['inference', 'step', 'predict'],
    isaIsFixed: true,
    ...inNode('onnxruntime_node_driver.mjs'),
  },
  {
    name: 'jax',
    phases: ['inference', 'training', 'ragged', 'step', 'fit'],
    ...inPython('jax_driver.py'),
  },
  {
    name: 'tfjs-wasm',
    phases: ['inference', 'training', 'predict', 'fit'],
    isFar: true,
    ...inNode('tfjs_driver.mjs', 'wasm'),
  },
  {
    name: 'tfjs',
    phases: ['inference', 'training', 'predict', 'fit'],
    isFar: true,
    ...inNode('tfjs_driver.mjs', 'cpu'),
  },
  {
    name: 'brain.js',
    phases: ['text'],
    differs: 'its cell carries no c',
    ...inNode('brain_driver.mjs'),
  },
];

/** Whether a driver is to be timed on a case, if it is there. */
export function takesPart({ phases, isFar }, it) {
  const isRepetition = it.groups.every((group) => group === 'threads');
  return phases.includes(it.phase) && !(isFar && isRepetition);
}

/** The process of a driver for a number of threads, held to the instruction set `isa` if given. */
export function commandOf(peer, threads, isa) {
  return { ...peer.start(threads), cwd: root, env: { ...environment(threads), ...ISAS[isa] } };
}
