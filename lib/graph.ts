/** From symbolic tensors to a checked plan: who depends on whom, names, the order of the calls. */
import { shapeMismatch, wrongKind, wrongValue } from './errors';
import type { Layer } from './layers/layer';
import type { NamedLayer, NamedOutput, NamedInput, Plan, PlanNode } from './model-core';
import { nameLayers } from './plan';
import { onAxis } from './shapes';
import { SymbolicTensor, tensorText } from './symbolic';
import { checkName, isRecord } from './validate';

/** One tensor, several in order, or several by name. */
export type Tensors = SymbolicTensor | readonly SymbolicTensor[] | Record<string, SymbolicTensor>;

interface NamedTensor {
  name: string | undefined;
  tensor: SymbolicTensor;
}

function readTensors(given: unknown, label: string): NamedTensor[] {
  const check = (value: unknown, at: string): SymbolicTensor => {
    if (value instanceof SymbolicTensor) return value;
    throw wrongKind('a symbolic tensor, as input() and apply() give it,', at, value);
  };
  const list: NamedTensor[] =
    given instanceof SymbolicTensor
      ? [{ name: undefined, tensor: given }]
      : Array.isArray(given)
        ? given.map((value, i) => ({ name: undefined, tensor: check(value, `${label}[${i}]`) }))
        : isRecord(given)
          ? Object.entries(given).map(([name, value]) => ({
              name: checkName(name, label),
              tensor: check(value, `${label}.${name}`),
            }))
          : [{ name: undefined, tensor: check(given, label) }];
  if (list.length === 0) throw wrongValue('at least one tensor', label, given);
  if (new Set(list.map(({ tensor }) => tensor)).size !== list.length) {
    throw wrongValue('each tensor once', label, given);
  }
  return list;
}

function nameInputs(list: readonly NamedTensor[]): NamedInput[] {
  const taken = new Set<string>();
  const own = list.map(({ name, tensor }) => name ?? tensor.name);
  for (const name of own) {
    if (name === undefined) continue;
    if (taken.has(name)) throw wrongValue('names of their own', 'model.inputs', name);
    taken.add(name);
  }
  return list.map(({ tensor: { shape } }, i) => {
    let name = own[i] ?? 'input';
    if (own[i] === undefined) {
      for (let n = 1; taken.has(name); n++) name = `input_${n}`;
      taken.add(name);
    }
    return { name, shape };
  });
}

/** The tensors that are needed for the outputs, each after those that it is made of. */
function inOrder(
  outputs: readonly NamedTensor[],
  inputs: ReadonlySet<SymbolicTensor>,
): SymbolicTensor[] {
  const order: SymbolicTensor[] = [];
  const seen = new Set<SymbolicTensor>();
  for (const { tensor: output } of outputs) {
    // A stack of its own: a deep model must not exhaust that of the language.
    const stack: { tensor: SymbolicTensor; next: number }[] = [{ tensor: output, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const { tensor } = top;
      if (seen.has(tensor) || inputs.has(tensor)) {
        stack.pop();
        continue;
      }
      if (tensor.call === undefined) {
        throw shapeMismatch(
          `The output ${tensorText(output)} depends on ${tensorText(tensor)}, which is not among the inputs of the model`,
        );
      }
      const from = tensor.call.inputs[top.next++];
      if (from !== undefined) {
        stack.push({ tensor: from, next: 0 });
        continue;
      }
      seen.add(tensor);
      order.push(tensor);
      stack.pop();
    }
  }
  return order;
}

function checkOutputName(name: string): string {
  // Scores of an output `x` are reported as `xLoss`, and those of a validation as `valXLoss`.
  if (!/^val([A-Z_-]|$)/.test(name)) return name;
  throw wrongValue(
    'a name that does not look like a score of the validation',
    'model.outputs',
    name,
  );
}

/**
 * Makes the plan of a graph.
 *
 * @throws TypeError, RangeError for anything but tensors, and names that are taken
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` for an input that nothing depends on, an output that
 *     depends on other inputs, and calls of one layer with different shapes
 */
export function makeGraphPlan(givenInputs: unknown, givenOutputs: unknown, seed: number): Plan {
  const inputTensors = readTensors(givenInputs, 'model.inputs');
  inputTensors.forEach(({ tensor }) => {
    if (tensor.call === undefined) return;
    throw wrongKind(
      'tensors that input() made',
      'model.inputs',
      tensor,
      `${tensorText(tensor)} is made by a layer`,
    );
  });
  const inputs = nameInputs(inputTensors);
  const outputTensors = readTensors(givenOutputs, 'model.outputs');
  outputTensors.forEach(({ tensor }) => {
    if (tensor.call !== undefined) return;
    throw wrongKind(
      'tensors that layers made',
      'model.outputs',
      tensor,
      `${tensorText(tensor)} is an input`,
    );
  });
  const order = inOrder(outputTensors, new Set(inputTensors.map(({ tensor }) => tensor)));
  const index = new Map<SymbolicTensor, number>();
  [...inputTensors.map(({ tensor }) => tensor), ...order].forEach((tensor, i) =>
    index.set(tensor, i),
  );
  const unused = inputTensors.findIndex(
    ({ tensor }) => !order.some(({ call }) => call!.inputs.includes(tensor)),
  );
  if (unused >= 0) {
    throw shapeMismatch(
      `The input "${inputs[unused]!.name}" is not connected: no output depends on it; leave it out`,
    );
  }
  const known = [...new Set(order.map(({ call }) => call!.layer))];
  const names = nameLayers(known);
  const layers: NamedLayer[] = [];
  const nodes: PlanNode[] = order.map((tensor) => {
    const { layer, inputs: from } = tensor.call!;
    return callOf(layer, known.indexOf(layer), names, from, index, tensor, layers);
  });
  checkCalls(nodes, names, [...inputTensors.map(({ tensor }) => tensor), ...order]);
  const outputs: NamedOutput[] = outputTensors.map(({ name, tensor }) => {
    const value = index.get(tensor)!;
    const node = nodes[value - inputs.length]!;
    return {
      name: checkOutputName(name ?? node.name),
      value,
      owner: { name: node.name, layer: tensor.call!.layer, output: tensor.shape },
    };
  });
  return { kind: 'graph', seed, inputs, layers, nodes, outputs };
}

function callOf(
  layer: Layer,
  at: number,
  names: readonly string[],
  from: readonly SymbolicTensor[],
  index: ReadonlyMap<SymbolicTensor, number>,
  { shape }: SymbolicTensor,
  layers: NamedLayer[],
): PlanNode {
  layers[at] ??= { name: names[at]!, layer, output: shape };
  return {
    name: names[at]!,
    layer: at,
    inputs: from.map((tensor) => index.get(tensor)!),
    output: shape,
  };
}

/** A layer has one set of weights, so all its calls need inputs of one shape; names them apart. */
function checkCalls(
  nodes: PlanNode[],
  names: readonly string[],
  tensors: readonly SymbolicTensor[],
): void {
  const calls = new Map<number, { shapes: string; count: number }>();
  for (const node of nodes) {
    // On whatever time axes: weights know nothing of steps.
    const shapes = JSON.stringify(
      node.inputs.map((value) => onAxis(tensors[value]!.shape, undefined)),
    );
    const first = calls.get(node.layer);
    if (first === undefined) {
      calls.set(node.layer, { shapes, count: 1 });
      continue;
    }
    if (first.shapes !== shapes) {
      throw shapeMismatch(
        `${names[node.layer]}: expects inputs of one shape in all its calls, since they share its weights; make a layer for each`,
      );
    }
    node.name = `${names[node.layer]}:${++first.count}`;
  }
}
