/** A pass over data that predicts, and gives metrics the predictions beside their targets. */
import { cutIntoBatches } from '../data/batches';
import type { OpenData } from '../data/source';
import type { ModelCore } from '../model-core';
import type { ModelLoss } from '../model-loss';
import type { NativeStates } from '../native';
import { stepsOf } from '../shapes';
import { ScoredBatch } from './scorer';
import type { Scorer } from './scorer';

/** States that a batch hands to the next one. */
export interface CarriedStates {
  states: NativeStates | null;
}

/** Most numbers of an output that are looked at at once: a few milliseconds of work. */
const PIECE = 2 ** 19;

/**
 * Predicts the given samples and adds them to the scorers.
 *
 * @param data opened with its targets kept
 * @param carried filled and used if batches continue each other
 */
export async function scoreSamples(
  core: ModelCore,
  data: OpenData,
  order: Int32Array,
  scorers: readonly Scorer[],
  options: {
    loss: ModelLoss;
    batchSize: number;
    carryState: boolean;
    signal: AbortSignal | undefined;
    threads: number;
  },
  carried: CarriedStates,
): Promise<void> {
  const { carryState, signal, threads } = options;
  const { loss } = options.loss.outputs[0]!;
  const { output } = core.last;
  const { features } = output;
  const steps = stepsOf(output, data);
  // Carried states bind rows to each other; others may be cut as it suits.
  const batchSize = carryState
    ? options.batchSize
    : Math.max(1, Math.min(options.batchSize, Math.floor(PIECE / (features * steps))));
  const { samples, sizes } = cutIntoBatches(order, batchSize);
  let at = 0;
  for (const size of sizes) {
    const part = samples.subarray(at, at + size);
    at += size;
    const initial = carryState ? carried.states : null;
    const { outputs, states } = await core.job(signal, (native, job) =>
      native.predict(data.native, part, data.steps, initial, {
        job,
        threads,
        wantStates: carryState,
      }),
    );
    if (carryState) carried.states = states;
    const targets = data.targets!;
    const batch = new ScoredBatch({
      loss,
      output: outputs[0]!,
      features,
      steps,
      samples: part,
      targets,
    });
    for (const scorer of scorers) scorer.add(batch);
  }
}
