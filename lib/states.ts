/** States of recurrent layers as users see them: by layer and name, [slots, batch, features]. */
import { sizeOf, toNDArray } from './data/arrays';
import type { ArrayInput, NDArray } from './data/arrays';
import { shapeMismatch, wrongKind } from './errors';
import type { NativeDescription, NativeStates } from './native';
import { isRecord, rejectUnknown } from './validate';

/**
 * States of a model's recurrent layers: `states.lstm.h`. Each is [slots, batch, features], where
 * slot = stacked layer · directions + direction, as PyTorch orders them.
 */
export type States = Record<string, Record<string, NDArray>>;

/** States to start from, by layer (further calls of a shared layer are `lstm:2`, …); those that are left out are zeros. */
export type StatesInput = Record<string, Record<string, ArrayInput>>;

/** What is known of a model's states: the nodes by name, and which of them have which. */
interface Described {
  plan: { nodes: readonly { name: string; inputs: readonly number[] }[] };
  description: Pick<NativeDescription, 'states'>;
}

/** Names flat arrays of states. */
export function nameStates(
  { plan: { nodes }, description: { states } }: Described,
  values: readonly Float32Array[],
  batch: number,
): States {
  const named: States = {};
  states.forEach(({ node, name, slots, features }, i) => {
    const { name: layerName } = nodes[node]!;
    named[layerName] ??= {};
    named[layerName][name] = { data: values[i]!, shape: [slots, batch, features] };
  });
  return named;
}

/**
 * Checks states to start from and puts them in the core's order.
 *
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH`
 */
export function orderStates(
  { plan: { nodes }, description: { states } }: Described,
  given: unknown,
  batch: number,
  label: string,
): NativeStates {
  if (!isRecord(given)) throw wrongKind('{ layer: { state: array } }', label, given);
  const names = [...new Set(states.map(({ node }) => nodes[node]!.name))];
  rejectUnknown(label, Object.keys(given), names);
  for (const name of Object.keys(given)) {
    const known = states.filter(({ node }) => nodes[node]!.name === name);
    if (known.some(({ node }) => nodes[node]!.inputs.length > 1)) {
      throw wrongKind(
        'nothing for a layer whose initial states are inputs',
        `${label}.${name}`,
        given[name],
      );
    }
    if (!isRecord(given[name]))
      throw wrongKind('{ state: array }', `${label}.${name}`, given[name]);
    rejectUnknown(
      `${label}.${name}`,
      Object.keys(given[name]),
      known.map((state) => state.name),
    );
  }
  return states.map(({ node, name, slots, features }) => {
    const { name: layerName } = nodes[node]!;
    const value = (given[layerName] as Record<string, unknown> | undefined)?.[name];
    if (value === undefined) return null;
    const path = `${label}.${layerName}.${name}`;
    const { data, shape } = toNDArray(value, path);
    const wanted = [slots, batch, features];
    const squeezed = slots === 1 && shape.length === 2 ? [1, ...shape] : shape;
    if (squeezed.length !== 3 || squeezed.some((size, axis) => size !== wanted[axis])) {
      throw shapeMismatch(
        `Expected shape [${wanted.join(', ')}] for "${path}" but received [${shape.join(', ')}]`,
      );
    }
    return data;
  });
}

/** Rows begin … end - 1 of the batch axis of a state [slots, batch, features]. */
export function sliceState(
  data: Float32Array,
  [slots, batch, features]: readonly [number, number, number],
  begin: number,
  end: number,
): Float32Array {
  const part = new Float32Array(slots * (end - begin) * features);
  for (let slot = 0; slot < slots; slot++) {
    const from = (slot * batch + begin) * features;
    part.set(data.subarray(from, from + (end - begin) * features), slot * (end - begin) * features);
  }
  return part;
}

/** Puts rows into the batch axis of a state [slots, batch, features], beginning at row `begin`. */
export function pasteState(
  target: Float32Array,
  [slots, batch, features]: readonly [number, number, number],
  begin: number,
  part: Float32Array,
): void {
  const size = sizeOf([part.length / slots]);
  for (let slot = 0; slot < slots; slot++) {
    target.set(part.subarray(slot * size, (slot + 1) * size), (slot * batch + begin) * features);
  }
}
