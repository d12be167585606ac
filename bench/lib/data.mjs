// Weights and inputs of a case, the same for every driver.

const GATES = { elman: 1, gru: 3, lstm: 4 };

/** Steps of input that a `step` case goes through again and again. */
export const STREAM_STEPS = 8;

/** Uniform numbers in [0, 1) from a text: Mulberry32 over an FNV-1a hash. */
function randomOf(text) {
  let state = 0x811c9dc5;
  for (const character of text) {
    state = Math.imul(state ^ character.charCodeAt(0), 0x01000193) >>> 0;
  }
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lengths of a ragged case's rows: uniform in 1 … T, the longest T, in no order. */
export function lengthsOf(it) {
  const random = randomOf(`lengths ${it.T},${it.B}`);
  const lengths = Array.from({ length: it.B }, () => 1 + Math.floor(random() * it.T));
  lengths[Math.floor(random() * it.B)] = it.T;
  return lengths;
}

/**
 * Tensors { name: { data, shape } } of a case: parameters by PyTorch's names and shapes; `x`
 * [T, B, I] (step: [steps, B, I]; fit and predict: [samples, T, I]); `dy` [T, B, F] for training,
 * zero beyond a row's `lengths` [B]; fit: `target` [samples, outputs], `head.weight`, `head.bias`;
 * text: `tokens` [T - 1] alone.
 */
export function makeData(it) {
  const random = randomOf(it.id);
  const uniform = (shape, bound) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
    for (let i = 0; i < data.length; ++i) data[i] = (2 * random() - 1) * bound;
    return { shape, data };
  };
  const tensors = {};
  if (it.phase === 'text') {
    const data = Float32Array.from({ length: it.T - 1 }, () => Math.floor(random() * it.I));
    return { tokens: { shape: [data.length], data } };
  }
  const directions = it.bidirectional ? 2 : 1;
  const bound = 1 / Math.sqrt(it.H);
  const rows = GATES[it.cell] * it.H;
  for (let layer = 0; layer < it.layers; ++layer) {
    for (const suffix of ['', '_reverse'].slice(0, directions)) {
      const inputs = layer === 0 ? it.I : it.H * directions;
      tensors[`weight_ih_l${layer}${suffix}`] = uniform([rows, inputs], bound);
      tensors[`weight_hh_l${layer}${suffix}`] = uniform([rows, it.H], bound);
      if (it.phase === 'fit') continue; // without biases
      tensors[`bias_ih_l${layer}${suffix}`] = uniform([rows], bound);
      tensors[`bias_hh_l${layer}${suffix}`] = uniform([rows], bound);
    }
  }
  if (it.phase === 'fit') {
    const samples = it.B * it.batches;
    tensors.x = uniform([samples, it.T, it.I], 1);
    tensors.target = uniform([samples, it.outputs], 1);
    tensors['head.weight'] = uniform([it.outputs, it.H], bound);
    tensors['head.bias'] = uniform([it.outputs], bound);
  } else if (it.phase === 'predict') {
    tensors.x = uniform([it.B, it.T, it.I], 1);
  } else {
    tensors.x = uniform([it.phase === 'step' ? STREAM_STEPS : it.T, it.B, it.I], 1);
  }
  if (it.phase === 'training' || it.phase === 'ragged') {
    tensors.dy = uniform([it.T, it.B, it.H * directions], 1);
  }
  if (it.phase === 'ragged') {
    const lengths = lengthsOf(it);
    const features = it.H * directions;
    lengths.forEach((length, row) => {
      for (let t = length; t < it.T; ++t) {
        const begin = (t * it.B + row) * features;
        tensors.dy.data.fill(0, begin, begin + features);
      }
    });
    tensors.lengths = { shape: [it.B], data: Float32Array.from(lengths) };
  }
  return tensors;
}

/** The largest difference between two results, relative to the largest wanted value above 1. */
export function largestError(got, wanted) {
  let largest = { error: 0, name: '' };
  for (const [name, { data }] of Object.entries(wanted)) {
    const other = got[name]?.data;
    if (other === undefined) return { error: Infinity, name: `${name} is missing` };
    if (other.length !== data.length) {
      return { error: Infinity, name: `${name} has ${other.length} numbers, not ${data.length}` };
    }
    let scale = 1;
    for (const value of data) scale = Math.max(scale, Math.abs(value));
    let difference = 0;
    for (let i = 0; i < data.length; ++i) {
      const here = Math.abs(data[i] - other[i]);
      if (!(here <= difference)) difference = here;
    }
    // A NaN stays a NaN, and fails every comparison.
    if (!(difference / scale <= largest.error)) largest = { error: difference / scale, name };
  }
  return largest;
}
