import { layers, sequential } from '../../../lib';
import type { Layer } from '../../../lib';
import { expectAllClose, expectClose } from '../close';
import type { Vector } from '../vectors';

interface Fields {
  cell: 'elman' | 'lstm' | 'gru';
  layerNorm: 'gates' | 'ba';
  useBias: boolean;
  states: string[];
  inputs: number;
  units: number;
}

function layerOf({ cell, layerNorm, useBias, inputs, units }: Fields): Layer {
  const make = { elman: layers.simpleRnn, lstm: layers.lstm, gru: layers.gru }[cell];
  const options = { name: 'rnn', units, inputFeatures: inputs, returnSequences: true };
  return make({ ...options, layerNorm, useBias });
}

/** Outputs, final states and all gradients of a cell that is normalised inside. */
export async function cellNorm(vector: Vector<Fields>): Promise<void> {
  const { states } = vector.fields;
  const named = (key: (state: string) => string) =>
    Object.fromEntries(states.map((state) => [state, vector.floats(key(state))]));
  using model = sequential([layerOf(vector.fields)]);
  const parameters = Object.keys(model.getWeights()).map((key) => key.replace('rnn.', ''));
  model.setWeights(Object.fromEntries(parameters.map((p) => [`rnn.${p}`, vector.floats(p)])));

  const x = vector.floats('x');
  const lengths = vector.integers('lengths').data;
  const initialState = { rnn: named((state) => `${state}0`) };
  const final = named((state) => `${state}_n`);
  const prediction = await model.predict(x, { lengths, initialState, returnState: true });
  expectClose(prediction, vector.floats('y'), 'y');
  expectAllClose(prediction.states!['rnn']!, final, 'final state');

  const result = await model.gradients(x, null, {
    lengths,
    initialState,
    outputGradient: vector.floats('dy'),
    stateGradients: { rnn: named((state) => `d${state}_n`) },
  });
  expectClose(result.output, vector.floats('y'), 'y of gradients()');
  expectClose(result.input, vector.floats('grad.x'), 'grad.x');
  expectAllClose(
    result.parameters,
    Object.fromEntries(parameters.map((p) => [`rnn.${p}`, vector.floats(`grad.${p}`)])),
    'grad',
  );
  const gradients = named((state) => `grad.${state}0`);
  expectAllClose(result.initialState['rnn']!, gradients, 'grad of the initial state');
}
