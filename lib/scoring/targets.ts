/** Copies of targets, kept for metrics that compare them with predictions. */
import type { NativeDatasetConfig } from '../native';

/** The targets of a dataset, by rows: one a sample, or one a step. */
export interface KeptTargets {
  /** Class ids, or `features` numbers a row. */
  values: Int32Array | Float32Array;
  features: number;
  /** The first row of each sample. */
  offsets: Float64Array;
  /** Steps of each sample. */
  lengths: Int32Array;
  /** Whether a sample has a row for each of its steps. */
  timed: boolean;
  /** By row: 0 for those that do not count. Undefined: all count. */
  mask: Float32Array | undefined;
}

/**
 * Copies what the core is about to copy, too: the arrays may be the caller's.
 *
 * @param lengths of the output's sequences
 */
export function keepTargets(config: NativeDatasetConfig, lengths: Int32Array): KeptTargets {
  const values = config.targetsAreInputs === true ? config.tokens : config.labels;
  return {
    values: (values ?? config.targets!).slice(),
    features: config.targetFeatures,
    offsets: config.targetOffsets!.slice(),
    lengths: lengths.slice(),
    timed: config.targetTimed,
    mask: config.mask?.slice(),
  };
}
