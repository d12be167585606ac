import { schedules } from '../../../lib';
import type { Schedule } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';

interface Fields {
  schedule:
    | 'constant'
    | 'step'
    | 'exponential'
    | 'cosine'
    | 'polynomial'
    | 'inverseSquareRoot'
    | 'warmRestarts'
    | 'oneCycle'
    | 'plateau';
  options: {
    base: number;
    factor: number;
    interval: number;
    warmup: number;
    total: number;
    minimum: number;
    power: number;
  };
}

function scheduleOf({ schedule, options }: Fields): Schedule {
  const { base: learningRate, factor, interval, warmup, total, minimum, ...rest } = options;
  const fall = { learningRate, totalSteps: total, warmupSteps: warmup, minimum };
  switch (schedule) {
    case 'constant':
      return schedules.constant(learningRate);
    case 'step':
      return schedules.step({ learningRate, every: interval, factor });
    case 'exponential':
      return schedules.exponential({ learningRate, decayRate: factor, decaySteps: interval });
    case 'cosine':
      return schedules.cosine(fall);
    case 'polynomial':
      return schedules.polynomial({ ...fall, power: rest.power });
    case 'inverseSquareRoot':
      return schedules.inverseSquareRoot({ learningRate, warmupSteps: warmup });
    case 'warmRestarts':
      return schedules.warmRestarts({
        learningRate,
        minimum,
        ...(rest as unknown as { period: number; periodFactor: number; peakFactor: number }),
      });
    case 'oneCycle':
      return schedules.oneCycle({ learningRate, totalSteps: total, ...(rest as object) });
    case 'plateau':
      throw new Error('A plateau is no function of the step');
  }
}

/** The rates of a schedule that follows the metric of the vector, one value a step. */
function followed(vector: Vector<Fields>): number[] {
  const { base: learningRate, ...options } = vector.fields.options as { base: number };
  const schedule = schedules.plateau({ learningRate, ...options });
  let state = schedule.start;
  return Array.from(vector.doubles('metric').data, (value) => {
    const { rate } = state;
    state = schedule.observe(state, 'loss', value);
    return rate;
  });
}

/** Learning rates step by step; both sides compute in double precision. */
export function schedule(vector: Vector<Fields>): Promise<void> {
  const golden = vector.doubles('values');
  const { fields } = vector;
  const rates = fields.schedule === 'plateau' ? undefined : scheduleOf(fields);
  const data =
    rates === undefined
      ? followed(vector)
      : Float64Array.from(golden.data, (_value, step) => rates(step));
  expectClose({ data }, golden, 'rates', 1e-14);
  const momentum = rates?.momentum;
  if (momentum !== undefined) {
    const momenta = vector.doubles('momenta');
    const moved = Float64Array.from(momenta.data, (_value, step) => momentum(step));
    expectClose({ data: moved }, momenta, 'momenta', 1e-14);
  }
  return Promise.resolve();
}
