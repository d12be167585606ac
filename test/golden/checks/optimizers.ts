import { layers, optimizers, sequential } from '../../../lib';
import type { BatchEvent, Model } from '../../../lib';
import { expectAllClose, expectClose, expectNumberClose } from '../close';
import type { Tensor, Vector } from '../vectors';

type Optimizer = ReturnType<(typeof optimizers)['sgd']>;
type Tensors = Record<string, Tensor>;

/**
 * A model that can be given any gradient. It is one dense layer over the unit vectors and, at the
 * end, the zero vector: row i is the only one that touches column i of the weights, and the zero
 * vector touches the bias alone. The mean squared error's gradient of an output y with target t is
 * 2 (y - t) / n, so for a wanted gradient the target is set from the present output.
 *
 * Golden tensors of several dimensions lie one after another in the weights and the others in the
 * bias, because that is what the optimisers and the norm tell apart. What is left of the weights
 * has no gradient.
 */
class Trainee implements Disposable {
  readonly #model: Model;
  readonly #shapes: [string, number[]][];
  readonly #units: number;
  readonly #inputs: number;
  readonly #x: Tensor;

  constructor(initial: Tensors) {
    this.#shapes = Object.entries(initial).map(([name, { shape }]) => [name, shape]);
    const size = (wanted: boolean) =>
      Object.values(initial)
        .filter(({ shape }) => shape.length > 1 === wanted)
        .reduce((sum, { data }) => sum + data.length, 0);
    this.#units = size(false);
    this.#inputs = Math.ceil(size(true) / this.#units);
    const x = new Float32Array((this.#inputs + 1) * this.#inputs);
    for (let i = 0; i < this.#inputs; i++) x[i * this.#inputs + i] = 1;
    this.#x = { data: x, shape: [this.#inputs + 1, this.#inputs] };
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

  /** The layer's parameters as golden tensors. */
  get tensors(): Tensors {
    const weights = this.#model.getWeights();
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
    const [units, inputs] = [this.#units, this.#inputs];
    const wanted = this.#pack(gradient);
    const target = Float64Array.from(this.#model.predictSync(this.#x).data);
    const half = target.length / 2;
    for (let unit = 0; unit < units; unit++) {
      let rest = wanted['layer.bias'].data[unit]!;
      for (let i = 0; i < inputs; i++) {
        const value = wanted['layer.weight'].data[unit * inputs + i]!;
        target[i * units + unit]! -= value * half;
        rest -= value;
      }
      target[inputs * units + unit]! -= rest * half;
    }
    const y = { data: target, shape: [inputs + 1, units] };
    const loss = 'meanSquaredError';
    const { parameters } = await this.#model.gradients(this.#x, y, loss);
    for (const [name, golden] of Object.entries(wanted)) {
      expectClose(parameters[name], golden, `gradient of ${name}`, 1e-6);
    }
    const events: BatchEvent[] = [];
    const options = { loss, optimizer, batchSize: inputs + 1, shuffle: false } as const;
    await this.#model.fit(this.#x, y, { ...options, onBatch: (event) => events.push(event) });
    expect(events).toHaveLength(1);
    return events[0]!;
  }

  [Symbol.dispose](): void {
    this.#model.dispose();
  }
}

interface OptimizerFields {
  optimizer: 'sgd' | 'rmsprop' | 'adam' | 'adamw';
  options: Record<string, number & boolean>;
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
  const made = optimizers[fields.optimizer](fields.options);
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
    expect(event.step).toBe(step);
    if (!fields.stored.includes(step + 1)) continue;
    expectAllClose(trainee.tensors, vector.group(`after${step + 1}`), `after ${step + 1}`);
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
    Object.entries(trainee.tensors).map(([name, { data, shape }]) => [
      name,
      { data: data.map((value) => -value), shape },
    ]),
  );
  expectAllClose(clipped, vector.group('clipped'), 'clipped');
}
