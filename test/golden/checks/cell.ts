import { sequential } from '../../../lib';
import type { Layer, StatesInput } from '../../../lib';
import { expectAllClose, expectClose } from '../close';
import type { Vector } from '../vectors';

/**
 * Outputs, final states and all gradients of a recurrent layer of the name `rnn`, for a vector with
 * x, lengths, dy, y, the parameters by their names, `{state}_n` and `d{state}_n` of each state,
 * `{state}0` of those that begin with something, and `grad.` of all of these.
 */
export async function checkCell(
  layer: Layer,
  states: readonly string[],
  vector: Vector<object>,
  hasInitialState = true,
): Promise<void> {
  const named = (key: (state: string) => string) =>
    Object.fromEntries(states.map((state) => [state, vector.floats(key(state))]));
  using model = sequential([layer]);
  const parameters = Object.keys(model.getWeights()).map((key) => key.replace('rnn.', ''));
  const inputs = ['x', ...states.map((state) => `${state}0`)].map((name) => `grad.${name}`);
  const gradients = vector.names.filter((name) => name.startsWith('grad.'));
  expect(gradients.filter((name) => !inputs.includes(name)).sort()).toEqual(
    parameters.map((name) => `grad.${name}`).sort(),
  );
  model.setWeights(Object.fromEntries(parameters.map((p) => [`rnn.${p}`, vector.floats(p)])));

  const x = vector.floats('x');
  const y = vector.floats('y');
  const lengths = vector.integers('lengths').data;
  const initialState: StatesInput = hasInitialState ? { rnn: named((state) => `${state}0`) } : {};
  const final = named((state) => `${state}_n`);
  const prediction = await model.predict(x, { lengths, initialState, returnState: true });
  expectClose(prediction, y, 'y');
  expectAllClose(prediction.states!['rnn']!, final, 'final state');

  const result = await model.gradients(x, null, {
    lengths,
    initialState,
    outputGradient: vector.floats('dy'),
    stateGradients: { rnn: named((state) => `d${state}_n`) },
  });
  expect(result.loss).toBeNull();
  expectClose(result.output, y, 'y of gradients()');
  expectAllClose(result.finalState['rnn']!, final, 'final state of gradients()');
  expectClose(result.input, vector.floats('grad.x'), 'grad.x');
  expectAllClose(
    result.parameters,
    Object.fromEntries(parameters.map((p) => [`rnn.${p}`, vector.floats(`grad.${p}`)])),
    'grad',
  );
  if (!hasInitialState) return;
  expectAllClose(
    result.initialState['rnn']!,
    named((state) => `grad.${state}0`),
    'grad of the initial state',
  );
}
