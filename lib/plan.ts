/** From a list of layers to a checked plan: names, the input, shapes. */
import { shapeMismatch, wrongKind, wrongValue } from './errors';
import { isLayer } from './layers/layer';
import type { Layer } from './layers/layer';
import type { NamedLayer, Plan } from './model-core';
import { onAxis } from './shapes';
import type { Place, ValueShape } from './shapes';

/** Gives each layer a unique name: its own, or its type with `_1`, `_2`, … for further ones. */
export function nameLayers(layers: readonly Layer[]): string[] {
  const taken = new Set<string>();
  layers.forEach(({ name }, i) => {
    if (name === undefined) return;
    if (taken.has(name)) throw wrongValue('a name of its own', `layers[${i}].name`, name);
    taken.add(name);
  });
  return layers.map(({ name, type }) => {
    if (name !== undefined) return name;
    let candidate = type;
    for (let n = 1; taken.has(candidate); n++) candidate = `${type}_${n}`;
    taken.add(candidate);
    return candidate;
  });
}

function inputOf(layers: readonly Layer[], names: readonly string[]): ValueShape {
  const first = layers[0]!;
  if (first.takesTokens) return { features: 1, timed: true, tokens: true };
  if (first.inputFeatures === undefined) {
    throw wrongKind(
      'the number of features of the input',
      `${names[0]}.inputFeatures`,
      undefined,
      `the first layer must know its input: set inputFeatures: n on "${names[0]}", where the input is [batch, time, n] (or [batch, n] for a model without recurrent layers), or put an embedding first`,
    );
  }
  // Of layers that make steps of their own, those that follow say nothing of the input.
  const timed = layers.find((layer) => layer.temporal || layer.makesSteps)?.temporal ?? false;
  return { features: first.inputFeatures, timed, tokens: false };
}

/**
 * Names the layers and follows the shapes through them.
 *
 * @throws TypeError, RangeError for anything but layers, or names that are taken
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` with the layer's name and what to change
 */
export function makePlan(given: unknown, seed: number): Plan {
  if (!Array.isArray(given)) throw wrongKind('an array of layers', 'layers', given);
  const layers = given as unknown[];
  layers.forEach((layer, i) => {
    if (!isLayer(layer)) {
      throw wrongKind('a layer, as layers.lstm({ … }) makes it,', `layers[${i}]`, layer);
    }
  });
  const known = layers as Layer[];
  if (known.length === 0) throw wrongValue('at least one layer', 'layers', given);
  const names = nameLayers(known);
  const input = inputOf(known, names);
  const named: NamedLayer[] = [];
  let shape = input;
  let before: Place['before'] = null;
  known.forEach((layer, i) => {
    const name = names[i]!;
    const { inputFeatures } = layer;
    if (i > 0 && inputFeatures !== undefined && inputFeatures !== shape.features) {
      throw shapeMismatch(
        `${name}: inputFeatures is ${inputFeatures}, but the layer before, "${before!.name}", gives ${shape.features} features; leave inputFeatures out`,
      );
    }
    const place = { name, before };
    shape = onAxis(layer.outputShape(shape, place), layer.outputAxis([shape], place));
    named.push({ name, layer, output: shape });
    before = { name, recurrent: layer.recurrent, states: layer.states };
  });
  const nodes = named.map(({ name, output }, i) => ({ name, layer: i, inputs: [i], output }));
  const owner = named.at(-1)!;
  return {
    kind: 'sequential',
    seed,
    inputs: [{ name: 'input', shape: input }],
    layers: named,
    nodes,
    outputs: [{ name: owner.name, value: named.length, owner }],
  };
}
