/** How a fit uses its samples: batches, carried state, and the share that is held out. */
import type { Identity } from './checkpoint/training-state';
import type { OpenData } from './data/source';
import { wrongKind, wrongValue } from './errors';

/** The options of `fit` that matter here. */
interface SplitOptions {
  batchSize?: number | undefined;
  stateful?: boolean | undefined;
  shuffle?: boolean | undefined;
  validationSplit: number;
}

/** Data in the core, and how its samples are used. */
export interface Split {
  data: OpenData;
  batchSize: number;
  carryState: boolean;
  shuffle: boolean;
  trainSamples: number;
}

/**
 * Decides how samples are used.
 *
 * @throws TypeError, RangeError for options that contradict the data or each other
 */
export function useSamples(data: OpenData, options: SplitOptions): Split {
  const { lanes, samples } = data;
  if (lanes !== undefined && options.batchSize !== undefined && options.batchSize !== lanes) {
    throw wrongValue(
      `${lanes}, the dataset's batchSize,`,
      'model.fit.batchSize',
      options.batchSize,
    );
  }
  if (lanes !== undefined && options.stateful === false) {
    throw wrongKind('true for a stateful dataset', 'model.fit.stateful', false);
  }
  const carryState = options.stateful ?? lanes !== undefined;
  const batchSize = lanes ?? options.batchSize ?? 32;
  if (carryState && options.shuffle === true) {
    throw wrongKind('false with carried state', 'model.fit.shuffle', true);
  }
  const unit = carryState ? batchSize : 1;
  if (carryState && samples % batchSize !== 0) {
    throw wrongValue(
      `a divisor of the ${samples} samples`,
      'model.fit.batchSize',
      batchSize,
      'carried state needs the same number of rows in every batch',
    );
  }
  let trainSamples = samples;
  if (options.validationSplit > 0) {
    const held = Math.max(1, Math.floor((samples / unit) * options.validationSplit)) * unit;
    trainSamples = samples - held;
    if (trainSamples === 0) {
      throw wrongValue(
        'a share that leaves samples to train on',
        'model.fit.validationSplit',
        options.validationSplit,
      );
    }
  }
  return {
    data,
    batchSize,
    carryState,
    shuffle: options.shuffle ?? !carryState,
    trainSamples,
  };
}

/** What of it has to be the same when a run goes on; a stream's batches are the user's. */
export function splitIdentity(split: Split | undefined, seed: number): Identity {
  if (split === undefined) return {};
  const { data, trainSamples, batchSize, carryState, shuffle } = split;
  return {
    samples: data.samples,
    trainSamples,
    steps: data.steps,
    ...(data.moreSteps === undefined ? {} : { moreSteps: { ...data.moreSteps } }),
    batchSize,
    stateful: carryState,
    shuffle,
    ...(shuffle ? { seed } : {}),
  };
}
