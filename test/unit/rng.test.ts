import { RandomSequence, philox } from '../../lib/rng';

test('Philox4x32-10 gives the published known answers', () => {
  const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0'));
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toEqual([
    '6627e8d5',
    'e169c58d',
    'bc57ac4c',
    '9b00dbd8',
  ]);
  const ones = 0xffffffff;
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toEqual([
    '408f276d',
    '41c83b0e',
    'a20bc7c6',
    '6d5451fd',
  ]);
  expect(
    hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
  ).toEqual(['d16cfe09', '94fdcceb', '5001e420', '24126ea1']);
});

test('sequences depend on seed, stream and purpose only', () => {
  const take = (seed: number, stream: number, purpose?: number) => {
    const sequence = new RandomSequence(seed, stream, purpose);
    return Array.from({ length: 5 }, () => sequence.next());
  };
  expect(take(1, 0)).toEqual(take(1, 0));
  expect(take(1, 0)).toEqual(take(1, 0, 0));
  expect(take(1, 0)).not.toEqual(take(1, 1));
  expect(take(1, 0)).not.toEqual(take(1, 0, 1));
  expect(take(1, 0)).not.toEqual(take(1 + 2 ** 40, 0));
});

test('numbers are uniform in [0, 1)', () => {
  const sequence = new RandomSequence(5);
  const values = Array.from({ length: 20_000 }, () => sequence.next());
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(1);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  expect(mean).toBeCloseTo(1 / 2, 1.9);
  expect(variance).toBeCloseTo(1 / 12, 2);
});

test('a permutation has every number once', () => {
  const order = new RandomSequence(9).permutation(1000);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_v, i) => i));
  expect([...order.subarray(0, 20)]).not.toEqual(Array.from({ length: 20 }, (_v, i) => i));
});
