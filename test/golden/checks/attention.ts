/** Attention layers. */
import { input, layers, model } from '../../../lib';
import type { ModelData } from '../../../lib';
import { expectClose } from '../close';
import type { Vector } from '../vectors';

/** Queries of four steps over keys and values of ragged lengths. */
export async function attention(
  vector: Vector<{ name: 'additive' | 'dot' | 'general'; units: number }>,
): Promise<void> {
  const { name: score, units } = vector.fields;
  const data = {
    queries: vector.floats('queries'),
    keys: vector.floats('keys'),
    values: vector.floats('values'),
  };
  const [queries, keys, values] = (['queries', 'keys', 'values'] as const).map((name) =>
    input({
      shape: [null, data[name].shape[2]!],
      name,
      timeAxis: name === 'queries' ? 'target' : 'source',
    }),
  );
  const layer = layers.attention(
    score === 'additive' ? { name: 'attention', score, units } : { name: 'attention', score },
  );
  using made = model({
    inputs: [queries!, keys!, values!],
    outputs: layer.apply([queries!, keys!, values!]),
  });
  const parameters = vector.group('param');
  made.setWeights(
    Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [`attention.${name}`, value]),
    ),
  );
  const lengths = { source: [...vector.integers('lengths').data] };
  const x: ModelData = data;
  expectClose(await made.predict(x, { lengths }), vector.floats('output'), 'output');
  const outputGradient = vector.floats('doutput');
  const result = await made.gradients(x, null, { outputGradient, lengths });
  expectClose(result.output, vector.floats('output'), 'output of gradients()');
  for (const name of ['queries', 'keys', 'values']) {
    expectClose(result.inputs![name], vector.floats(`grad.${name}`), `grad.${name}`);
  }
  for (const name of Object.keys(parameters)) {
    const got = result.parameters[`attention.${name}`];
    expectClose(got, vector.floats(`grad.param.${name}`), `grad.param.${name}`);
  }
}
