import { logGamma, negativeBinomial, normal, studentT } from '../../lib/measures/distributions';

/** Values of SciPy 1.17; scores by integrating (summing) (F(x) - 1[x >= y])² over all x. */
describe('distributions', () => {
  test('the logarithm of the gamma function', () => {
    expect(logGamma(0.3)).toBeCloseTo(1.0957979948180756, 12);
    expect(logGamma(7.7)).toBeCloseTo(7.926541356269006, 12);
    expect(logGamma(1)).toBeCloseTo(0, 12);
  });

  test.each([
    [
      2.5, 1, 2, 0.3, 0.3768463438858073, -2.4605018576143523, 8.149309684007363,
      0.6596465881987792,
    ],
    [4, -1, 0.5, 3, 0.9993380515453915, -1.7666031370294717, 0.3882225525988967, 3.633682424006941],
    [30, 0, 1, 0, 0.5, -1.3104150253913955, 2.0422724563012378, 0.2372482010552901],
  ])('Student-t of %d degrees', (freedom, location, scale, y, below, low, high, crps) => {
    const t = studentT(location, scale, freedom);
    expect(t.cdf(y)).toBeCloseTo(below, 12);
    expect(t.quantile(0.1)).toBeCloseTo(low, 9);
    expect(t.quantile(0.975)).toBeCloseTo(high, 9);
    expect(t.crps(y)).toBeCloseTo(crps, 10);
    expect(t.center).toBe(location);
  });

  test.each([
    [3, 0.5, 4, 0.76672, 0, 7, 0.9641331250000001],
    [20, 0.1, 11, 0.12478014017974658, 11, 30, 5.205056617540638],
    [0.5, 2, 0, 0.7071067811865476, 0, 2, 0.10237554590698808],
  ])('negative binomial of mean %d', (mean, dispersion, y, below, low, high, crps) => {
    const counts = negativeBinomial(mean, dispersion);
    expect(counts.cdf(y)).toBeCloseTo(below, 12);
    expect(counts.cdf(-0.5)).toBe(0);
    expect(counts.quantile(0.1)).toBe(low);
    expect(counts.quantile(0.9)).toBe(high);
    expect(counts.crps(y)).toBeCloseTo(crps, 10);
    // Between two outcomes it is convex; below all of them each step adds its length.
    expect(counts.crps(y + 0.5)).toBeLessThan((crps + counts.crps(y + 1)) / 2 + 1e-12);
    expect(counts.crps(-2)).toBeCloseTo(counts.crps(0) + 2, 10);
  });

  test('normal', () => {
    const d = normal(2, 3);
    expect(d.cdf(1)).toBeCloseTo(0.36944134018176367, 12);
    expect(d.quantile(0.05)).toBeCloseTo(-2.934560880854418, 9);
    expect(d.crps(1)).toBeCloseTo(0.8328479351511631, 10);
    expect(normal(2, 0).crps(5)).toBe(3);
    expect([normal(2, 0).quantile(0.3), normal(2, 0).cdf(1.9), normal(2, 0).cdf(2)]).toEqual([
      2, 0, 1,
    ]);
  });
});
