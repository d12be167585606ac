/** What a metric that needs predictions is made of, and the batches that it is given. */
import type { Loss } from '../losses';
import type { KeptTargets } from './targets';

/** Adds up batches; a fresh one is made for each pass over data. */
export interface Scorer {
  add(batch: ScoredBatch): void;
  /** NaN where the data has nothing to compute it from. */
  result(): number | number[][];
}

/** Predictions of a batch beside their targets. */
export class ScoredBatch {
  readonly loss: Loss;
  /** [samples, features] or [samples, steps, features], padded. */
  readonly output: Float32Array;
  /** Numbers of an output row. */
  readonly features: number;
  /** Rows of the output that a sample takes. */
  readonly steps: number;
  readonly samples: Int32Array;
  readonly targets: KeptTargets;
  #rows: { output: Int32Array; target: Float64Array } | undefined;
  #classes: { predicted: Int32Array; wanted: Int32Array } | undefined;

  constructor(parts: {
    loss: Loss;
    output: Float32Array;
    features: number;
    steps: number;
    samples: Int32Array;
    targets: KeptTargets;
  }) {
    this.loss = parts.loss;
    this.output = parts.output;
    this.features = parts.features;
    this.steps = parts.steps;
    this.samples = parts.samples;
    this.targets = parts.targets;
  }

  /** Pairs of rows that count: their numbers in the output and in the targets. */
  get rows(): { output: Int32Array; target: Float64Array } {
    if (this.#rows !== undefined) return this.#rows;
    const { offsets, lengths, timed, mask } = this.targets;
    const output: number[] = [];
    const target: number[] = [];
    this.samples.forEach((sample, i) => {
      const count = timed ? lengths[sample]! : 1;
      for (let t = 0; t < count; t++) {
        const row = offsets[sample]! + t;
        if (mask !== undefined && mask[row] === 0) continue;
        output.push(i * this.steps + t);
        target.push(row);
      }
    });
    this.#rows = { output: Int32Array.from(output), target: Float64Array.from(target) };
    return this.#rows;
  }

  /** Of each pair of rows the most probable class and the right one; ties go to the first. */
  get classes(): { predicted: Int32Array; wanted: Int32Array } {
    if (this.#classes !== undefined) return this.#classes;
    const { rows, targets } = this;
    const { features, values } = targets;
    const labels = this.loss.targets.labels;
    this.#classes = {
      predicted: rows.output.map((row) => largest(this.output, row * this.features, this.features)),
      wanted: Int32Array.from(rows.target, (row) =>
        labels ? values[row]! : largest(values, row * features, features),
      ),
    };
    return this.#classes;
  }
}

function largest(values: ArrayLike<number>, from: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) {
    if (values[from + k]! > values[from + best]!) best = k;
  }
  return best;
}
