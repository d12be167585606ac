// What a driver's calls have taken, and what that tells about a larger case of the same kind.

const GATES = { elman: 1, gru: 3, lstm: 4 };

/** Steps of the time loop of one timed call, over layers and directions. */
export function stepsOf({ T, layers = 1, bidirectional = false, batches = 1 }) {
  return T * layers * (bidirectional ? 2 : 1) * batches;
}

/** Multiply-adds of a forward pass of one timed call. */
export function workOf({ cell, T, B, I, H, layers = 1, bidirectional = false, batches = 1 }) {
  const directions = bidirectional ? 2 : 1;
  const inputs = I + (layers - 1) * H * directions;
  return GATES[cell] * H * (inputs + layers * H) * directions * T * B * batches;
}

/** Calls are alike only with the same library, threads, cell and phase. */
const kindOf = (name, { cell, phase, threads }) => `${name} ${cell} ${phase} t${threads}`;

/** What a case's time grows with. */
const sizesOf = ({ T, B, I, H, layers = 1, bidirectional = false, batches = 1 }) => [
  ...[T, B, I, H, layers, batches],
  bidirectional ? 2 : 1,
];

export class CallHistory {
  #calls = new Map();

  /** A call of a driver on a case took `ms`, or would take it. */
  add(name, it, ms) {
    const kind = kindOf(name, it);
    const known = this.#calls.get(kind) ?? [];
    const call = { sizes: sizesOf(it), steps: stepsOf(it), work: workOf(it), ms };
    this.#calls.set(kind, [...known, call]);
  }

  /**
   * What a call would take at most, in ms, judged by the known calls: time grows no faster than the
   * steps or the work does, whichever grows more. Infinity without any.
   */
  atMost(name, it) {
    const steps = stepsOf(it);
    const work = workOf(it);
    const known = this.#calls.get(kindOf(name, it)) ?? [];
    return Math.min(
      ...known.map((call) => call.ms * Math.max(1, steps / call.steps, work / call.work)),
    );
  }

  /** What it would take at least: as long as any known call that is larger in nothing. */
  atLeast(name, it) {
    const sizes = sizesOf(it);
    const known = this.#calls.get(kindOf(name, it)) ?? [];
    const smaller = known.filter((call) => call.sizes.every((size, i) => size <= sizes[i]));
    return Math.max(0, ...smaller.map(({ ms }) => ms));
  }
}

const STEPS_CUT = 32;
const LONGEST_PROBE = 100;
const ROWS_CUT = 16;
/** A case so small that any library does it in no time. */
const SMALL_WORK = 2e7;
const SMALL_STEPS = 100;

export const isSmall = (it) => workOf(it) <= SMALL_WORK && stepsOf(it) <= SMALL_STEPS;

/**
 * A pair of cases like `it` with few steps and twice as many: time is a part that each call costs
 * (packing weights, their gradients) and a part for each step. With `fewRows` also fewer rows. An
 * empty list where there is nothing to cut.
 */
export function shorterCases(it, { fewRows = false } = {}) {
  const T = Math.min(LONGEST_PROBE, Math.max(2, Math.ceil(it.T / STEPS_CUT)));
  const B = fewRows ? Math.ceil(it.B / ROWS_CUT) : it.B;
  if (2 * T >= it.T || it.phase === 'text' || it.phase === 'step') return [];
  if (fewRows && B === it.B) return [];
  const batches = it.batches === undefined ? {} : { batches: 1 };
  return [T, 2 * T].map((steps) => ({
    ...{ ...it, T: steps, B, ...batches },
    id: `${it.id} (T = ${steps}, B = ${B})`,
  }));
}

/**
 * A call of `it`, in ms, when those of a pair of `shorterCases` took these. Rows are taken to cost in
 * full, which is too much where a call or a step has a cost of its own.
 */
export function scaledUp(it, [short, long], [shortMs, longMs]) {
  const perStep = Math.max(0, longMs - shortMs) / (long.T - short.T);
  const oneBatch = Math.max(shortMs, longMs) + perStep * (it.T - long.T);
  return (oneBatch * (it.batches ?? 1) * it.B) / short.B;
}
