import { layers, optimizers, schedules, sequential } from '../../../lib';
import type { BatchEvent, Model, Schedule } from '../../../lib';
import { expectAllClose, expectNumberClose } from '../close';
import type { Tensor, Vector } from '../vectors';

type Optimizer = ReturnType<(typeof optimizers)['sgd']>;
type Tensors = Record<string, Tensor>;

/** A row of the trainee's data: which output is off, and which input is 1. */
interface Row {
  unit?: number;
  input?: number;
  /** The input of the row before, whose part of the bias's gradient this row takes away. */
  cancels?: number;
}

/** Rows that reach each weight, then each bias, then as many idle ones as make a power of two. */
function rowsOf(units: number, inputs: number): Row[] {
  const rows: Row[] = [];
  for (let unit = 0; unit < units; unit++) {
    for (let input = 0; input < inputs; input++) {
      rows.push({ unit, input }, { unit, cancels: input });
    }
  }
  for (let unit = 0; unit < units; unit++) rows.push({ unit });
  const count = 2 ** Math.ceil(Math.log2(rows.length));
  return [...rows, ...Array.from({ length: count - rows.length }, () => ({}))];
}

/**
 * A model that can be given any gradient, to the last bit. It is one dense layer with the mean
 * absolute error, whose gradient of an output y with target t is sample weight · sign(y - t) / n,
 * whatever y is, and 0 for t = y. So a row of x moves one output alone (its target is off, the
 * others' are right) by as much as its weight says: the unit vector i reaches weight [unit, i] and
 * the bias, and the zero vector takes it away from the bias again. Divisors are powers of two.
 *
 * Golden tensors of several dimensions lie one after another in the weights and the others in the
 * bias, because that is what the optimisers tell apart. What is left of the weights has no
 * gradient.
 */
class Trainee implements Disposable {
  readonly #model: Model;
  readonly #shapes: [string, number[]][];
  readonly #units: number;
  readonly #inputs: number;
  readonly #rows: Row[];
  readonly #x: Tensor;

  constructor(initial: Tensors) {
    this.#shapes = Object.entries(initial).map(([name, { shape }]) => [name, shape]);
    const size = (wanted: boolean) =>
      Object.values(initial)
        .filter(({ shape }) => shape.length > 1 === wanted)
        .reduce((sum, { data }) => sum + data.length, 0);
    this.#units = size(false);
    this.#inputs = Math.ceil(size(true) / this.#units);
    this.#rows = rowsOf(this.#units, this.#inputs);
    const x = new Float32Array(this.#rows.length * this.#inputs);
    this.#rows.forEach(({ input }, row) => {
      if (input !== undefined) x[row * this.#inputs + input] = 1;
    });
    this.#x = { data: x, shape: [this.#rows.length, this.#inputs] };
    const layer = { name: 'layer', units: this.#units, inputFeatures: this.#inputs };
    this.#model = sequential([layers.dense(layer)]);
    this.#model.setWeights(this.#pack(initial));
  }

  /** Golden tensors as the layer's parameters. */
  #pack(tensors: Tensors) {
    const weight = new Float32Array(this.#units * this.#inputs);
    const bias = new Float32Array(this.#units);
    const used = { weight: 0, bias: 0 };
    for (const [name, shape] of this.#shapes) {
      const { data } = tensors[name]!;
      const to = shape.length > 1 ? 'weight' : 'bias';
      (to === 'weight' ? weight : bias).set(data, used[to]);
      used[to] += data.length;
    }
    return {
      'layer.weight': { data: weight, shape: [this.#units, this.#inputs] },
      'layer.bias': { data: bias, shape: [this.#units] },
    };
  }

  /** The layer's parameters, or their averages, as golden tensors. */
  tensors(averaged = false): Tensors {
    const weights = this.#model.getWeights({ averaged });
    const weight = weights['layer.weight']!.data;
    const bias = weights['layer.bias']!.data;
    const used = { weight: 0, bias: 0 };
    const tensors = Object.fromEntries(
      this.#shapes.map(([name, shape]) => {
        const from = shape.length > 1 ? 'weight' : 'bias';
        const length = shape.reduce((product, size) => product * size, 1);
        const data = (from === 'weight' ? weight : bias).slice(used[from], used[from] + length);
        used[from] += length;
        return [name, { data, shape }];
      }),
    );
    expect(weight.subarray(used.weight).every((value) => value === 0)).toBe(true);
    return tensors;
  }

  /** One update with that gradient. */
  async step(gradient: Tensors, optimizer: Optimizer): Promise<BatchEvent> {
    const [units, inputs, rows] = [this.#units, this.#inputs, this.#rows];
    const wanted = this.#pack(gradient);
    const target = this.#model.predictSync(this.#x).data;
    const factors = rows.map(({ unit, input, cancels }, row) => {
      if (unit === undefined) return 0;
      const value =
        input === undefined && cancels === undefined
          ? wanted['layer.bias'].data[unit]!
          : wanted['layer.weight'].data[unit * inputs + (input ?? cancels)!]!;
      target[row * units + unit]! -= Math.sign(value) * (cancels === undefined ? 1 : -1);
      return Math.abs(value) * rows.length * units;
    });
    const y = { data: target, shape: [rows.length, units] };
    const loss = 'meanAbsoluteError';
    const { parameters } = await this.#model.gradients(this.#x, y, {
      loss,
      sampleWeights: factors,
    });
    expectAllClose(parameters, wanted, 'the gradient that was asked for', 0);
    const events: BatchEvent[] = [];
    await this.#model.fit(this.#x, y, {
      loss,
      sampleWeights: factors,
      optimizer,
      batchSize: rows.length,
      shuffle: false,
      onBatch: (event) => events.push(event),
    });
    expect(events).toHaveLength(1);
    return events[0]!;
  }

  [Symbol.dispose](): void {
    this.#model.dispose();
  }
}

type OneCycle = Parameters<typeof schedules.oneCycle>[0];

interface OptimizerFields {
  optimizer: 'sgd' | 'rmsprop' | 'adam' | 'adamw' | 'adagrad' | 'nadam' | 'radam' | 'lion';
  options: Record<string, number & boolean> & { oneCycle?: Partial<OneCycle> };
  steps: number;
  stored: number[];
  decayed?: string[];
}

/** Parameters along a run of updates with given gradients, by one optimiser over many fits. */
export async function optimizer(vector: Vector<OptimizerFields>): Promise<void> {
  const { fields } = vector;
  const initial = vector.group('initial');
  const all = vector.group('grad');
  const matrices = Object.keys(initial).filter((name) => initial[name]!.shape.length > 1);
  expect(fields.decayed ?? matrices).toEqual(matrices);
  const { oneCycle, ...options } = fields.options;
  const learningRate: number | Schedule =
    oneCycle === undefined
      ? options['learningRate']!
      : schedules.oneCycle({
          learningRate: options['learningRate']!,
          totalSteps: fields.steps,
          cycleMomentum: true,
          ...oneCycle,
        });
  const made = optimizers[fields.optimizer]({ ...options, learningRate });
  using trainee = new Trainee(initial);
  for (let step = 0; step < fields.steps; step++) {
    const gradient = Object.fromEntries(
      Object.entries(all).map(([name, { data, shape }]) => {
        const size = data.length / fields.steps;
        const part = data.slice(step * size, (step + 1) * size);
        return [name, { data: part, shape: shape.slice(1) }];
      }),
    );
    const event = await trainee.step(gradient, made);
    expect(event.step).toBe(Math.floor(step / (fields.options['accumulateSteps'] ?? 1)));
    if (!fields.stored.includes(step + 1)) continue;
    expectAllClose(trainee.tensors(), vector.group(`after${step + 1}`), `after ${step + 1}`);
    const average = vector.group(`average${step + 1}`);
    if (Object.keys(average).length === 0) continue;
    expectAllClose(trainee.tensors(true), average, `average after ${step + 1}`);
  }
}

/** Clipped gradients, as plain gradient descent by 1 from 0 shows them, and the norm before. */
export async function clipping(
  vector: Vector<{ options: { clipNorm?: number; clipValue?: number } }>,
): Promise<void> {
  const gradient = vector.group('grad');
  const zeros = Object.fromEntries(
    Object.entries(gradient).map(([name, { data, shape }]) => [
      name,
      { data: new Float32Array(data.length), shape },
    ]),
  );
  using trainee = new Trainee(zeros);
  const descent = optimizers.sgd({ learningRate: 1, ...vector.fields.options });
  const event = await trainee.step(gradient, descent);
  expectNumberClose(event.gradientNorm, vector.floats('norm').data[0]!, 'norm');
  const clipped = Object.fromEntries(
    Object.entries(trainee.tensors()).map(([name, { data, shape }]) => [
      name,
      { data: data.map((value) => -value), shape },
    ]),
  );
  expectAllClose(clipped, vector.group('clipped'), 'clipped');
}
