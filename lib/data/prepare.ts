/** From the arrays of a call to the one form of data that the core copies. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import type { LossTargets } from '../losses';
import type { NativeDatasetConfig, NativeInputData, NativeTargetData } from '../native';
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
  /** Rows of the longest sample, padding included. */
  steps: number;
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

function lengthsFrom(rows: Rows, given: unknown, timed: boolean): void {
  if (given === undefined) return;
  if (!timed) throw wrongKind('nothing for inputs without a time axis', 'lengths', given);
  cutToLengths(rows, given, 'lengths');
}

/** Rows of targets, weights or masks must match the inputs, sample by sample. */
function checkAgainst(input: Rows, rows: Rows, timed: boolean, name: string): void {
  if (rows.samples !== input.samples) {
    throw shapeMismatch(
      `Expected ${input.samples} samples for "${name}", as many as "x" has, but received ${rows.samples}`,
    );
  }
  if (!timed) return;
  for (let i = 0; i < rows.samples; i++) {
    const length = rows.lengths[i]!;
    if (length !== input.lengths[i] && (length !== input.steps || length < input.lengths[i]!)) {
      throw shapeMismatch(
        `Expected ${input.lengths[i]} steps for "${name}[${i}]", as many as "x[${i}]" has, but received ${length}`,
      );
    }
  }
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
  input: Rows,
  targets: Rows,
  timed: boolean,
): Float32Array {
  const aligned = new Float32Array(targets.data.length / targets.features);
  const perSample = kind === 'sampleWeights' && timed && isFlat(given);
  const rows = readRows(given, { timed: timed && !perSample, features: 1, integers: false }, name);
  checkAgainst(input, rows, timed && !perSample, name);
  for (let i = 0; i < rows.samples; i++) {
    const begin = targets.offsets[i]!;
    const count = timed ? input.lengths[i]! : 1;
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
  /** Those that decide on the lengths. */
  rows: Rows;
}

function readInputs(given: unknown, inputs: readonly InputShape[], lengths: unknown): Inputs {
  const several = inputs.length > 1;
  const values = perName(
    given,
    inputs.map(({ name }) => name),
    'x',
  );
  let leader: { rows: Rows; label: string; timed: boolean } | undefined;
  const configs = inputs.map(({ name, shape }, i): NativeInputData => {
    const label = several ? `x.${name}` : 'x';
    if (several && values[i] === undefined) throw wrongKind('an array', label, values[i]);
    const { timed, features, tokens } = shape;
    const rows = readRows(values[i], { timed, features, integers: tokens }, label);
    if (timed || !inputs.some((input) => input.shape.timed)) lengthsFrom(rows, lengths, timed);
    if (leader !== undefined) checkSamples(leader.rows, rows, label, leader.label);
    if (leader?.timed === true && timed) checkSteps(leader.rows, rows, label, leader.label);
    if (leader === undefined || (timed && !leader.timed)) leader = { rows, label, timed };
    const config: NativeInputData = { features: rows.features, inputOffsets: rows.offsets };
    if (tokens) config.tokens = rows.data as Int32Array;
    else config.floats = rows.data as Float32Array;
    return config;
  });
  return { configs, rows: leader!.rows };
}

function checkSamples(first: Rows, rows: Rows, label: string, firstLabel: string): void {
  if (rows.samples === first.samples) return;
  throw shapeMismatch(
    `Expected ${first.samples} samples for "${label}", as many as "${firstLabel}" has, but received ${rows.samples}`,
  );
}

function checkSteps(first: Rows, rows: Rows, label: string, firstLabel: string): void {
  for (let i = 0; i < rows.samples; i++) {
    if (rows.lengths[i] === first.lengths[i]) continue;
    throw shapeMismatch(
      `Expected ${first.lengths[i]} steps for "${label}[${i}]", as many as "${firstLabel}[${i}]" has, but received ${rows.lengths[i]}`,
    );
  }
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
  rows: Rows,
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
      : readLabelSequences(arrays.y, rows, features, blank, name);
  if (blank === undefined) checkAgainst(rows, wanted, timed, name);
  if (targets.min !== undefined) checkLeast(wanted, targets.min, name);
  if (targets.labels) config.labels = wanted.data as Int32Array;
  else config.targets = wanted.data as Float32Array;
  config.targetFeatures = wanted.features;
  config.targetOffsets = wanted.offsets;
  if (arrays.mask !== undefined) {
    config.mask = alignToTargets(arrays.mask, 'mask', maskName, rows, wanted, timed);
    checkWeights(config.mask, maskName, true);
  }
  if (arrays.sampleWeights !== undefined) {
    const given = arrays.sampleWeights;
    if (blank !== undefined && !isFlat(given)) {
      throw wrongKind('one number for each sample', weightsName, given);
    }
    config.weights = alignToTargets(given, 'sampleWeights', weightsName, rows, wanted, timed);
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
  const { configs, rows } = readInputs(arrays.x, inputs, arrays.lengths);
  const names = outputs.map(({ name }) => name);
  const wanted = targets !== undefined;
  const y = wanted ? perName(arrays.y, names, 'y') : [];
  const mask = wanted ? perName(arrays.mask, names, 'mask') : [];
  const weights = wanted ? perName(arrays.sampleWeights, names, 'sampleWeights') : [];
  const all = outputs.map((output, i) => {
    const suffix = outputs.length > 1 ? `.${output.name}` : '';
    const own = { y: y[i], mask: mask[i], sampleWeights: weights[i], suffix };
    return readOutput(own, rows, output, targets?.[i]);
  });
  const config: NativeDatasetConfig = {
    ...configs[0]!,
    ...all[0]!,
    lengths: rows.lengths,
    moreInputs: configs.slice(1),
    moreTargets: wanted ? all.slice(1) : [],
  };
  return { config, samples: rows.samples, steps: rows.steps, lanes: undefined };
}
