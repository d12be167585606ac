import fc from 'fast-check';
import { toNDArray } from '../../lib/data/arrays';
import { cutToLengths, readRows } from '../../lib/data/rows';
import { argumentError, thrownBy } from '../helpers/errors';

/** An array with a hole. */
const sparse = Object.assign([1], { 2: 2 });
const steps = { timed: true, features: 2, integers: false };
const ids = { timed: true, features: 1, integers: true };

describe('readRows', () => {
  test('ragged samples are packed one after the other', () => {
    const rows = readRows([[[1, 2]], [], [[3, 4], new Float32Array([5, 6])]], steps, 'x');
    expect([...rows.data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...rows.lengths]).toEqual([1, 0, 2]);
    expect([...rows.offsets]).toEqual([0, 1, 1]);
    expect(rows.steps).toBe(2);
  });

  test('token ids in arrays and typed arrays', () => {
    const rows = readRows([[1, 2, 3], new Uint8Array([4])], ids, 'x');
    expect([...rows.data]).toEqual([1, 2, 3, 4]);
    expect([...rows.lengths]).toEqual([3, 1]);
  });

  test('one feature may be left out, also with a shape', () => {
    const one = { ...steps, features: 1 };
    expect([...readRows([[1, 2], [3]], one, 'x').data]).toEqual([1, 2, 3]);
    expect(readRows({ data: [1, 2, 3, 4], shape: [2, 2] }, one, 'x').features).toBe(1);
    expect(readRows({ data: [1, 2, 3, 4], shape: [2, 2, 1] }, one, 'x').features).toBe(1);
  });

  test('lengths cut samples and leave the storage alone', () => {
    const rows = readRows({ data: numbersTo(12), shape: [2, 3, 2] }, steps, 'x');
    cutToLengths(rows, [1, 3], 'lengths');
    expect([...rows.lengths]).toEqual([1, 3]);
    expect([...rows.offsets]).toEqual([0, 3]);
    expect(thrownBy(() => cutToLengths(rows, [2, 0], 'lengths')).message).toContain('"lengths[0]"');
    expect(thrownBy(() => cutToLengths(rows, [1], 'lengths')).name).toBe('RangeError');
  });

  test.each<[unknown, typeof steps, object]>([
    [5, steps, argumentError('TypeError', /"x" but received 5 \(number\)/)],
    [[], steps, argumentError('RangeError', /at least one sample/)],
    [new Float32Array(4), steps, argumentError('TypeError', /a flat typed array needs a shape/)],
    [[[1, 2]], steps, argumentError('TypeError', /"x\[0\]\[0\]" but received 1/)],
    [[[['a', 1]]], steps, argumentError('TypeError', /"x\[0\]\[0\]\[0\]" but received "a"/)],
    [[[1, 2.5]], ids, argumentError('RangeError', /"x\[0\]\[1\]" but received 2.5/)],
    [[[1, NaN]], ids, argumentError('RangeError', /"x\[0\]\[1\]" but received NaN/)],
    [[new Float32Array([1, NaN])], ids, argumentError('RangeError', /received NaN/)],
    [[[1], 2], ids, argumentError('TypeError', /"x\[1\]" but received 2/)],
    [[sparse], ids, argumentError('TypeError', /"x\[0\]\[1\]" but received undefined/)],
    [{ data: [1], shape: [1, 2] }, ids, argumentError('RangeError', /the product of the shape/)],
    [{ data: [], shape: [0, 2] }, ids, argumentError('RangeError', /at least one sample/)],
    [{ data: [1], shape: [-1] }, ids, argumentError('RangeError', /"x.shape\[0\]"/)],
    [[new BigInt64Array(1)], ids, argumentError('TypeError', /an array of numbers/)],
  ])('%p', (value, wanted, error) => {
    expect(thrownBy(() => readRows(value, wanted, 'x'))).toEqual(error);
  });

  test('shapes that do not fit', () => {
    const wrong = { data: new Float32Array(12), shape: [2, 2, 3] };
    expect(thrownBy(() => readRows(wrong, steps, 'x'))).toMatchObject({
      code: 'ERR_SHAPE_MISMATCH',
      message: 'Expected shape [batch, time, 2] for "x" but received [2, 2, 3]',
    });
    expect(thrownBy(() => readRows([[[1, 2, 3]]], steps, 'x')).code).toBe('ERR_SHAPE_MISMATCH');
  });

  test('nested, typed and shaped forms of the same data agree', () => {
    const lists = fc.array(fc.array(fc.float({ noNaN: true }), { minLength: 3, maxLength: 3 }), {
      minLength: 1,
      maxLength: 9,
    });
    fc.assert(
      fc.property(fc.array(lists, { minLength: 1, maxLength: 6 }), (samples) => {
        const wanted = { timed: true, features: 3, integers: false };
        const rows = readRows(samples, wanted, 'x');
        const typed = readRows(
          samples.map((sample) => sample.map((row) => Float32Array.from(row))),
          wanted,
          'x',
        );
        expect(typed).toEqual(rows);
        expect([...rows.data]).toEqual(samples.flat(2).map(Math.fround));
        const equal = samples.map((sample) => sample.slice(0, 1));
        const shaped = readRows({ data: equal.flat(2), shape: [equal.length, 1, 3] }, wanted, 'x');
        expect(shaped).toEqual(readRows(equal, wanted, 'x'));
      }),
    );
  });
});

describe('toNDArray', () => {
  test('finds the shape of nested arrays', () => {
    expect(toNDArray([[[1, 2]], [[3, 4]]], 'w')).toEqual({
      data: new Float32Array([1, 2, 3, 4]),
      shape: [2, 1, 2],
    });
    expect(toNDArray([new Float64Array([1]), [2]], 'w').shape).toEqual([2, 1]);
  });

  test('rejects ragged ones', () => {
    expect(thrownBy(() => toNDArray([[1, 2], [3]], 'w')).name).toBe('RangeError');
    expect(thrownBy(() => toNDArray([[1], 2], 'w')).name).toBe('TypeError');
    expect(thrownBy(() => toNDArray('no', 'w')).name).toBe('TypeError');
  });
});

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_value, i) => i);
}
