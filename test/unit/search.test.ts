import { epochsOf, ranking, rungsOf } from '../../lib/cli/search/halving';
import { drawPoints, findParameters, valuesAt } from '../../lib/cli/search/space';
import type { Parameter } from '../../lib/cli/search/space';

const place = (key: string, inside: readonly (string | number)[] = []): string =>
  ['file', key, ...inside].join('/');
const parametersOf = (values: Record<string, unknown>): Parameter[] =>
  findParameters({ values, place });

const VALUES = {
  batch: 16,
  learningRate: { logUniform: [1e-4, 1e-1] },
  layers: [
    { type: { choice: ['lstm', 'gru'] }, units: { logInt: [4, 64] }, layers: { int: [1, 3] } },
    { type: 'dropout', rate: { uniform: [0.1, 0.5] } },
  ],
};

describe('the space of a search', () => {
  const parameters = parametersOf(VALUES);

  it('is what stands in place of values, at any depth, in the order of the file', () => {
    expect(parameters.map(({ name }) => name)).toEqual([
      'learningRate',
      'layers[0].type',
      'layers[0].units',
      'layers[0].layers',
      'layers[1].rate',
    ]);
  });

  it('gives points within its bounds, and all kinds of them', () => {
    const points = drawPoints(parameters, 400, 1);
    expect(points).toHaveLength(400);
    const of = (name: string): number[] => points.map((point) => point[name] as number);
    const share = (values: number[], below: number): number =>
      values.filter((value) => value < below).length / values.length;
    for (const [name, low, high, middle] of [
      ['learningRate', 1e-4, 1e-1, Math.sqrt(1e-5)],
      ['layers[0].units', 4, 64, 17],
      ['layers[1].rate', 0.1, 0.5, 0.3],
    ] as const) {
      expect(Math.min(...of(name))).toBeGreaterThanOrEqual(low);
      expect(Math.max(...of(name))).toBeLessThanOrEqual(high);
      // Half of the draws fall below the middle of the scale.
      expect(Math.abs(share(of(name), middle) - 0.5)).toBeLessThan(0.1);
    }
    expect(of('layers[0].units').every(Number.isInteger)).toBe(true);
    expect([...new Set(of('layers[0].layers'))].sort()).toEqual([1, 2, 3]);
    const kinds = points.filter((point) => point['layers[0].type'] === 'gru').length;
    expect(Math.abs(kinds / 400 - 0.5)).toBeLessThan(0.1);
    // What a table says is what was trained.
    expect(of('learningRate').every((rate) => Number(rate.toPrecision(4)) === rate)).toBe(true);
  });

  it('gives the same points for the same seed, whatever their count, and no point twice', () => {
    const points = drawPoints(parameters, 20, 7);
    expect(drawPoints(parameters, 50, 7).slice(0, 20)).toEqual(points);
    expect(drawPoints(parameters, 20, 8)).not.toEqual(points);
    const small = parametersOf({ units: { choice: [8, 16] }, layers: { int: [1, 2] } });
    const all = drawPoints(small, 50, 0).map((point) => JSON.stringify(point));
    expect(all).toHaveLength(4);
    expect(new Set(all).size).toBe(4);
  });

  it('puts points into a copy of the configuration', () => {
    const [point] = drawPoints(parameters, 1, 3);
    const before = structuredClone(VALUES);
    expect(valuesAt(VALUES, parameters, point!)).toEqual({
      batch: 16,
      learningRate: point!['learningRate'],
      layers: [
        {
          type: point!['layers[0].type'],
          units: point!['layers[0].units'],
          layers: point!['layers[0].layers'],
        },
        { type: 'dropout', rate: point!['layers[1].rate'] },
      ],
    });
    expect(VALUES).toEqual(before);
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ units: { choice: [] } }, /file\/units: .*list of values.*units\.choice/],
    [{ units: { choice: [8, 8] } }, /different values.*twice/],
    [{ units: { int: [1, 2.5] } }, /whole number.*units\.int\[1\].*2\.5/],
    [{ units: { int: [3, 3] } }, /above 3.*the least comes first/],
    [{ units: { logInt: [0, 3] } }, /at least 1.*units\.logInt\[0\]/],
    [{ learningRate: { logUniform: [0, 1] } }, /above 0.*learningRate\.logUniform\[0\]/],
    [{ learningRate: { uniform: ['a', 1] } }, /finite number.*"a"/],
    [{ learningRate: { uniform: [1] } }, /write uniform: \[least, largest\]/],
    [{ learningRate: { log_uniform: [1e-4, 1] } }, /did you mean "logUniform"/],
    [{ learningRate: { normal: [0, 1] } }, /one of choice, uniform, .*"normal"/],
    [{ units: { int: [1, 3], step: 2 } }, /nothing beside "int".*"step"/],
    [{ layers: [{ units: { int: [2, 1] } }] }, /file\/layers\/0\/units: .*layers\[0\]\.units/],
    [{ epochs: { int: [1, 9] } }, /cannot vary "epochs"/],
    [{ data: { choice: ['a.csv', 'b.csv'] } }, /cannot vary "data"/],
  ])('%j is an error', (values, message) => {
    expect(() => parametersOf(values)).toThrow(message);
  });
});

describe('the rungs of a search', () => {
  const budget = { trials: 27, minEpochs: 1, maxEpochs: 27, reduction: 3 } as const;

  it('are one for random search', () => {
    const rungs = rungsOf({ ...budget, method: 'random' });
    expect(rungs).toEqual([{ keep: 27, epochs: 27 }]);
    expect(epochsOf(rungs)).toBe(27 * 27);
  });

  it('halve as the paper does', () => {
    const rungs = rungsOf({ ...budget, method: 'halving' });
    expect(rungs).toEqual([
      { keep: 27, epochs: 1 },
      { keep: 9, epochs: 3 },
      { keep: 3, epochs: 9 },
      { keep: 1, epochs: 27 },
    ]);
    expect(epochsOf(rungs)).toBe(27 + 9 * 2 + 3 * 6 + 18);
  });

  it('begin no lower than allowed, and end at the largest with few trials, too', () => {
    expect(rungsOf({ ...budget, method: 'halving', minEpochs: 4 })).toEqual([
      { keep: 27, epochs: 9 },
      { keep: 9, epochs: 27 },
    ]);
    expect(rungsOf({ ...budget, method: 'halving', trials: 5, maxEpochs: 10 })).toEqual([
      { keep: 5, epochs: 3 },
      { keep: 1, epochs: 10 },
    ]);
    expect(rungsOf({ ...budget, method: 'halving', trials: 2 })).toEqual([{ keep: 2, epochs: 27 }]);
    expect(rungsOf({ ...budget, method: 'halving', maxEpochs: 1 })).toEqual([
      { keep: 27, epochs: 1 },
    ]);
  });

  it('rank by score, those without one last, and equal ones in order', () => {
    expect(ranking([3, null, 1, 2, 1], false)).toEqual([2, 4, 3, 0, 1]);
    expect(ranking([3, null, 1, 2, 3], true)).toEqual([0, 4, 3, 2, 1]);
    expect(ranking([null, null], true)).toEqual([0, 1]);
  });
});
