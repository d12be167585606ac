import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callBench } from '../../helpers/bench-module';

interface Check {
  what: string;
  status: string;
  shown: string;
  measured: number;
  expected: number;
  met?: number;
  worst?: string;
  failing?: { id: string }[];
}
interface Row {
  row: string;
  status: string;
  checks: Check[];
}

const SHAPES = [
  [100, 1, 64, 64],
  [100, 1, 256, 256],
  [100, 1, 512, 512],
  [100, 1, 1024, 1024],
  [64, 16, 128, 128],
  [64, 32, 128, 128],
  [64, 64, 256, 256],
  [50, 64, 512, 512],
  [32, 128, 1024, 1024],
  [1000, 32, 16, 64],
] as const;

/** A record of a case of which only medians matter: ours takes 1 ms unless told otherwise. */
function record(
  cell: string,
  phase: string,
  [T, B, I, H]: readonly [number, number, number, number],
  { ours = 1, peers = {}, threads = 2, group = 'shapes', ...rest }: RecordOptions = {},
) {
  const times = Object.entries({ onednn: 1.5, pytorch: 3, ...peers });
  const best = times.sort(([, a], [, b]) => a - b)[0]!;
  return {
    id: `${cell}/${phase}/${T},${B},${I},${H}/t${threads}`,
    ...{ cell, phase, T, B, I, H, threads, layers: 1, bidirectional: false, groups: [group] },
    ours: { median_ms: ours, min_ms: ours },
    peers: Object.fromEntries(times.map(([name, ms]) => [name, { median_ms: ms, min_ms: ms }])),
    ...{ best_peer: best[0], ratio_best: best[1] / ours, pct_limit: 95, bound_ms: 0.95 * ours },
    ...{ unsupported: {}, failed: {}, checks: {} },
    ...rest,
  };
}
interface RecordOptions {
  ours?: number;
  peers?: Record<string, number>;
  threads?: number;
  group?: string;
  pct_limit?: number;
  rows?: number;
}

const evaluate = (result: { cases: unknown[]; extras?: unknown; forced_isa?: string }) =>
  callBench<Row[]>('lib/targets-table.mjs', 'return module.evaluateTargets(argument);', result);

function find(rows: Row[], row: RegExp, what: RegExp): Check {
  const found = rows.find((it) => row.test(it.row))?.checks.find((it) => what.test(it.what));
  if (!found) throw new Error(`No check ${what} in ${row}`);
  return found;
}

test('nothing is said about what was not measured', () => {
  const rows = evaluate({ cases: [] });
  expect(rows.length).toBe(13);
  expect(new Set(rows.flatMap(({ checks }) => checks.map((it) => it.status)))).toEqual(
    new Set(['not measured']),
  );
});

test('ratios to the best peer are judged shape by shape and by their geometric mean', () => {
  const all = SHAPES.map((shape) => record('lstm', 'training', shape));
  const whole = evaluate({ cases: all });
  expect(find(whole, /^training.*best/, /LSTM: every/)).toMatchObject({ status: 'met', met: 10 });
  expect(find(whole, /^training.*best/, /LSTM: geo/)).toMatchObject({
    status: 'met',
    shown: '1.50×',
  });
  expect(find(whole, /^training.*PyTorch/, /LSTM/)).toMatchObject({
    status: 'met',
    shown: '3.00×',
  });
  expect(find(whole, /^training.*best/, /GRU: every/).status).toBe('not measured');

  const slower = [record('lstm', 'training', SHAPES[0], { ours: 2 }), ...all.slice(1)];
  const missed = find(evaluate({ cases: slower }), /^training.*best/, /LSTM: every/);
  expect(missed).toMatchObject({ status: 'missed', met: 9, shown: '0.75×' });
  expect(missed.worst).toContain('lstm/training/100,1,64,64/t2 (onednn)');
  expect(missed.failing).toHaveLength(1);
});

test('a part of the cases can miss a target but not meet it, and its mean says nothing', () => {
  const part = [record('gru', 'inference', SHAPES[0]), record('gru', 'inference', SHAPES[1])];
  const rows = evaluate({ cases: part });
  expect(find(rows, /^inference/, /GRU: every/)).toMatchObject({
    status: 'incomplete',
    measured: 2,
  });
  const slow = evaluate({ cases: part.map((it) => ({ ...it, ratio_best: 0.5 })) });
  expect(find(slow, /^inference/, /GRU: every/).status).toBe('missed');
  expect(find(slow, /^inference/, /GRU: geo/).status).toBe('incomplete');
});

test('without oneDNN and PyTorch nobody is the best peer', () => {
  const alone = SHAPES.map((shape) => ({
    ...record('lstm', 'training', shape),
    peers: { jax: { median_ms: 9, min_ms: 9 } },
  }));
  expect(find(evaluate({ cases: alone }), /^training.*best/, /LSTM: every/).status).toBe(
    'not measured',
  );
});

test('a case counts although oneDNN cannot do it, but not when it was left out for its time', () => {
  const judge = (reason: string) => {
    const it = record('gru', 'training', SHAPES[7]);
    const { pytorch } = it.peers;
    const cases = [{ ...it, peers: { pytorch }, unsupported: { onednn: reason } }];
    return find(evaluate({ cases }), /^training.*best/, /GRU: every/).measured;
  };
  expect(judge('no such cell')).toBe(1);
  expect(judge('too slow: about 12 s a call')).toBe(0);
});

test('ragged time is compared with its share of the dense time of the same result', () => {
  const shape = SHAPES[5];
  const dense = record('lstm', 'training', shape, { ours: 2 });
  const half = { group: 'ragged', rows: (shape[0] * shape[1]) / 2 };
  const ragged = (ours: number) => record('lstm', 'ragged', shape, { ours, ...half });
  const judge = (ours: number) =>
    find(evaluate({ cases: [dense, ragged(ours)] }), /^ragged/, /share of the dense/);
  expect(judge(1.05)).toMatchObject({ status: 'incomplete', shown: '1.05×' });
  expect(judge(1.2)).toMatchObject({ status: 'missed', shown: '1.20×' });
  expect(find(evaluate({ cases: [ragged(1)] }), /^ragged/, /share/).status).toBe('not measured');
});

test('two threads are compared with one of the same shape', () => {
  const two = record('lstm', 'training', SHAPES[6]);
  const one = record('lstm', 'training', SHAPES[6], { threads: 1, ours: 1.7, group: 'threads' });
  const rows = evaluate({ cases: [two, one] });
  expect(find(rows, /two threads/, /B ≥ 32/)).toMatchObject({ status: 'missed', shown: '1.70×' });
  expect(find(rows, /two threads/, /any shape/)).toMatchObject({ status: 'incomplete', met: 1 });
});

test('steps, ladders and extra measurements', () => {
  const step = (H: number, ours: number) =>
    record('lstm', 'step', [1, 1, H, H], { threads: 1, group: 'step', ours, pct_limit: 60 });
  const ladder = (T: number, ours: number) =>
    record('lstm', 'training', [T, 1, 64, 64], { group: 'ladder-T', ours });
  const rows = evaluate({
    cases: [step(64, 0.0025), step(256, 0.03), ladder(1000, 1), ladder(100_000, 200)],
    extras: {
      start: { entries: [{ id: 'import', added_ms: 31 }] },
      fit: { entries: [{ id: 'lstm/fit/64,32,128,128/t2', ratio: 1.2 }] },
      memory: { entries: [{ id: 'lstm/training/64,32,128,128/t2', ratio: 0.2, allocations: 3 }] },
      long: {
        entries: [
          { id: 'plain', us_per_step: 10, peak_mb: 900 },
          { id: 'auto', us_per_step: 14, peak_mb: 350 },
        ],
      },
    },
  });
  expect(find(rows, /streaming/, /H = 64: median/)).toMatchObject({
    status: 'met',
    shown: '2.50 µs',
  });
  expect(find(rows, /streaming/, /bandwidth/)).toMatchObject({ status: 'missed', shown: '60.0 %' });
  expect(find(rows, /^long/, /time a step at/)).toMatchObject({ status: 'missed', shown: '2.00×' });
  expect(find(rows, /^long/, /peak/)).toMatchObject({ status: 'met', shown: '350 MB' });
  expect(find(rows, /^long/, /plain/)).toMatchObject({ status: 'met', shown: '1.40×' });
  expect(find(rows, /fit/, /64, 32/)).toMatchObject({ status: 'missed', shown: '20.0 %' });
  expect(find(rows, /^memory/, /allocations/)).toMatchObject({ status: 'missed', shown: '3' });
  expect(find(rows, /import/, /median/)).toMatchObject({ status: 'met', shown: '31.0 ms' });
});

test('a run held to AVX2 answers for AVX2 alone', () => {
  const cases = SHAPES.map((shape) => record('lstm', 'training', shape));
  const rows = evaluate({ cases, forced_isa: 'avx2' });
  expect(find(rows, /AVX2/, /LSTM training/).status).toBe('met');
  expect(find(rows, /^training.*best/, /LSTM: every/).status).toBe('not measured');
});

test('--targets prints them from a saved result', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ostinato-targets-'));
  try {
    const file = path.join(folder, 'result.json');
    const cases = SHAPES.map((shape) => record('lstm', 'training', shape));
    writeFileSync(file, JSON.stringify({ machine: {}, cases }));
    const script = path.resolve(__dirname, '..', '..', '..', 'bench', 'run.mjs');
    const { status, stdout } = spawnSync(process.execPath, [script, '--targets', file], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/✓ LSTM: every shape +≥ 1× +1\.50× +met +10 of 10/);
    expect(stdout.trimEnd()).toMatch(/\n3 met, .*not measured$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
