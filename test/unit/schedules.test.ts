import { schedules } from '../../lib';
import { thrownBy } from '../helpers/errors';

test('constant, step and exponential', () => {
  expect(schedules.constant(0.1)(1000)).toBe(0.1);
  const step = schedules.step({ learningRate: 1, every: 10, factor: 0.5 });
  expect([0, 9, 10, 25].map(step)).toEqual([1, 1, 0.5, 0.25]);
  const exponential = schedules.exponential({ learningRate: 1, decayRate: 0.25, decaySteps: 2 });
  expect([0, 1, 2, 4].map(exponential)).toEqual([1, 0.5, 0.25, 0.0625]);
});

test('cosine rises, falls and stays', () => {
  const rate = schedules.cosine({
    learningRate: 1,
    totalSteps: 110,
    warmupSteps: 10,
    minimum: 0.1,
  });
  expect(rate(0)).toBeCloseTo(0.1, 12);
  expect(rate(9)).toBeCloseTo(1, 12);
  expect(rate(10)).toBeCloseTo(1, 12);
  expect(rate(60)).toBeCloseTo(0.55, 12);
  expect(rate(109)).toBeGreaterThan(0.1);
  expect(rate(110)).toBe(0.1);
  expect(rate(10_000)).toBe(0.1);
});

test('wrong options', () => {
  expect(thrownBy(() => schedules.cosine({ learningRate: 1, totalSteps: 0 })).name).toBe(
    'RangeError',
  );
  expect(
    thrownBy(() => schedules.cosine({ learningRate: 1, totalSteps: 5, warmupSteps: 6 })).name,
  ).toBe('RangeError');
  expect(thrownBy(() => schedules.constant(-1)).name).toBe('RangeError');
});

test('polynomial, inverse square root and warm restarts at their corners', () => {
  const line = schedules.polynomial({ learningRate: 1, totalSteps: 10, minimum: 0.5 });
  expect([0, 5, 10, 99].map(line)).toEqual([1, 0.75, 0.5, 0.5]);
  const root = schedules.inverseSquareRoot({ learningRate: 1, warmupSteps: 4 });
  expect([0, 3, 15].map(root)).toEqual([0.25, 1, 0.5]);
  const waves = schedules.warmRestarts({ learningRate: 1, period: 2, periodFactor: 2 });
  expect([0, 2, 6, 14].map(waves)).toEqual([1, 1, 1, 1]);
  expect(waves(4)).toBeCloseTo(0.5, 12);
});

test('one cycle rises to the peak, falls, and stays', () => {
  const rate = schedules.oneCycle({ learningRate: 1, totalSteps: 100, finalDivFactor: 10 });
  expect(rate(0)).toBeCloseTo(1 / 25, 12);
  expect(rate(29)).toBeCloseTo(1, 12);
  expect(rate(99)).toBeCloseTo(1 / 250, 12);
  expect(rate(1e6)).toBe(rate(99));
});

test('one cycle may move the momentum against the rate', () => {
  const options = { learningRate: 1, totalSteps: 100 };
  expect(schedules.oneCycle(options).momentum).toBeUndefined();
  const { momentum } = schedules.oneCycle({ ...options, cycleMomentum: true });
  expect(momentum!(0)).toBeCloseTo(0.95, 12);
  expect(momentum!(29)).toBeCloseTo(0.85, 12);
  expect(momentum!(99)).toBeCloseTo(0.95, 12);
  expect(momentum!(1e6)).toBe(momentum!(99));
  const bounds = { baseMomentum: 0.2, maxMomentum: 0.6 };
  const own = schedules.oneCycle({ ...options, ...bounds, cycleMomentum: true }).momentum!;
  const values = Array.from({ length: 100 }, (_v, step) => own(step));
  expect(Math.min(...values)).toBeCloseTo(0.2, 12);
  expect(Math.max(...values)).toBeCloseTo(0.6, 12);
});

test('a plateau is a value that a stored state goes on from', () => {
  const schedule = schedules.plateau({ learningRate: 1, factor: 0.5, patience: 1 });
  const values = [3, 2, 2, NaN, 1, 1, 1, 1];
  let state = schedule.start;
  const rates = values.map((value) => {
    state = schedule.observe(JSON.parse(JSON.stringify(state)) as typeof state, 'valLoss', value);
    return state.rate;
  });
  expect(rates).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
  expect(schedule.start).toEqual({ rate: 1, best: null, waited: 0, cooling: 0 });
});

test('what is better depends on the metric, unless the mode says so', () => {
  const rateAfter = (metric: string, options: object) => {
    const schedule = schedules.plateau({ learningRate: 1, patience: 0, ...options });
    return [0.1, 0.2, 0.3].reduce(
      (state, value) => schedule.observe(state, metric, value),
      schedule.start,
    ).rate;
  };
  expect(rateAfter('valAccuracy', {})).toBe(1);
  expect(rateAfter('valLoss', {})).toBeCloseTo(0.01, 12);
  expect(rateAfter('valLoss', { mode: 'max' })).toBe(1);
});

test.each([
  ['polynomial', { learningRate: 1, totalSteps: 5, minimum: 2 }],
  ['polynomial', { learningRate: 1, totalSteps: 5, power: 0 }],
  ['inverseSquareRoot', { learningRate: 1, warmupSteps: 0 }],
  ['warmRestarts', { learningRate: 1, period: 5, periodFactor: 1.5 }],
  ['oneCycle', { learningRate: 1, totalSteps: 10, warmupFraction: 0.05 }],
  ['oneCycle', { learningRate: 1, totalSteps: 10, warmupFraction: 0.6, threePhase: true }],
  ['oneCycle', { learningRate: 1, totalSteps: 10, baseMomentum: 0 }],
  ['oneCycle', { learningRate: 1, totalSteps: 10, maxMomentum: 1 }],
  ['oneCycle', { learningRate: 1, totalSteps: 10, baseMomentum: 0.9, maxMomentum: 0.8 }],
  ['plateau', { learningRate: 1, factor: 1 }],
  ['plateau', { learningRate: 1, minimum: 2 }],
] as const)('wrong options of %s: %j', (name, options) => {
  const make = schedules[name] as (given: object) => unknown;
  expect(thrownBy(() => make(options)).name).toBe('RangeError');
});
