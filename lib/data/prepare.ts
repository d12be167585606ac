/** From the arrays of a call to the one form of data that the core copies. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import type { LossTargets } from '../losses';
import type { NativeDatasetConfig } from '../native';
import type { ValueShape } from '../shapes';
import { readLabelSequences } from './label-sequences';
import { cutToLengths, readRows } from './rows';
import type { Rows } from './rows';

/** What a model's data must look like. */
export interface DataShape {
  input: ValueShape;
  output: ValueShape;
  /** For messages: which layer gives the output, and whether it drops the time axis itself. */
  outputName: string;
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

function readTargets(given: unknown, shape: DataShape, wanted: LossTargets, name: string): Rows {
  const { output, outputName } = shape;
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
      ? `one target for each step; for one a sequence leave returnSequences out of "${outputName}"`
      : `one target for each sample; for one a step set returnSequences: true`;
    error.message += ` (the model's output has ${shapeOfOutput})`;
    throw error;
  }
}

/** Spreads per-target numbers over the storage of the targets. */
function alignToTargets(
  given: unknown,
  name: string,
  input: Rows,
  targets: Rows,
  timed: boolean,
): Float32Array {
  const aligned = new Float32Array(targets.data.length / targets.features);
  const perSample = name === 'sampleWeights' && timed && isFlat(given);
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
 * Reads the arrays of one set of samples.
 *
 * @param targets what the loss compares with, or undefined for predictions
 * @throws TypeError, RangeError for wrong kinds and values
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` where arrays disagree with the model or each other
 */
export function prepareArrays(
  arrays: SampleArrays,
  shape: DataShape,
  targets: LossTargets | undefined,
): PreparedData {
  const { input, output } = shape;
  const rows = readRows(
    arrays.x,
    { timed: input.timed, features: input.features, integers: input.tokens },
    'x',
  );
  lengthsFrom(rows, arrays.lengths, input.timed);
  const config: NativeDatasetConfig = {
    features: rows.features,
    inputOffsets: rows.offsets,
    lengths: rows.lengths,
    targetFeatures: 1,
    targetTimed: output.timed,
  };
  if (input.tokens) config.tokens = rows.data as Int32Array;
  else config.floats = rows.data as Float32Array;
  if (targets !== undefined) {
    const { name = 'y' } = targets;
    if (arrays.y === undefined) {
      throw wrongKind('targets', name, arrays.y);
    }
    const { blank } = targets;
    if (blank !== undefined && arrays.mask !== undefined) {
      throw wrongKind('nothing for label sequences', 'mask', arrays.mask, 'set sampleWeights to 0');
    }
    const wanted =
      blank === undefined
        ? readTargets(arrays.y, shape, targets, name)
        : readLabelSequences(arrays.y, rows, output.features, blank, name);
    if (blank === undefined) checkAgainst(rows, wanted, output.timed, name);
    if (targets.min !== undefined) checkLeast(wanted, targets.min, name);
    if (targets.labels) config.labels = wanted.data as Int32Array;
    else config.targets = wanted.data as Float32Array;
    config.targetFeatures = wanted.features;
    config.targetOffsets = wanted.offsets;
    if (arrays.mask !== undefined) {
      config.mask = alignToTargets(arrays.mask, 'mask', rows, wanted, output.timed);
      checkWeights(config.mask, 'mask', true);
    }
    if (arrays.sampleWeights !== undefined) {
      if (blank !== undefined && !isFlat(arrays.sampleWeights)) {
        throw wrongKind('one number for each sample', 'sampleWeights', arrays.sampleWeights);
      }
      config.weights = alignToTargets(
        arrays.sampleWeights,
        'sampleWeights',
        rows,
        wanted,
        output.timed,
      );
      checkWeights(config.weights, 'sampleWeights', false);
    }
  }
  return { config, samples: rows.samples, steps: rows.steps, lanes: undefined };
}
