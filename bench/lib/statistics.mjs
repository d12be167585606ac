// Numbers about numbers.

/** The middle one, or the mean of the two in the middle. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Of positive numbers; NaN when there are none. */
export function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** { median_ms, min_ms, samples } */
export function summarise(times) {
  return { median_ms: median(times), min_ms: Math.min(...times), samples: times.length };
}
