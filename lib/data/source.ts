/** Where a call's data comes from: arrays, windows over a text, or a stream of batches. */
import { guardNative, wrongKind, wrongValue } from '../errors';
import type { LossTargets } from '../losses';
import type { ModelCore } from '../model-core';
import { addon } from '../native';
import type { NativeDataset } from '../native';
import { keepTargets } from '../scoring/targets';
import type { KeptTargets } from '../scoring/targets';
import { isRecord } from '../validate';
import { isBatchStream, readBatch } from './batches';
import type { BatchStream } from './batches';
import { prepareArrays } from './prepare';
import type { PreparedData, SampleArrays } from './prepare';
import { WindowDataset } from './window-dataset';

/** Data as a call gives it. */
export type Source =
  | { kind: 'arrays'; arrays: SampleArrays }
  | { kind: 'windows'; windows: WindowDataset }
  | { kind: 'stream'; stream: BatchStream };

/** Arrays that calls take among their options. */
interface ArrayOptions {
  lengths?: unknown;
  mask?: unknown;
  sampleWeights?: unknown;
}

const ARRAY_OPTIONS = ['lengths', 'mask', 'sampleWeights'] as const;

/** Tells the kinds of data apart. */
export function readSource(x: unknown, y: unknown, options: ArrayOptions): Source {
  const windows = x instanceof WindowDataset;
  if (windows || isBatchStream(x)) {
    for (const name of ARRAY_OPTIONS) {
      if (options[name] !== undefined) {
        throw wrongKind('nothing beside a dataset or a stream', name, options[name]);
      }
    }
    return windows ? { kind: 'windows', windows: x } : { kind: 'stream', stream: x };
  }
  const { lengths, mask, sampleWeights } = options;
  return { kind: 'arrays', arrays: { x, y, lengths, mask, sampleWeights } };
}

/** Whether the first argument of a call brings its own targets. */
readSource.takesNoTargets = (x: unknown): boolean => x instanceof WindowDataset;

/** Validation data: [x, y], { x, y, … }, windows or a stream. */
export function readValidation(value: unknown): Source {
  if (value instanceof WindowDataset || isBatchStream(value)) {
    return readSource(value, undefined, {});
  }
  if (Array.isArray(value) && value.length === 2) return readSource(value[0], value[1], {});
  if (isRecord(value) && 'x' in value && 'y' in value) {
    const { x, y, ...rest } = readBatch(value);
    return readSource(x, y, rest);
  }
  throw wrongKind('[x, y], { x, y }, windows or a stream of batches', 'validationData', value);
}

/** Data that was copied to the core. */
export interface OpenData {
  native: NativeDataset;
  samples: number;
  steps: number;
  moreSteps: Readonly<Record<string, number>> | undefined;
  lanes: number | undefined;
  /** If they were asked for. */
  targets: KeptTargets | undefined;
  dispose(): void;
}

function prepare(
  core: ModelCore,
  source: Exclude<Source, { kind: 'stream' }>,
  targets: readonly LossTargets[] | undefined,
): PreparedData {
  if (source.kind === 'arrays') return prepareArrays(source.arrays, core.dataShape, targets);
  const { inputs, outputs } = core.dataShape;
  const [wanted] = targets ?? [];
  const aligned = wanted?.labels === true && wanted.blank === undefined;
  const single = inputs.length === 1 && outputs.length === 1;
  const [input, output] = [inputs[0]!.shape, outputs[0]!.shape];
  // On the axis of the windows themselves: a layer that makes steps makes others.
  const stepwise = output.timed && output.axis === input.axis;
  if (!single || !input.tokens || !stepwise || !aligned) {
    throw wrongValue(
      'arrays',
      'data',
      source.windows,
      'windows of a text need a model that begins with an embedding, gives an output for each step (returnSequences: true) and learns with sparseCategoricalCrossentropy',
    );
  }
  return source.windows.prepare();
}

/**
 * Copies data to the core; dispose it when done.
 *
 * @param targets what the loss compares with, or undefined for predictions
 * @param keep also keep a copy of the targets, for metrics
 * @throws TypeError, RangeError, OstinatoError for data that does not fit the model
 */
export function openData(
  core: ModelCore,
  source: Exclude<Source, { kind: 'stream' }>,
  targets: readonly LossTargets[] | undefined,
  keep = false,
): OpenData {
  const prepared = prepare(core, source, targets);
  const { config, samples, steps, moreSteps, lanes } = prepared;
  const { native: model } = core;
  const native = guardNative(() => new (addon().Dataset)(config, model));
  const kept = keep ? keepTargets(config, prepared.targetLengths ?? config.lengths) : undefined;
  const dispose = (): void => native.dispose();
  return { native, samples, steps, moreSteps, lanes, targets: kept, dispose };
}
