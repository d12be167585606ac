import { layers, sequential } from '../../../lib';
import { expectClose, expectNumberClose } from '../close';
import type { Vector } from '../vectors';

/** The loss of label sequences, over logits that come out of an embedding step by step. */
export async function ctc(vector: Vector<{ blank: number }>): Promise<void> {
  const { blank } = vector.fields;
  const prediction = vector.floats('prediction');
  const [batch, steps, classes] = prediction.shape as [number, number, number];
  const table = layers.embedding({ name: 'steps', inputDim: batch * steps, units: classes });
  using model = sequential([table]);
  const rows = { data: prediction.data, shape: [batch * steps, classes] };
  model.setWeights({ 'steps.weight': rows });
  const x = {
    data: Int32Array.from({ length: batch * steps }, (_value, i) => i),
    shape: [batch, steps],
  };
  const lengths = vector.integers('lengths').data;
  const target = vector.integers('target');
  const loss = { kind: 'ctc', blank } as const;

  const result = await model.gradients(x, target, { loss, lengths });
  const value = vector.floats('value').data[0]!;
  expectNumberClose(result.loss, value, 'value');
  const golden = vector.floats('grad.prediction');
  const { data } = result.parameters['steps.weight']!;
  expectClose({ data, shape: golden.shape }, golden, 'grad.prediction');
  expectNumberClose((await model.evaluate(x, target, { loss, lengths })).loss, value, 'evaluate()');

  const each = vector.floats('rows').data;
  for (let i = 0; i < batch; i++) {
    // One sample counts alone, and the mean is over all of them.
    const sampleWeights = Float32Array.from(each, (_value, j) => (i === j ? batch : 0));
    const scores = await model.evaluate(x, target, { loss, lengths, sampleWeights });
    expectNumberClose(scores.loss, each[i]!, `row ${i}`);
  }
}
