/** From the arrays of a call to the one form of data that the core copies. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import type { LossTargets } from '../losses';
import type { NativeDatasetConfig, NativeInputData, NativeTargetData } from '../native';
import { axisName, dataAxes, dataAxis, lengthOn } from '../shapes';
import type { ValueShape } from '../shapes';
import { isRecord, rejectUnknown } from '../validate';
import { readLabelSequences } from './label-sequences';
import { cutToLengths, readRows } from './rows';
import type { Rows } from './rows';

/** An input as data must look like it. */
export interface InputShape {
  name: string;
  shape: ValueShape;
}

/** An output likewise. */
export interface OutputShape extends InputShape {
  /** For messages: which layer gives the output, or drops its time axis. */
  owner: string;
}

/** What a model's data must look like. */
export interface DataShape {
  inputs: readonly InputShape[];
  outputs: readonly OutputShape[];
}

/** Data for the core, and what the callers need to know of it. */
export interface PreparedData {
  config: NativeDatasetConfig;
  samples: number;
  /** Rows of the longest sample on the first time axis, padding included. */
  steps: number;
  /** Likewise of further time axes, by name. */
  moreSteps?: Readonly<Record<string, number>> | undefined;
  /** Steps that the targets of the first output have, where these are not `config.lengths`. */
  targetLengths?: Int32Array;
  /** Samples that continue those `lanes` before them, when there is such an order. */
  lanes: number | undefined;
}

/** Arrays that belong to one set of samples. */
export interface SampleArrays {
  x: unknown;
  y?: unknown;
  lengths?: unknown;
  mask?: unknown;
  sampleWeights?: unknown;
}

/** The `lengths` option by time axis: as it is where there is one, else by name. */
function lengthsByAxis(given: unknown, axes: readonly string[]): (axis: string) => unknown {
  if (given === undefined) return () => undefined;
  if (axes.length === 1) return () => given;
  if (!isRecord(given) || 'data' in given) {
    throw wrongKind(`lengths by time axis, { ${axes.join(', ')} },`, 'lengths', given);
  }
  rejectUnknown('lengths', Object.keys(given), axes);
  return (axis) => given[axis];
}

/** Rows of the sequences on a time axis, and where messages say that they come from. */
interface Leader {
  rows: Rows;
  label: string;
  /** The layer that gives all sequences one length, whatever the data has. */
  maker?: string;
}

/** Rows of targets, weights or masks must match those of their time axis, sample by sample. */
function checkAgainst(leader: Leader, rows: Rows, timed: boolean, name: string): void {
  checkSamples(leader, rows, name);
  if (!timed) return;
  const { lengths, steps } = leader.rows;
  for (let i = 0; i < rows.samples; i++) {
    const length = rows.lengths[i]!;
    if (length === lengths[i] || (length === steps && length >= lengths[i]!)) continue;
    throw wrongSteps(leader, i, name, length);
  }
}

function checkSamples({ rows: { samples }, label }: Leader, rows: Rows, name: string): void {
  if (rows.samples === samples) return;
  throw shapeMismatch(
    `Expected ${samples} samples for "${name}", as many as "${label}" has, but received ${rows.samples}`,
  );
}

function wrongSteps({ rows, label, maker }: Leader, i: number, name: string, got: number): Error {
  const why = maker === undefined ? `as "${label}[${i}]" has` : `as "${maker}" gives`;
  return shapeMismatch(
    `Expected ${rows.lengths[i]} steps for "${name}[${i}]", as many ${why}, but received ${got}`,
  );
}

function readTargets(
  given: unknown,
  { shape: output, owner }: OutputShape,
  wanted: LossTargets,
  name: string,
): Rows {
  try {
    return readRows(
      given,
      {
        timed: output.timed,
        features: wanted.labels ? undefined : (wanted.features ?? output.features),
        integers: wanted.labels,
      },
      name,
    );
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const shapeOfOutput = output.timed
      ? `one target for each step; for one a sequence leave returnSequences out of "${owner}"`
      : `one target for each sample; for one a step set returnSequences: true`;
    error.message += ` (the model's output has ${shapeOfOutput})`;
    throw error;
  }
}

/** Spreads per-target numbers over the storage of the targets. */
function alignToTargets(
  given: unknown,
  kind: 'mask' | 'sampleWeights',
  name: string,
  leader: Leader,
  targets: Rows,
  timed: boolean,
): Float32Array {
  const aligned = new Float32Array(targets.data.length / targets.features);
  const perSample = kind === 'sampleWeights' && timed && isFlat(given);
  const rows = readRows(given, { timed: timed && !perSample, features: 1, integers: false }, name);
  checkAgainst(leader, rows, timed && !perSample, name);
  for (let i = 0; i < rows.samples; i++) {
    const begin = targets.offsets[i]!;
    const count = timed ? leader.rows.lengths[i]! : 1;
    if (perSample) aligned.fill(rows.data[i]!, begin, begin + count);
    else aligned.set(rows.data.subarray(rows.offsets[i], rows.offsets[i]! + count), begin);
  }
  return aligned;
}

function isFlat(value: unknown): boolean {
  if (ArrayBuffer.isView(value)) return true;
  if (Array.isArray(value)) return typeof value[0] === 'number';
  return Array.isArray((value as { shape?: unknown }).shape)
    ? (value as { shape: unknown[] }).shape.length === 1
    : false;
}

function checkLeast({ data }: Rows, least: number, name: string): void {
  const at = data.findIndex((value) => value < least);
  if (at < 0) return;
  throw wrongValue(`numbers of ${least} or more`, `${name} (number ${at})`, data[at]);
}

function checkWeights(weights: Float32Array, name: string, maskOnly: boolean): void {
  weights.forEach((weight, i) => {
    if (maskOnly ? weight !== 0 && weight !== 1 : !(weight >= 0 && weight < Infinity)) {
      throw wrongValue(
        maskOnly ? '0 or 1' : 'a number of 0 or more',
        `${name} (number ${i})`,
        weight,
      );
    }
  });
}

/**
 * The values of a model's inputs or outputs: as they are where there is one, else by name or in
 * order.
 */
function perName(given: unknown, names: readonly string[], label: string): unknown[] {
  if (given === undefined) return names.map(() => undefined);
  if (names.length === 1) return [given];
  if (Array.isArray(given)) {
    if (given.length !== names.length) {
      throw wrongValue(`${names.length} arrays, for ${names.join(', ')},`, label, given);
    }
    return given;
  }
  if (!isRecord(given)) {
    throw wrongKind(`{ ${names.join(', ')} }, or an array of them in order,`, label, given);
  }
  rejectUnknown(label, Object.keys(given), names);
  return names.map((name) => given[name]);
}

interface Inputs {
  configs: NativeInputData[];
  /** Names of the time axes, in the core's order. */
  axes: readonly string[];
  /** By time axis: the first rows that have its lengths. */
  leaders: ReadonlyMap<string, Leader>;
}

function readInputs(given: unknown, inputs: readonly InputShape[], lengths: unknown): Inputs {
  const several = inputs.length > 1;
  const values = perName(
    given,
    inputs.map(({ name }) => name),
    'x',
  );
  const axes = dataAxes(inputs.map(({ shape }) => shape));
  const noSequence = !inputs.some(({ shape }) => shape.timed);
  if (noSequence && lengths !== undefined) {
    throw wrongKind('nothing for inputs without a time axis', 'lengths', lengths);
  }
  const lengthsOf = lengthsByAxis(lengths, axes);
  const leaders = new Map<string, Leader>();
  let first: Leader | undefined;
  const configs = inputs.map(({ name, shape }, i): NativeInputData => {
    const label = several ? `x.${name}` : 'x';
    if (several && values[i] === undefined) throw wrongKind('an array', label, values[i]);
    const { timed, features, tokens } = shape;
    const rows = readRows(values[i], { timed, features, integers: tokens }, label);
    first ??= { rows, label };
    if (timed || noSequence) {
      const axis = axisName(shape);
      const own = lengthsOf(axis);
      if (own !== undefined)
        cutToLengths(rows, own, axes.length > 1 ? `lengths.${axis}` : 'lengths');
      const leader = leaders.get(axis);
      checkSamples(leader ?? first, rows, label);
      if (leader === undefined) leaders.set(axis, { rows, label });
      else if (timed) checkSteps(leader, rows, label);
    } else {
      checkSamples(first, rows, label);
    }
    const config: NativeInputData = { features: rows.features, inputOffsets: rows.offsets };
    if (tokens) config.tokens = rows.data as Int32Array;
    else config.floats = rows.data as Float32Array;
    return config;
  });
  return { configs, axes, leaders };
}

/** What the targets of an output must follow: the rows of its time axis. */
function leaderOf({ shape, owner }: OutputShape, { axes, leaders }: Inputs): Leader {
  const first = leaders.get(axes[0]!)!;
  if (!shape.timed) return first;
  const own = leaders.get(axisName(shape));
  if (own !== undefined) return own;
  const { rows, label } = leaders.get(dataAxis(shape)) ?? first;
  const lengths = rows.lengths.map((length) => lengthOn(shape, length));
  return { rows: { ...rows, lengths, steps: lengthOn(shape, rows.steps) }, label, maker: owner };
}

function checkSteps(leader: Leader, rows: Rows, name: string): void {
  const wrong = rows.lengths.findIndex((length, i) => length !== leader.rows.lengths[i]);
  if (wrong >= 0) throw wrongSteps(leader, wrong, name, rows.lengths[wrong]!);
}

interface OutputArrays {
  y: unknown;
  mask: unknown;
  sampleWeights: unknown;
  /** How messages call mask and weights. */
  suffix: string;
}

function readOutput(
  arrays: OutputArrays,
  leader: Leader,
  output: OutputShape,
  targets: LossTargets | undefined,
): NativeTargetData {
  const { timed, features } = output.shape;
  const config: NativeTargetData = { targetFeatures: 1, targetTimed: timed };
  if (targets === undefined) return config;
  const { name = 'y', blank } = targets;
  if (arrays.y === undefined) {
    if (targets.optional === true) return config;
    throw wrongKind('targets', name, arrays.y);
  }
  const maskName = `mask${arrays.suffix}`;
  const weightsName = `sampleWeights${arrays.suffix}`;
  if (blank !== undefined && arrays.mask !== undefined) {
    throw wrongKind('nothing for label sequences', maskName, arrays.mask, 'set sampleWeights to 0');
  }
  const wanted =
    blank === undefined
      ? readTargets(arrays.y, output, targets, name)
      : readLabelSequences(arrays.y, leader.rows, features, blank, name);
  if (blank === undefined) checkAgainst(leader, wanted, timed, name);
  if (targets.min !== undefined) checkLeast(wanted, targets.min, name);
  if (targets.labels) config.labels = wanted.data as Int32Array;
  else config.targets = wanted.data as Float32Array;
  config.targetFeatures = wanted.features;
  config.targetOffsets = wanted.offsets;
  if (arrays.mask !== undefined) {
    config.mask = alignToTargets(arrays.mask, 'mask', maskName, leader, wanted, timed);
    checkWeights(config.mask, maskName, true);
  }
  if (arrays.sampleWeights !== undefined) {
    const given = arrays.sampleWeights;
    if (blank !== undefined && !isFlat(given)) {
      throw wrongKind('one number for each sample', weightsName, given);
    }
    config.weights = alignToTargets(given, 'sampleWeights', weightsName, leader, wanted, timed);
    checkWeights(config.weights, weightsName, false);
  }
  return config;
}

/**
 * Reads the arrays of one set of samples.
 *
 * @param targets what the loss of each output compares with, or undefined for predictions
 * @throws TypeError, RangeError for wrong kinds and values
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` where arrays disagree with the model or each other
 */
export function prepareArrays(
  arrays: SampleArrays,
  { inputs, outputs }: DataShape,
  targets: readonly LossTargets[] | undefined,
): PreparedData {
  const read = readInputs(arrays.x, inputs, arrays.lengths);
  const { configs, axes } = read;
  const [rows, ...moreRows] = axes.map((axis) => read.leaders.get(axis)!.rows);
  const names = outputs.map(({ name }) => name);
  const wanted = targets !== undefined;
  const y = wanted ? perName(arrays.y, names, 'y') : [];
  const mask = wanted ? perName(arrays.mask, names, 'mask') : [];
  const weights = wanted ? perName(arrays.sampleWeights, names, 'sampleWeights') : [];
  const all = outputs.map((output, i) => {
    const suffix = outputs.length > 1 ? `.${output.name}` : '';
    const own = { y: y[i], mask: mask[i], sampleWeights: weights[i], suffix };
    return readOutput(own, leaderOf(output, read), output, targets?.[i]);
  });
  const config: NativeDatasetConfig = {
    ...configs[0]!,
    ...all[0]!,
    lengths: rows!.lengths,
    moreLengths: moreRows.map(({ lengths, steps }) => ({ lengths, steps })),
    moreInputs: configs.slice(1),
    moreTargets: wanted ? all.slice(1) : [],
  };
  return {
    config,
    samples: rows!.samples,
    steps: rows!.steps,
    moreSteps:
      moreRows.length === 0
        ? undefined
        : Object.fromEntries(moreRows.map(({ steps }, i) => [axes[i + 1]!, steps])),
    targetLengths: leaderOf(outputs[0]!, read).rows.lengths,
    lanes: undefined,
  };
}
