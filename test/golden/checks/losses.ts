import { layers } from '../../../lib';
import type { Layer, LossName, LossOptions } from '../../../lib';
import { expectClose, expectNumberClose } from '../close';
import type { Tensor, Vector } from '../vectors';
import { rowModel } from './rows';

interface Fields {
  loss: LossName;
  fromLogits?: boolean;
}

const OPTIONS = ['delta', 'labelSmoothing', 'classWeights', 'gamma', 'quantiles'] as const;

/** The loss with its options, as the public API takes it. */
function lossOf(fields: Fields): LossOptions {
  const given = fields as unknown as LossOptions;
  const own = OPTIONS.filter((name) => given[name] !== undefined);
  return { kind: fields.loss, ...Object.fromEntries(own.map((name) => [name, given[name]])) };
}

/** The layer that makes probabilities of logits, or none. */
function squash({ loss, fromLogits }: Fields): Layer[] {
  if (fromLogits !== false) return [];
  const activation = loss === 'binaryCrossentropy' ? 'sigmoid' : 'softmax';
  return [layers.activation({ activation })];
}

/** One row of a tensor whose rows are its last axis, or its last axes' single numbers. */
function rowOf<T extends Float32Array | Int32Array | Uint8Array>(
  { data }: { data: T },
  row: number,
  rows: number,
): T {
  const size = data.length / rows;
  return data.slice(row * size, (row + 1) * size) as T;
}

/** The value and the gradient of a loss over predictions that a model passes on. */
export async function loss(vector: Vector<Fields>): Promise<void> {
  const { fields } = vector;
  const sparse = fields.loss.startsWith('sparse');
  const prediction = vector.floats('prediction');
  const probabilities = fields.fromLogits === false;
  using rows = rowModel(probabilities ? vector.floats('logits') : prediction, ...squash(fields));
  const target = sparse ? vector.integers('target') : vector.floats('target');
  const options = {
    loss: lossOf(fields),
    ...(fields.fromLogits === undefined ? {} : { fromLogits: fields.fromLogits }),
  };
  const factors = {
    ...(vector.has('mask') ? { mask: vector.integers('mask') } : {}),
    ...(vector.has('weights') ? { sampleWeights: vector.floats('weights') } : {}),
  };
  const value = vector.floats('value').data[0]!;

  const result = await rows.model.gradients(rows.x, target, { ...options, ...factors });
  expectClose(result.output, prediction, 'prediction');
  expectNumberClose(result.loss, value, 'value');
  const scores = await rows.model.evaluate(rows.x, target, { ...options, ...factors });
  expectNumberClose(scores.loss, value, 'value of evaluate()');

  const gradient = vector.floats('grad.prediction');
  if (probabilities) {
    // The loss's own gradient does not leave the model; what the squashing makes of it does.
    const logits = vector.floats('grad.logits');
    expectClose(rows.inputGradient(result), logits, 'grad.logits');
    const passed = await rows.model.gradients(rows.x, null, { outputGradient: gradient });
    expectClose(rows.inputGradient(passed), logits, 'grad.prediction, passed on to the logits');
  } else {
    expectClose(rows.inputGradient(result), gradient, 'grad.prediction');
  }
  await eachRow(vector, target, sparse);
}

/** Losses of the rows one by one, without mask and weights. */
async function eachRow(
  vector: Vector<Fields>,
  target: Tensor | Tensor<Int32Array | Uint8Array>,
  sparse: boolean,
): Promise<void> {
  const golden = vector.floats('rows').data;
  const input = vector.floats(vector.has('logits') ? 'logits' : 'prediction');
  const features = input.shape.at(-1)!;
  const options = { loss: lossOf(vector.fields) };
  using one = rowModel(
    { data: input.data, shape: [golden.length, features] },
    ...squash(vector.fields),
  );
  for (let row = 0; row < golden.length; row++) {
    const x = { data: rowOf(input, row, golden.length), shape: [1, features] };
    const data = rowOf(target as { data: Float32Array }, row, golden.length);
    const y = { data, shape: sparse ? [1] : [1, data.length] };
    const scores = await one.model.evaluate(x, y, options);
    expectNumberClose(scores.loss, golden[row]!, `row ${row}`);
  }
}
