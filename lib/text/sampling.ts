/** Choosing one of many by their scores. */

/** How the next id is chosen. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the most probable. */
  temperature: number;
  /** Only the k most probable; 0: all. */
  topK: number;
  /** Only the fewest whose probabilities sum to p, after `topK`; 1: all (Holtzman et al. 2020). */
  topP: number;
}

function argMax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/**
 * Draws an index.
 *
 * @param logits logarithms of weights; need not be normalised
 * @param random a number in [0, 1)
 */
export function sample(
  logits: Float32Array,
  { temperature, topK, topP }: SamplingOptions,
  random: number,
): number {
  if (temperature === 0) return argMax(logits);
  const highest = logits[argMax(logits)]!;
  let ids = Array.from(logits.keys());
  let weights = ids.map((id) => Math.exp((logits[id]! - highest) / temperature));
  if (topK > 0 || topP < 1) {
    // Ties keep the order of ids, so that results do not depend on the sort.
    ids.sort((a, b) => weights[b]! - weights[a]! || a - b);
    if (topK > 0) ids = ids.slice(0, topK);
    const kept = ids.map((id) => weights[id]!);
    const enough = topP * kept.reduce((sum, weight) => sum + weight, 0);
    let count = 0;
    for (let sum = 0; count < kept.length && (count === 0 || sum < enough); count++) {
      sum += kept[count]!;
    }
    ids = ids.slice(0, count);
    weights = kept.slice(0, count);
  }
  let left = random * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < ids.length; i++) {
    left -= weights[i]!;
    if (left < 0) return ids[i]!;
  }
  return ids[argMax(Float32Array.from(weights))]!;
}
