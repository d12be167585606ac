// The time that the machine's limits allow, from peaks measured in the same run.

const GATES = { elman: 1, gru: 3, lstm: 4 };
const FLOAT_BYTES = 4;

/**
 * Bytes a second at which threads read `bytes` that they share, over and over: by the measured curve
 * of working sets; beyond it, or without one, by the level that holds a thread's share.
 */
function bandwidth(peak, cacheBytes, bytes) {
  const share = bytes / peak.threads;
  const curve = peak.readCurve ?? [];
  const after = curve.findIndex((point) => point.bytes >= share);
  if (after === 0) return curve[0].GBs * 1e9;
  if (after > 0) {
    const [low, high] = [curve[after - 1], curve[after]];
    const place = Math.log(share / low.bytes) / Math.log(high.bytes / low.bytes);
    return low.GBs * (high.GBs / low.GBs) ** place * 1e9;
  }
  const level = ['L1', 'L2', 'L3'].find((name) => share <= (cacheBytes[name] ?? 0)) ?? 'DRAM';
  return peak.bandwidthGBs[level] * 1e9;
}

/** Rows alive at each step. */
function activeRows({ T, B }, lengths) {
  if (lengths === undefined) return new Array(T).fill(B);
  return Array.from({ length: T }, (_step, t) => lengths.filter((length) => length > t).length);
}

/**
 * The bound of a case in milliseconds. For each layer and direction, forward: the input projection
 * costs its operations at the peak of multiply-adds (or the reading of its weights, if that is
 * more), and each step the larger of the recurrent product's operations at that peak and the reading
 * of the recurrent weights at the rate of a working set of a thread's share. Backward is twice the
 * operations and reads the recurrent weights once more. Pointwise maths, packing and all other
 * traffic count as free: no implementation can reach 100 %.
 *
 * @param peak one of the probe's peaks, for the case's number of threads
 * @param lengths of the rows of a ragged case
 */
export function boundMs(it, peak, cacheBytes, lengths) {
  const flops = peak.fmaGflops * 1e9;
  const gates = GATES[it.cell];
  const directions = it.bidirectional ? 2 : 1;
  const active = activeRows(it, lengths);
  const rows = active.reduce((sum, count) => sum + count, 0);
  const trains = it.phase !== 'inference' && it.phase !== 'step' && it.phase !== 'predict';
  let seconds = 0;
  for (let layer = 0; layer < it.layers; ++layer) {
    const inputs = layer === 0 ? it.I : it.H * directions;
    const inputBytes = gates * it.H * inputs * FLOAT_BYTES;
    const recurrentBytes = gates * it.H * it.H * FLOAT_BYTES;
    const projection = Math.max(
      (2 * gates * it.H * inputs * rows) / flops,
      inputBytes / bandwidth(peak, cacheBytes, inputBytes + recurrentBytes),
    );
    // Many steps read the recurrent weights again and again; a single one reads both in turns.
    const again = it.T > 1 ? recurrentBytes : inputBytes + recurrentBytes;
    const reading = recurrentBytes / bandwidth(peak, cacheBytes, again);
    const step = (2 * gates * it.H * it.H) / flops;
    const recurrence = (factor) =>
      active.reduce((sum, count) => sum + Math.max(factor * step * count, count && reading), 0);
    const forward = projection + recurrence(1);
    // A whole model's first layer needs no gradient of its input.
    const products = it.phase === 'fit' && layer === 0 ? 1 : 2;
    const backward = trains ? products * projection + recurrence(2) : 0;
    seconds += directions * (forward + backward);
  }
  return seconds * 1e3;
}
