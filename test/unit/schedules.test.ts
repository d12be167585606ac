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
