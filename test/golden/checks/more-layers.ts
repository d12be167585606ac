/** The layers that stand between recurrent ones. */
import { layers, optimizers, sequential } from '../../../lib';
import type { Model } from '../../../lib';
import { expectAllClose, expectClose } from '../close';
import type { Vector } from '../vectors';
import { rowLayer } from './layers';

/** An RMS norm, on rows and on steps. */
export async function rmsNorm(vector: Vector<{ epsilon: number }>): Promise<void> {
  const { epsilon } = vector.fields;
  await rowLayer(vector, layers.rmsNorm({ name: 'layer', epsilon }), ['weight']);
}

/** A gated linear unit, with a product and without. */
export async function glu(
  vector: Vector<{ units: number | null; useBias: boolean }>,
): Promise<void> {
  const { units, useBias } = vector.fields;
  const parameters = units === null ? [] : useBias ? ['weight', 'bias'] : ['weight'];
  const layer = layers.glu({ name: 'layer', useBias, ...(units === null ? {} : { units }) });
  await rowLayer(vector, layer, parameters);
}

/** A highway layer with the names of two linear modules. */
export async function highway(vector: Vector<{ activation: 'tanh' | 'gelu' }>): Promise<void> {
  const { activation } = vector.fields;
  const parameters = ['h.weight', 'h.bias', 't.weight', 't.bias'];
  await rowLayer(vector, layers.highway({ name: 'layer', activation }), parameters);
}

/** The output for ragged rows and the gradient of the input; what a layer has beside them is returned. */
async function expectRagged(model: Model, vector: Pick<Vector, 'floats' | 'integers'>) {
  const x = vector.floats('x');
  const lengths = vector.integers('lengths').data;
  const y = vector.floats('y');
  expectClose(await model.predict(x, { lengths }), y, 'y');
  const outputGradient = vector.floats('dy');
  const result = await model.gradients(x, null, { lengths, outputGradient });
  expectClose(result.output, y, 'y of gradients()');
  expectClose(result.input, vector.floats('grad.x'), 'grad.x');
  return { lengths, y, result };
}

/** The mean or the maximum over each row's own steps. */
export async function pooling(vector: Vector<{ pooling: 'average' | 'max' }>): Promise<void> {
  const x = vector.floats('x');
  const options = { inputFeatures: x.shape[2]! };
  using model = sequential([
    vector.fields.pooling === 'max'
      ? layers.globalMaxPooling1d(options)
      : layers.globalAveragePooling1d(options),
  ]);
  await expectRagged(model, vector);
}

/** Windows of each row's own steps. */
export async function pooling1d(
  vector: Vector<{ pooling: 'average' | 'max'; poolSize: number; strides: number }>,
): Promise<void> {
  const { pooling: kind, poolSize, strides } = vector.fields;
  const x = vector.floats('x');
  const make = kind === 'max' ? layers.maxPooling1d : layers.averagePooling1d;
  using model = sequential([make({ inputFeatures: x.shape[2]!, poolSize, strides })]);
  await expectRagged(model, vector);
}

interface ConvFields {
  filters: number | null;
  kernelSize: number;
  dilation: number;
  activation: 'linear' | 'tanh' | 'silu';
}

/** Causal convolutions of ragged rows, dense and depthwise, at once and step by step. */
export async function conv1d(vector: Vector<ConvFields>): Promise<void> {
  const { filters, ...rest } = vector.fields;
  const x = vector.floats('x');
  const [batch, steps, features] = x.shape as [number, number, number];
  const options = { name: 'conv', inputFeatures: features, ...pick(rest) };
  using model = sequential([
    filters === null ? layers.depthwiseConv1d(options) : layers.conv1d({ ...options, filters }),
  ]);
  const parameters = ['weight', 'bias'];
  model.setWeights(Object.fromEntries(parameters.map((p) => [`conv.${p}`, vector.floats(p)])));
  const { lengths, y, result } = await expectRagged(model, vector);
  for (const p of parameters) {
    expectClose(result.parameters[`conv.${p}`], vector.floats(`grad.${p}`), `grad.${p}`);
  }
  using session = model.session({ streams: batch });
  const width = y.shape[2]!;
  for (let t = 0; t < steps; t++) {
    const rows = Array.from({ length: batch }, (_value, b) => [
      ...x.data.subarray((b * steps + t) * features, (b * steps + t + 1) * features),
    ]);
    const out = session.stepSync(Float32Array.from(rows.flat()));
    lengths.forEach((length, b) => {
      if (t >= length) return;
      const at = (b * steps + t) * width;
      const golden = { data: y.data.subarray(at, at + width) };
      expectClose({ data: out.subarray(b * width, (b + 1) * width) }, golden, `step ${t} of ${b}`);
    });
  }
}

/** The options of a convolution among the fields of a case. */
function pick({ kernelSize, dilation, activation }: Omit<ConvFields, 'filters'>) {
  return { kernelSize, dilation, activation };
}

/** Names of a linear module and a batch norm, and what they are called here. */
const MODULES = { '0': 'linear', '1': 'norm' } as const;

/**
 * Training by SGD through a batch norm, its running statistics, and inference by them. What is ragged
 * has a convolution of one step for the linear module: that brings a time axis.
 */
export async function batchNorm(
  vector: Vector<{ epsilon: number; momentum: number }>,
): Promise<void> {
  const { epsilon, momentum } = vector.fields;
  const [x, target] = [vector.floats('x'), vector.floats('target')];
  const timed = x.shape.length === 3;
  const size = { name: 'linear', inputFeatures: x.shape.at(-1)! };
  const units = target.shape.at(-1)!;
  using model = sequential([
    timed
      ? layers.conv1d({ ...size, filters: units, kernelSize: 1 })
      : layers.dense({ ...size, units }),
    layers.batchNorm({ name: 'norm', epsilon, momentum }),
  ]);
  const named = (prefix: string) =>
    Object.fromEntries(
      Object.entries(MODULES).flatMap(([module, name]) =>
        ['weight', 'bias'].map((parameter) => {
          const tensor = vector.floats(`${prefix}.${module}.${parameter}`);
          const kernel = timed && tensor.shape.length === 2;
          const shape = kernel ? [...tensor.shape, 1] : tensor.shape;
          return [`${name}.${parameter}`, { ...tensor, shape }];
        }),
      ),
    );
  model.setWeights(named('before'));
  const lengths = timed ? { lengths: vector.integers('lengths').data } : {};
  const { loss } = await model.fit(x, target, {
    ...lengths,
    epochs: 3,
    batchSize: x.shape[0]!,
    loss: 'meanSquaredError',
    optimizer: optimizers.sgd({ learningRate: 0.1 }),
  });
  expectClose({ data: loss }, vector.floats('losses'), 'losses');
  const statistics = {
    'norm.running_mean': vector.floats('running_mean'),
    'norm.running_var': vector.floats('running_var'),
  };
  expectAllClose(model.getWeights(), { ...named('after'), ...statistics }, 'after');
  const y = vector.floats('y');
  expectClose(await model.predict(x, lengths), y, 'y');
  const outputGradient = vector.floats('dy');
  const result = await model.gradients(x, null, { ...lengths, outputGradient });
  expectClose(result.output, y, 'y of gradients()');
  expectClose(result.input, vector.floats('grad.x'), 'grad.x');
  expectAllClose(result.parameters, named('grad'), 'grad');
}
