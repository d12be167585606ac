import { schedules } from '../../../lib';
import type { Schedule } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';

interface Fields {
  schedule: 'constant' | 'step' | 'exponential' | 'cosine';
  options: {
    base: number;
    factor: number;
    interval: number;
    warmup: number;
    total: number;
    minimum: number;
  };
}

function scheduleOf({ schedule, options }: Fields): Schedule {
  const { base: learningRate, factor, interval, warmup, total, minimum } = options;
  switch (schedule) {
    case 'constant':
      return schedules.constant(learningRate);
    case 'step':
      return schedules.step({ learningRate, every: interval, factor });
    case 'exponential':
      return schedules.exponential({ learningRate, decayRate: factor, decaySteps: interval });
    case 'cosine':
      return schedules.cosine({
        learningRate,
        totalSteps: total,
        warmupSteps: warmup,
        minimum,
      });
  }
}

/** Learning rates step by step; both sides compute in double precision. */
export function schedule(vector: Vector<Fields>): Promise<void> {
  const golden = vector.doubles('values');
  const rates = scheduleOf(vector.fields);
  const data = Float64Array.from(golden.data, (_value, step) => rates(step));
  expectClose({ data }, golden, 'rates', 1e-14);
  return Promise.resolve();
}
