// The speed targets as data: what is asked, and which numbers of a result answer it.
//
// lib/target-checks.mjs has the kinds of checks and says when one is met; lib/target-view.mjs picks
// numbers out of a result. Legend: T steps, B batch rows, I inputs, H units.
import { SHAPES } from './cases.mjs';
import { least, mean, most } from './lib/target-checks.mjs';
import {
  extra,
  fastestPeer,
  isa,
  ladderGrowth,
  peer,
  ragged,
  shapes,
  shareOfLimit,
  step,
  twoThreads,
} from './lib/target-view.mjs';

const CELLS = { lstm: 'LSTM', gru: 'GRU', elman: 'Elman' };
const ALL = Object.keys(CELLS);
const forCells = (make) => ALL.flatMap((cell) => make(cell, CELLS[cell]));

/** Medians of two runs of the same program differ by as much on a quiet machine. */
const NOISE = 0.03;
/** … and beside a program that takes a core. */
const NOISE_UNDER_LOAD = 0.1;

const isShape = (T, B, I, H) => (it) => it.T === T && it.B === B && it.I === I && it.H === H;
const wide = ({ B, H }) => B >= 64 && H >= 512;
const middle = isShape(64, 64, 256, 256);
const small = ({ T, B, I, H }) => T === 64 && (B === 16 || B === 32) && I === 128 && H === 128;
const single = ({ B, H }) => B === 1 && H >= 256;
const count = (filter) => SHAPES.filter(filter).length;
const dense = count(({ B }) => B > 1);

export const TARGETS = [
  {
    row: 'training, ten shapes, against the best peer, raw oneDNN included',
    needs: '--cases shapes',
    checks: forCells((cell, name) => [
      least(`${name}: every shape`, 1, '×', SHAPES.length, fastestPeer(cell, 'training')),
      mean(`${name}: geometric mean`, 1.4, '×', SHAPES.length, fastestPeer(cell, 'training')),
    ]),
  },
  {
    row: 'training, ten shapes, against PyTorch',
    needs: '--cases shapes',
    checks: Object.entries({ lstm: 2, gru: 6, elman: 5 }).map(([cell, atLeast]) =>
      mean(
        `${CELLS[cell]}: geometric mean`,
        atLeast,
        '×',
        SHAPES.length,
        peer('pytorch', shapes(cell, 'training')),
      ),
    ),
  },
  {
    row: 'inference, ten shapes, against the best peer',
    needs: '--cases shapes',
    checks: Object.entries({ lstm: 1.25, gru: 1.5, elman: 1.5 }).flatMap(([cell, atLeast]) => [
      least(`${CELLS[cell]}: every shape`, 1, '×', SHAPES.length, fastestPeer(cell, 'inference')),
      mean(
        `${CELLS[cell]}: geometric mean`,
        atLeast,
        '×',
        SHAPES.length,
        fastestPeer(cell, 'inference'),
      ),
    ]),
  },
  {
    row: '% of limit, ten shapes, all cells',
    needs: '--cases shapes',
    checks: ['training', 'inference'].flatMap((phase) =>
      [
        ['B ≥ 64 and H ≥ 512', 90, wide],
        ['64, 64, 256, 256', 85, middle],
        ['64, 16, 128, 128 and 64, 32, 128, 128', 80, small],
        ['B = 1, H ≥ 256', 75, single],
      ].map(([what, atLeast, filter]) =>
        least(
          `${phase}: ${what}`,
          atLeast,
          '%',
          ALL.length * count(filter),
          shareOfLimit(phase, filter),
        ),
      ),
    ),
  },
  {
    row: 'ragged training, lengths uniform in 1 … T, unsorted',
    needs: '--cases shapes,ragged',
    checks: [
      most('time ÷ its share of the dense time', 1.1, '×', ALL.length * dense, ragged),
      least(
        "against PyTorch's packed sequences",
        5,
        '×',
        ALL.length * dense,
        peer('pytorch', ({ cases }) => cases.filter(({ phase }) => phase === 'ragged')),
      ),
    ],
  },
  {
    row: 'one streaming step from JavaScript, LSTM, I = H',
    needs: '--cases step',
    checks: [
      most(
        'H = 64: median',
        3,
        'µs',
        1,
        step([64], (it) => it.ours.median_ms * 1000),
      ),
      least(
        'H = 256, 512: share of the one-core bandwidth bound',
        70,
        '%',
        2,
        step([256, 512], (it) => it.pct_limit),
      ),
      least(
        'H = 64, 256, 512: against onnxruntime-node',
        1.5,
        '×',
        3,
        peer('onnxruntime-node', step.cases([64, 256, 512])),
      ),
    ],
  },
  {
    row: '`fit` against the same native steps: how much longer',
    needs: '--extras fit',
    checks: [
      ['64,32,128,128', 3],
      ['20,8,16,32', 15],
    ].map(([shape, atMost]) =>
      most(
        shape.replaceAll(',', ', '),
        atMost,
        '%',
        1,
        extra(
          'fit',
          ({ ratio }) => 100 * (ratio - 1),
          ({ id }) => id.includes(shape),
        ),
      ),
    ),
  },
  {
    row: 'training against what Node users have (LSTM, sizes that each can do)',
    needs: '--cases shapes,text',
    checks: [
      ...[
        ['tfjs', 100],
        ['tfjs-wasm', 60],
      ].map(([name, atLeast]) =>
        least(name, atLeast, '×', 1, peer(name, shapes('lstm', 'training'))),
      ),
      least(
        'brain.js',
        30,
        '×',
        1,
        peer('brain.js', ({ cases }) => cases.filter(({ phase }) => phase === 'text')),
      ),
      ...[
        ['64, 16, 128, 128', 45, isShape(64, 16, 128, 128)],
        ['64, 64, 256, 256', 5.5, middle],
      ].map(([what, atLeast, filter]) =>
        least(
          `tfjs-node, ${what}`,
          atLeast,
          '×',
          1,
          peer('tfjs-node', (view) => shapes('lstm', 'training')(view).filter(filter)),
        ),
      ),
    ],
  },
  {
    row: 'two threads against one',
    needs: '--cases shapes,threads --extras load',
    checks: [
      least(
        'B ≥ 32, H ≥ 128',
        1.8,
        '×',
        2 * ALL.length * count(({ B, H }) => B >= 32 && H >= 128),
        twoThreads(({ B, H, groups }) => groups.includes('shapes') && B >= 32 && H >= 128),
      ),
      least(
        'never slower, any shape',
        1,
        '×',
        2 * ALL.length * SHAPES.length,
        twoThreads(() => true),
        NOISE,
      ),
      least(
        'never slower, one core loaded by another process',
        1,
        '×',
        6,
        extra('load', ({ ratio }) => ratio),
        NOISE_UNDER_LOAD,
      ),
    ],
  },
  {
    row: 'memory of training',
    needs: '--extras memory',
    checks: [
      most(
        "peak resident set ÷ PyTorch's",
        0.8,
        '×',
        5,
        extra('memory', ({ ratio }) => ratio),
      ),
      most(
        'allocations of a step in steady state (layers, in C++)',
        0,
        '',
        3,
        extra(
          'memory',
          ({ allocations }) => allocations,
          ({ id }) => id.includes('/training/'),
        ),
      ),
    ],
  },
  {
    row: 'long sequences',
    needs: '--cases ladder-T --extras long',
    checks: [
      most(
        'time a step at T = 100,000 ÷ at T = 1,000 (training, all cells)',
        1.25,
        '×',
        ALL.length,
        ladderGrowth('training', 1000, 100_000),
      ),
      most(
        "T = 100,000, LSTM 256, checkpointEvery 'auto': peak resident set",
        400,
        'MB',
        1,
        extra(
          'long',
          (it) => it.peak_mb,
          ({ id }) => id === 'auto',
        ),
      ),
      most(
        '… time a step ÷ plain',
        1.5,
        '×',
        1,
        extra(
          'long',
          (it, { entries }) =>
            it.us_per_step / entries.find(({ id }) => id === 'plain').us_per_step,
          ({ id }) => id === 'auto',
        ),
      ),
    ],
  },
  {
    row: 'AVX2 on the same machine, against the best peer held to AVX2',
    needs: '--extras avx2',
    checks: ['training', 'inference'].flatMap((phase) =>
      forCells((cell, name) => [
        least(`${name} ${phase}: every shape`, 0.9, '×', SHAPES.length, isa('avx2', cell, phase)),
      ]),
    ),
  },
  {
    row: "`import 'ostinato'`: more than an empty Node process",
    needs: '--extras start',
    checks: [
      most(
        'median',
        40,
        'ms',
        1,
        extra('start', (it) => it.added_ms),
      ),
    ],
  },
];
