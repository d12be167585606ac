/** Histograms in TensorBoard's buckets, whose widths grow by a tenth from one to the next. */

/** What TensorBoard's `HistogramProto` holds; `limits[i]` is the upper end of bucket i. */
export interface Histogram {
  min: number;
  max: number;
  /** Values counted. Those that are not finite are left out. */
  count: number;
  sum: number;
  sumOfSquares: number;
  limits: number[];
  counts: number[];
}

/** Upper ends of all buckets, ascending: ± 1e-12 · 1.1^k up to 1e20, 0, and the largest double. */
const LIMITS = ((): Float64Array => {
  const positive: number[] = [];
  for (let limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push(limit);
  const negative = positive.map((limit) => -limit).reverse();
  return Float64Array.of(-Number.MAX_VALUE, ...negative, 0, ...positive, Number.MAX_VALUE);
})();

/** The first bucket whose upper end is above the value. */
function bucketOf(value: number): number {
  let low = 0;
  let high = LIMITS.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (LIMITS[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Counts values; runs of empty buckets become one. */
export function histogramOf(values: Float32Array): Histogram {
  const all = new Float64Array(LIMITS.length);
  let [min, max, count, sum, sumOfSquares] = [Infinity, -Infinity, 0, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    count++;
    sum += value;
    sumOfSquares += value * value;
    all[bucketOf(value)]!++;
  }
  if (count === 0) [min, max] = [0, 0];
  const limits: number[] = [];
  const counts: number[] = [];
  all.forEach((n, i) => {
    // An empty bucket stays where a full one follows: it says where that one begins.
    if (n === 0 && !(all[i + 1]! > 0)) return;
    limits.push(LIMITS[i]!);
    counts.push(n);
  });
  if (limits.length === 0)
    return { ...{ min, max, count, sum, sumOfSquares }, limits: [Number.MAX_VALUE], counts: [0] };
  return { min, max, count, sum, sumOfSquares, limits, counts };
}
