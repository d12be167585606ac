// What is measured: plain data. Legend: T steps, B batch rows, I inputs, H units.
//
// A case is { id, cell, phase, T, B, I, H, layers, bidirectional, threads, group, quick } and, for
// `fit`, { batches, learningRate, outputs }. Phases:
//
//   inference  the layer forward, [T, B, I] to [T, B, H]
//   training   forward and backward: gradients of the input, weights and biases, weights packed anew
//              as after an update, no optimiser
//   ragged     training with lengths uniform in 1 … T, unsorted
//   step       one step of B streams that carry their states
//   predict    inference through the public API: batch-first arrays in, a fresh array out
//   fit        a training step of a whole model: layer, its last step, dense, MSE, Adam; the layer has
//              no biases, because Adam moves a pair of them twice as far as the single one that some
//              libraries have, and then the trained weights could not be compared
//   text       a training step of a whole model on one sequence of T - 1 characters out of I, and a mark
//              of its start: embedding, layer, softmax over characters and the mark, RMSprop

export const CELLS = ['elman', 'lstm', 'gru'];
export const PHASES = ['inference', 'training', 'ragged', 'step', 'predict', 'fit', 'text'];

const shape = (T, B, I, H) => ({ T, B, I, H });

/** The ten shapes on which libraries of recurrent layers are compared throughout. */
export const SHAPES = [
  shape(100, 1, 64, 64),
  shape(100, 1, 256, 256),
  shape(100, 1, 512, 512),
  shape(100, 1, 1024, 1024),
  shape(64, 16, 128, 128),
  shape(64, 32, 128, 128),
  shape(64, 64, 256, 256),
  shape(50, 64, 512, 512),
  shape(32, 128, 1024, 1024),
  shape(1000, 32, 16, 64),
];

const QUICK_SHAPES = [shape(100, 1, 256, 256), shape(64, 32, 128, 128), shape(64, 64, 256, 256)];
const STACKED_SHAPES = [shape(100, 1, 256, 256), shape(64, 32, 128, 128), shape(50, 64, 512, 512)];
const FIT_SHAPES = [shape(20, 8, 16, 32), shape(64, 32, 128, 128), shape(64, 64, 256, 256)];
const PREDICT_SHAPES = [shape(100, 1, 64, 64), shape(64, 16, 128, 128), shape(64, 64, 256, 256)];
const STEP_UNITS = [64, 256, 512, 1024];
const T_LADDER = [100, 1000, 10_000, 100_000].map((T) => shape(T, 1, 64, 64));
const B_LADDER = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((B) => shape(64, B, 128, 128));
const H_LADDER = [16, 32, 64, 128, 256, 512, 1024, 2048].map((H) => shape(32, 16, H, H));

const isIn = (shapes, { T, B, I, H }) =>
  shapes.some((it) => it.T === T && it.B === B && it.I === I && it.H === H);

/** `lstm/training/64,32,128,128/t2`, with `/x2` for two layers and `/bi` for two directions. */
export function caseId({ cell, phase, T, B, I, H, layers, bidirectional, threads }) {
  const topology = (layers > 1 ? `/x${layers}` : '') + (bidirectional ? '/bi' : '');
  return `${cell}/${phase}/${T},${B},${I},${H}/t${threads}${topology}`;
}

function makeCase(fields) {
  const it = { layers: 1, bidirectional: false, threads: 2, quick: false, ...fields };
  return { id: caseId(it), ...it };
}

/** Training steps of one timed epoch: enough that starting and ending it does not count. */
const fitBatches = ({ H }) => (H <= 64 ? 64 : H <= 128 ? 16 : 6);

function fitFields(it) {
  return { batches: fitBatches(it), learningRate: 1e-3, outputs: Math.min(it.I, 16) };
}

/** "The quick brown fox jumps over the lazy dog" has 43 characters out of 27. */
const TEXT_SHAPE = shape(44, 1, 27, 64);
const textFields = { batches: 16, learningRate: 0.01 };

function* product(...lists) {
  if (lists.length === 0) {
    yield [];
    return;
  }
  for (const head of lists[0]) for (const tail of product(...lists.slice(1))) yield [head, ...tail];
}

function* generate() {
  for (const [phase, it, cell] of product(['inference', 'training'], SHAPES, CELLS)) {
    yield { cell, phase, ...it, group: 'shapes', quick: isIn(QUICK_SHAPES, it) };
    yield { cell, phase, ...it, group: 'threads', threads: 1 };
  }
  for (const [it, cell] of product(
    SHAPES.filter(({ B }) => B > 1),
    CELLS,
  )) {
    const quick = isIn([shape(64, 32, 128, 128)], it);
    yield { cell, phase: 'ragged', ...it, group: 'ragged', quick };
  }
  for (const [phase, it, cell] of product(['inference', 'training'], STACKED_SHAPES, CELLS)) {
    yield { cell, phase, ...it, group: 'stacked', layers: 2 };
    yield { cell, phase, ...it, group: 'bidirectional', bidirectional: true };
  }
  for (const [H, cell] of product(STEP_UNITS, CELLS)) {
    const quick = H === 256;
    yield { cell, phase: 'step', ...shape(1, 1, H, H), group: 'step', threads: 1, quick };
  }
  for (const [it, cell] of product(PREDICT_SHAPES, CELLS)) {
    yield { cell, phase: 'predict', ...it, group: 'predict' };
  }
  for (const [it, cell] of product(FIT_SHAPES, CELLS)) {
    const quick = cell === 'lstm' && it.H <= 128;
    yield { cell, phase: 'fit', ...it, ...fitFields(it), group: 'fit', quick };
  }
  yield {
    ...{ cell: 'lstm', phase: 'text', ...TEXT_SHAPE, ...textFields },
    ...{ group: 'text', threads: 1, quick: true },
  };
  const ladders = [
    ['T', T_LADDER],
    ['B', B_LADDER],
    ['H', H_LADDER],
  ];
  for (const [[letter, shapes], phase] of product(ladders, ['inference', 'training'])) {
    for (const [it, cell] of product(shapes, phase === 'training' ? CELLS : ['lstm'])) {
      yield { cell, phase, ...it, group: `ladder-${letter}` };
    }
  }
}

/**
 * All cases, each once: a shape of a ladder may be one of the ten too. `groups` are all that it
 * belongs to.
 */
export function allCases() {
  const cases = new Map();
  for (const { group, ...fields } of generate()) {
    const it = makeCase(fields);
    const known = cases.get(it.id) ?? { ...it, groups: [] };
    known.groups.push(group);
    known.quick ||= it.quick;
    cases.set(it.id, known);
  }
  return [...cases.values()];
}

/** Whether `pattern` (`*` stands for anything; else a part of the id) names the case or a group of it. */
function matches(it, pattern) {
  if (it.groups.includes(pattern)) return true;
  const text = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(pattern.includes('*') ? `^${text}$` : text).test(it.id);
}

const SHAPE_PATTERN =
  /^(?<cell>\w+)\/(?<phase>\w+)\/(?<T>\d+),(?<B>\d+),(?<I>\d+),(?<H>\d+)(\/t(?<threads>\d+))?(\/x(?<layers>\d+))?(?<bidirectional>\/bi)?$/;

/** A case that is not in the list, from an id of its own; undefined when the text is none. */
export function parseCase(id) {
  const found = SHAPE_PATTERN.exec(id)?.groups;
  if (!found || !CELLS.includes(found.cell) || !PHASES.includes(found.phase)) return undefined;
  const numbers = Object.fromEntries(['T', 'B', 'I', 'H'].map((key) => [key, Number(found[key])]));
  const it = makeCase({
    cell: found.cell,
    phase: found.phase,
    ...numbers,
    threads: Number(found.threads ?? 2),
    layers: Number(found.layers ?? 1),
    bidirectional: found.bidirectional !== undefined,
  });
  const extras = { fit: fitFields(it), text: textFields }[it.phase];
  return { ...it, ...extras, groups: ['given'] };
}

/** `shapes,threads` names two; `lstm/training/64,32,96,96/t2` and `64,32,128,128` name one thing. */
const separate = (pattern) =>
  /^[a-z][\w-]*(,[a-z][\w-]*)+$/i.test(pattern) ? pattern.split(',') : [pattern];

/** The cases that the command line asks for. Throws when a pattern names none. */
export function selectCases({ patterns, quick, threads }) {
  const candidates = allCases().filter(
    (it) => (!quick || it.quick) && (threads === undefined || threads.includes(it.threads)),
  );
  if (patterns === undefined) return candidates;
  if (patterns.length === 1 && patterns[0] === 'none') return [];
  const chosen = new Set();
  for (const pattern of patterns.flatMap(separate)) {
    const given = parseCase(pattern);
    const exact = candidates.find(({ id }) => id === given?.id) ?? given;
    const found = exact ? [exact] : candidates.filter((it) => matches(it, pattern));
    if (found.length === 0) {
      throw new RangeError(
        `Expected a case, a group, a pattern or <cell>/<phase>/T,B,I,H/t<threads> for "--cases" ` +
          `but received "${pattern}"; --list shows what there is`,
      );
    }
    found.forEach((it) => chosen.add(it));
  }
  return [...chosen];
}
