import { callBench } from '../../helpers/bench-module';

const base = { cell: 'lstm', phase: 'training', threads: 2, T: 64, B: 32, I: 128, H: 128 };
const HISTORY = 'lib/call-history.mjs';

test('known calls bound what a larger case takes', () => {
  const body = `
    const history = new module.CallHistory();
    const { base } = argument;
    const none = history.atMost('x', base) === Infinity && history.atLeast('x', base) === 0;
    history.add('x', base, 10);
    const both = (name, it) => [history.atMost(name, it), history.atLeast(name, it)];
    return {
      none,
      same: both('x', base),
      longer: both('x', { ...base, T: 640 }),
      wider: both('x', { ...base, B: 64 }),
      shorter: both('x', { ...base, T: 32 }),
      otherCell: history.atLeast('x', { ...base, cell: 'gru', T: 640 }),
      otherName: history.atLeast('y', { ...base, T: 640 }),
    };`;
  expect(callBench(HISTORY, body, { base })).toEqual({
    none: true,
    same: [10, 10],
    longer: [100, 10],
    wider: [20, 10],
    shorter: [10, 0],
    otherCell: 0,
    otherName: 0,
  });
});

test('time grows by the steps of a pair of short cases, beside what each call costs', () => {
  const body = `
    const pair = module.shorterCases(argument);
    const rows = module.shorterCases(argument, { fewRows: true });
    // 5 ms a call and 0.5 ms a step.
    const times = pair.map(({ T }) => 5 + 0.5 * T);
    return {
      steps: pair.map(({ T, B }) => [T, B]),
      rows: rows.map(({ T, B }) => [T, B]),
      expected: module.scaledUp(argument, pair, times),
      noise: module.scaledUp(argument, pair, [9, 8]),
      manyRows: module.scaledUp(argument, rows, times),
    };`;
  expect(callBench(HISTORY, body, { ...base, T: 6400 })).toEqual({
    steps: [
      [100, 32],
      [200, 32],
    ],
    rows: [
      [100, 2],
      [200, 2],
    ],
    expected: 5 + 0.5 * 6400,
    noise: 9,
    manyRows: 16 * (5 + 0.5 * 6400),
  });
});

test('what cannot be cut is not', () => {
  const body = `return argument.map((it) => module.shorterCases(it).length);`;
  const cases = [
    { ...base, T: 4 },
    { ...base, phase: 'step', T: 1 },
    { ...base, phase: 'fit', batches: 8 },
  ];
  expect(callBench(HISTORY, body, cases)).toEqual([0, 0, 2]);
});

test('the estimate of a run adds up its groups, and grows with peers, rounds and sizes', () => {
  const levels = { L1: 500, L2: 300, L3: 60, DRAM: 30 };
  const machine = {
    cacheBytes: { L1: 49152, L2: 2097152, L3: 33554432 },
    peaks: [1, 2].map((threads) => ({ threads, fmaGflops: 200 * threads, bandwidthGBs: levels })),
  };
  const make = (H: number) => ({
    ...{ ...base, I: H, H, layers: 1, bidirectional: false },
    ...{ id: `h${H}`, groups: ['shapes'] },
  });
  const body = `
    const { cases, machine } = argument;
    const of = (some, wanted, rounds) => module.estimateMinutes(some, {
      plan: { ...module.PLANS.full, rounds },
      wanted,
      machine,
      extras: [{ name: 'start', minutes: 0.25 }],
    });
    const two = of(cases, () => true, 5);
    return {
      groups: Object.keys(two.groups),
      sum: two.total - two.groups.shapes - two.groups['extra start'],
      both: two.groups.shapes,
      one: of(cases.slice(0, 1), () => true, 5).groups.shapes,
      alone: of(cases, () => false, 5).groups.shapes,
      fewer: of(cases, () => true, 2).groups.shapes,
    };`;
  const { groups, sum, both, one, alone, fewer } = callBench<{
    groups: string[];
    sum: number;
    both: number;
    one: number;
    alone: number;
    fewer: number;
  }>('lib/plan.mjs', body, { cases: [make(64), make(512)], machine });
  expect(groups).toEqual(['shapes', 'extra start']);
  expect(sum).toBeGreaterThan(0); // starting the drivers
  expect(one).toBeLessThan(both / 2);
  expect(alone).toBeLessThan(both);
  expect(fewer).toBeLessThan(both);
});

test('the most telling cases come first, and drivers change their threads rarely', () => {
  const make = (id: string, threads: number, ...groups: string[]) => ({ id, threads, groups });
  const cases = [
    make('ladder', 2, 'ladder-H'),
    make('one', 1, 'threads'),
    make('two', 2, 'shapes', 'ladder-B'),
    make('ragged', 2, 'ragged'),
  ];
  const body = 'return module.byImportance(argument).map(({ id }) => id);';
  expect(callBench('lib/plan.mjs', body, cases)).toEqual(['two', 'ragged', 'one', 'ladder']);
});

test('cases are selected by groups, also several in one word, by parts and by ids', () => {
  const body = `
    const count = (...patterns) => module.selectCases({ patterns }).length;
    return [
      count('shapes'), count('threads'), count('shapes,threads'), count('shapes', 'threads'),
      count('lstm/training/64,32,96,96/t2'), count('none'),
    ];`;
  expect(callBench('cases.mjs', body, null)).toEqual([60, 60, 120, 120, 1, 0]);
});
