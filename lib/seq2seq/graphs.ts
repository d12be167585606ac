/**
 * The graphs of an encoder–decoder: the one that is trained, and two over its layers that decode with
 * it, the encoder alone and one step of the decoder.
 *
 * The decoder is that of Luong, Pham and Manning (2015): its recurrence does not depend on what it
 * attends to, and attention comes after it. So training is an ordinary pass over whole sequences, and
 * a step of decoding takes the states and nothing of the steps before.
 */
import { OstinatoError } from '../errors';
import { makeGraphPlan } from '../graph';
import * as layers from '../layers';
import type { Layer } from '../layers';
import type { Plan } from '../model-core';
import { input } from '../symbolic';
import type { SymbolicTensor } from '../symbolic';
import type { ReadOptions } from './options';

/** The place of the decoder's input tokens among the inputs of the training graph. */
export const TARGET_INPUT = 1;

/** Layers by their names. */
type Parts = ReadonlyMap<string, Layer>;

function partsOf(plan: Plan): Parts {
  return new Map(plan.layers.map(({ name, layer }) => [name, layer]));
}

function part(parts: Parts, name: string): Layer {
  const layer = parts.get(name);
  if (layer !== undefined) return layer;
  throw new OstinatoError('ERR_FORMAT', `The model is no encoder–decoder: it lacks "${name}"`);
}

/** Makes all layers of the training graph. */
function makeParts(options: ReadOptions): Parts {
  const { source, target, units, cell, bidirectional, attention, dropout } = options;
  const recurrent = {
    units,
    layers: options.layers,
    dropout: options.layers > 1 ? dropout : 0,
  };
  const encoder = layers[cell]({
    ...recurrent,
    bidirectional,
    returnSequences: attention !== false,
    name: 'encoder',
  });
  const decoder = layers[cell]({ ...recurrent, returnSequences: true, name: 'decoder' });
  const list: Layer[] = [
    layers.embedding({ inputDim: source.vocab, units: source.embedding, name: 'source_embedding' }),
    layers.embedding({ inputDim: target.vocab, units: target.embedding, name: 'target_embedding' }),
    encoder,
    decoder,
    layers.dense({ units: target.vocab, name: 'output' }),
  ];
  for (const { name: state, features } of decoder.states) {
    list.push(layers.finalState({ state, name: `final_${state}` }));
    if (bidirectional === false) continue;
    // What is an output is bounded, a cell's memory is not.
    const activation = state === 'h' ? 'tanh' : 'linear';
    list.push(layers.dense({ units: features, activation, name: `bridge_${state}` }));
  }
  if (attention !== false) {
    const score =
      attention === 'additive'
        ? { score: attention, units: options.attentionUnits }
        : { score: attention };
    list.push(
      layers.attention({ ...score, name: 'attention' }),
      layers.concat({ name: 'context_and_state' }),
      layers.dense({ units, activation: 'tanh', name: 'attentional' }),
    );
  }
  if (dropout > 0) {
    for (const place of ['source', 'target', 'output']) {
      list.push(layers.dropout({ rate: dropout, name: `${place}_dropout` }));
    }
  }
  return new Map(list.map((layer) => [layer.name!, layer]));
}

/** The layer of that name on a tensor, if there is one. */
function where(parts: Parts, name: string, tensor: SymbolicTensor): SymbolicTensor {
  return parts.get(name)?.apply(tensor) ?? tensor;
}

/** What the encoder gives to the decoder. */
interface Read {
  memory: SymbolicTensor;
  states: SymbolicTensor[];
}

function drawEncoder(parts: Parts, source: SymbolicTensor, trained: boolean): Read {
  const embedded = part(parts, 'source_embedding').apply(source);
  const memory = part(parts, 'encoder').apply(
    trained ? where(parts, 'source_dropout', embedded) : embedded,
  );
  const states = part(parts, 'decoder').states.map(({ name }) =>
    where(parts, `bridge_${name}`, part(parts, `final_${name}`).apply(memory)),
  );
  return { memory, states };
}

/** The decoder's output at each step, and logits of the next token. */
function drawDecoder(
  parts: Parts,
  target: SymbolicTensor,
  memory: SymbolicTensor | undefined,
  states: readonly SymbolicTensor[],
  trained: boolean,
): { decoded: SymbolicTensor; logits: SymbolicTensor } {
  const embedded = part(parts, 'target_embedding').apply(target);
  const decoded = part(parts, 'decoder').apply([
    trained ? where(parts, 'target_dropout', embedded) : embedded,
    ...states,
  ]);
  let hidden = decoded;
  if (memory !== undefined) {
    const context = part(parts, 'attention').apply([decoded, memory]);
    const both = part(parts, 'context_and_state').apply([context, decoded]);
    hidden = part(parts, 'attentional').apply(both);
  }
  if (trained) hidden = where(parts, 'output_dropout', hidden);
  return { decoded, logits: part(parts, 'output').apply(hidden) };
}

/** The graph that is trained: `source` and `target` tokens in, logits for each step of `target` out. */
export function trainingPlan(options: ReadOptions): Plan {
  const parts = makeParts(options);
  const source = input({ tokens: true, timeAxis: 'source', name: 'source' });
  const target = input({ tokens: true, timeAxis: 'target', name: 'target' });
  const { memory, states } = drawEncoder(parts, source, true);
  const attended = parts.has('attention') ? memory : undefined;
  const { logits } = drawDecoder(parts, target, attended, states, true);
  const { startToken, endToken } = options.target;
  const plan = makeGraphPlan([source, target], { output: logits }, options.seed);
  return { ...plan, boundaries: { startToken, endToken } };
}

/**
 * The encoder of a training graph: from `source` tokens to the decoder's initial states in the order
 * of its cell, after what it attends to, if it does.
 */
export function encoderPlan(training: Plan): Plan {
  const parts = partsOf(training);
  const source = input({ tokens: true, timeAxis: 'source', name: 'source' });
  const { memory, states } = drawEncoder(parts, source, false);
  const outputs = parts.has('attention') ? [memory, ...states] : states;
  return makeGraphPlan(source, outputs, training.seed);
}

/**
 * One step of the decoder of a training graph. Inputs: the token before, what the decoder attends to,
 * if it does, and its states. Outputs: probabilities of the tokens, and the states after the step.
 */
export function stepPlan(training: Plan): Plan {
  const parts = partsOf(training);
  const token = input({ tokens: true, timeAxis: 'target', name: 'token' });
  const { output } = training.nodes.find(({ name }) => name === 'encoder')!;
  const memory = parts.has('attention')
    ? input({ shape: [null, output.features], timeAxis: 'source', name: 'memory' })
    : undefined;
  const { states: shapes } = part(parts, 'decoder');
  const states = shapes.map(({ name, features }) =>
    input({ shape: [features], name: `state_${name}` }),
  );
  const { decoded, logits } = drawDecoder(parts, token, memory, states, false);
  const next = shapes.map(({ name: state }) =>
    layers.finalState({ state, name: `next_${state}` }).apply(decoded),
  );
  const probabilities = layers
    .activation({ activation: 'softmax', name: 'probabilities' })
    .apply(logits);
  const inputs = [token, ...(memory === undefined ? [] : [memory]), ...states];
  return makeGraphPlan(inputs, [probabilities, ...next], training.seed);
}
