import type { NativeDatasetConfig } from '../native';
import type { PreparedData } from './prepare';

/**
 * Windows over one text: sample i reads tokens from `offsets[i]` on, and its targets are the
 * tokens one place further. The windows share the text, so they cost a few bytes each. Made by
 * `text.windows`.
 */
export class WindowDataset {
  /** Number of windows. */
  readonly samples: number;
  /** Predicted tokens over all windows. */
  readonly tokens: number;
  /** Steps of the longest window. */
  readonly length: number;
  /**
   * Lanes of a stateful dataset: window i continues window i - batchSize, and training carries the
   * states over. Undefined when the windows are independent.
   */
  readonly batchSize: number | undefined;
  readonly #text: Int32Array;
  readonly #offsets: Float64Array;
  readonly #lengths: Int32Array;

  /** @internal */
  constructor(
    text: Int32Array,
    offsets: Float64Array,
    lengths: Int32Array,
    batchSize: number | undefined,
  ) {
    this.samples = offsets.length;
    this.tokens = lengths.reduce((sum, length) => sum + length, 0);
    this.length = lengths.reduce((longest, length) => Math.max(longest, length), 0);
    this.batchSize = batchSize;
    this.#text = text;
    this.#offsets = offsets;
    this.#lengths = lengths;
  }

  /** Whether training carries states from window to window. */
  get stateful(): boolean {
    return this.batchSize !== undefined;
  }

  /** @internal The form that the core copies. */
  prepare(): PreparedData {
    const config: NativeDatasetConfig = {
      tokens: this.#text,
      features: 1,
      inputOffsets: this.#offsets,
      lengths: this.#lengths,
      targetsAreInputs: true,
      targetFeatures: 1,
      targetTimed: true,
      moreInputs: [],
      moreTargets: [],
      targetOffsets: this.#offsets.map((offset) => offset + 1),
    };
    return { config, samples: this.samples, steps: this.length, lanes: this.batchSize };
  }
}
