/** Graphs of layers. */
import { input, layers, model } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';

/** Two inputs, two outputs, a shared LSTM and a residual connection. */
export async function graph(vector: Vector<{ units: number; classes: number }>): Promise<void> {
  const { units, classes } = vector.fields;
  const x = { a: vector.floats('a'), b: vector.floats('b') };
  const shape = [null, x.a.shape[2]!];
  const a = input({ shape, name: 'a' });
  const b = input({ shape, name: 'b' });
  const reader = layers.lstm({ name: 'reader', units, returnSequences: true });
  const readA = reader.apply(a);
  const readB = reader.apply(b);
  const both = layers.multiply().apply([readA, readB]);
  const mixed = layers.dense({ name: 'mix', units, activation: 'tanh' }).apply(both);
  const residual = layers.add().apply([both, mixed, readA]);
  const last = layers
    .concat()
    .apply([residual, readB].map((sequence) => layers.lastStep().apply(sequence)));
  const trend = layers.dense({ name: 'trend', units: 1 }).apply(last);
  const label = layers.dense({ name: 'label', units: classes }).apply(residual);
  using made = model({ inputs: [a, b], outputs: { trend, label } });
  const names = vector.names.filter((name) => name.startsWith('param.'));
  made.setWeights(
    Object.fromEntries(names.map((name) => [name.slice('param.'.length), vector.floats(name)])),
  );
  const wanted = { trend: vector.floats('trend'), label: vector.floats('label') };
  const { outputs } = await made.predict(x);
  const outputGradient = { trend: vector.floats('dtrend'), label: vector.floats('dlabel') };
  const result = await made.gradients(x, null, { outputGradient });
  for (const name of ['trend', 'label'] as const) {
    expectClose(outputs![name], wanted[name], name);
    expectClose(result.outputs![name], wanted[name], `${name} of gradients()`);
  }
  for (const name of ['a', 'b']) {
    expectClose(result.inputs![name], vector.floats(`grad.${name}`), `grad.${name}`);
  }
  for (const name of names) {
    const got = result.parameters[name.slice('param.'.length)]!;
    expectClose(got, vector.floats(`grad.${name}`), `grad.${name}`);
  }
}
