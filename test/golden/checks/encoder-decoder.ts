/** Encoder–decoders. */
import { encoderDecoder } from '../../../lib';
import { expectClose, expectNumberClose } from '../close';
import type { Vector } from '../vectors';

interface Fields {
  cell: 'gru' | 'lstm';
  layers: number;
  units: number;
  vocab: number;
  tokens: number;
}

/** PyTorch's linear layer on the queries is what attention has as a weight. */
const nameOf = (name: string): string =>
  name === 'attention.weight' ? 'attention.weight_query' : name;

/** A bidirectional encoder, general attention, ragged sources and targets; loss and gradients. */
export async function encoderDecoderModel(vector: Vector<Fields>): Promise<void> {
  const { cell, layers, units, vocab, tokens } = vector.fields;
  using made = encoderDecoder({
    source: { vocab, embedding: 4 },
    target: { vocab: tokens, embedding: 3, startToken: tokens - 2, endToken: tokens - 1 },
    cell,
    layers,
    units,
    bidirectional: true,
    attention: 'general',
  });
  const { model } = made;
  const parameters = vector.group('param');
  const names = Object.keys(parameters);
  expect(names.map(nameOf).sort()).toEqual(Object.keys(model.getWeights()).sort());
  model.setWeights(
    Object.fromEntries(names.map((name) => [nameOf(name), parameters[name]!] as const)),
  );
  const x = { source: vector.integers('source'), target: vector.integers('target') };
  const lengths = {
    source: [...vector.integers('lengths').data],
    target: [...vector.integers('targetLengths').data],
  };
  const logits = vector.floats('logits');
  expectClose(await model.predict(x, { lengths }), logits, 'logits');
  const result = await model.gradients(x, vector.integers('label'), {
    loss: 'sparseCategoricalCrossentropy',
    lengths,
  });
  expectNumberClose(result.loss, vector.floats('loss').data[0]!, 'loss');
  for (const name of names) {
    const got = result.parameters[nameOf(name)];
    expectClose(got, vector.floats(`grad.param.${name}`), `grad.param.${name}`);
  }
}
