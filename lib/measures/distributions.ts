/** Distributions that forecasts are made of: distribution functions, quantiles, and scores. */

/** A distribution of one number. */
export interface Distribution {
  /** What stands for it as a single number: its mean, or the location of a Student-t. */
  readonly center: number;
  /** P(X ≤ x). */
  cdf(x: number): number;
  /** The least x with P(X ≤ x) ≥ level, for a level above 0 and below 1. */
  quantile(level: number): number;
  /** The continuous ranked probability score of an outcome, in its unit. */
  crps(outcome: number): number;
}

// The error function: its series where that converges fast, else the continued fraction of its
// complement (Abramowitz and Stegun 7.1.5, 7.1.14).
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = size;
  for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}

/** ln Γ(x) for x > 0: Stirling's series (Abramowitz and Stegun 6.1.40), lifted to x ≥ 10. */
export function logGamma(x: number): number {
  let [at, lift] = [x, 0];
  for (; at < 10; at++) lift += Math.log(at);
  const square = at * at;
  const series =
    (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) /
    at;
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - lift;
}

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);

// The regularised incomplete beta function by its continued fraction (DLMF 8.17.22), which is
// evaluated from the front (Lentz 1976).
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const tiny = 1e-300;
  let c = 1;
  // Below the mean the first denominator is positive.
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    for (const part of [even, odd]) {
      d = 1 + part * d;
      c = 1 + part / c;
      if (Math.abs(d) < tiny) d = tiny;
      if (Math.abs(c) < tiny) c = tiny;
      d = 1 / d;
      fraction *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return (fraction * Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b))) / a;
}

/** Where an increasing function reaches a level, by bisection from a bracket that is widened. */
function invert(cdf: (x: number) => number, level: number, around: number, scale: number): number {
  let [low, high, width] = [around - scale, around + scale, scale];
  for (; cdf(low) > level; width *= 2) low -= width;
  for (width = scale; cdf(high) < level; width *= 2) high += width;
  for (let i = 0; i < 200 && high - low > 1e-12 * (Math.abs(low) + Math.abs(high) + scale); i++) {
    const middle = (low + high) / 2;
    if (cdf(middle) < level) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** A normal distribution; the score in closed form (Gneiting and Raftery 2007). */
export function normal(mean: number, deviation: number): Distribution {
  const cdf = (x: number): number =>
    deviation === 0 ? Number(x >= mean) : (1 + erf((x - mean) / (deviation * Math.SQRT2))) / 2;
  return {
    center: mean,
    cdf,
    quantile: (level) => (deviation === 0 ? mean : invert(cdf, level, mean, deviation)),
    crps(outcome) {
      if (deviation === 0) return Math.abs(outcome - mean);
      const z = (outcome - mean) / deviation;
      const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
      return deviation * (z * erf(z / Math.SQRT2) + 2 * density - 1 / Math.sqrt(Math.PI));
    },
  };
}

/**
 * A Student-t distribution of more than one degree of freedom; the score in closed form (Jordan,
 * Krüger and Lerch 2019, appendix A).
 */
export function studentT(location: number, scale: number, freedom: number): Distribution {
  const standard = (z: number): number => {
    const tail = incompleteBeta(freedom / (freedom + z * z), freedom / 2, 0.5) / 2;
    return z > 0 ? 1 - tail : tail;
  };
  const cdf = (x: number): number => standard((x - location) / scale);
  return {
    center: location,
    cdf,
    quantile: (level) => invert(cdf, level, location, scale),
    crps(outcome) {
      const z = (outcome - location) / scale;
      const density = Math.exp(
        (-(freedom + 1) / 2) * Math.log1p((z * z) / freedom) -
          Math.log(freedom) / 2 -
          logBeta(0.5, freedom / 2),
      );
      const spread =
        ((2 * Math.sqrt(freedom)) / (freedom - 1)) *
        Math.exp(logBeta(0.5, freedom - 0.5) - 2 * logBeta(0.5, freedom / 2));
      const part = (2 * density * (freedom + z * z)) / (freedom - 1);
      return scale * (z * (2 * standard(z) - 1) + part - spread);
    },
  };
}

/**
 * A negative binomial distribution with mean m and variance m + dispersion · m². The score is the
 * integral of (F(x) - 1[x ≥ outcome])², F being constant between whole numbers.
 */
export function negativeBinomial(mean: number, dispersion: number): Distribution {
  const size = 1 / dispersion;
  const probability = size / (size + mean);
  // P(X ≤ k) = I_p(r, k + 1): DLMF 8.17.24.
  const cdf = (x: number): number =>
    x < 0 ? 0 : incompleteBeta(probability, size, Math.floor(x) + 1);
  const deviation = Math.sqrt(mean + dispersion * mean * mean);
  return {
    center: mean,
    cdf,
    quantile(level) {
      let [low, high] = [-1, Math.ceil(mean + deviation)];
      while (cdf(high) < level) high *= 2;
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (cdf(middle) < level) low = middle;
        else high = middle;
      }
      return high;
    },
    crps(outcome) {
      let score = Math.max(0, -outcome);
      for (let k = 0, below = 0; below < 1 - 1e-12 || k < outcome; k++) {
        below = cdf(k);
        const before = Math.min(1, Math.max(0, outcome - k));
        score += before * below ** 2 + (1 - before) * (1 - below) ** 2;
      }
      return score;
    },
  };
}

/** Twice the mean pinball loss of quantiles at the given levels: it tends to the score. */
export function quantileScore(
  outcome: number,
  quantiles: ArrayLike<number>,
  levels: ArrayLike<number>,
): number {
  let sum = 0;
  for (let i = 0; i < levels.length; i++) {
    sum += (outcome - quantiles[i]!) * (levels[i]! - Number(outcome < quantiles[i]!));
  }
  return (2 * sum) / levels.length;
}
