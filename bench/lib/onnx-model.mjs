// A case's recurrent layer as an ONNX file, for the drivers of ONNX Runtime.
import path from 'node:path';
import { writeFile } from 'node:fs/promises';

const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE = { int: 2, string: 3 };
const OPERATORS = { elman: 'RNN', lstm: 'LSTM', gru: 'GRU' };
/** PyTorch's gates in ONNX's order: LSTM i f g o to i o f c, GRU r z n to z r h. */
const GATE_ORDER = { elman: [0], lstm: [0, 3, 1, 2], gru: [1, 0, 2] };
const STATES = { elman: ['h'], gru: ['h'], lstm: ['h', 'c'] };
const OPSET = 17;
const IR_VERSION = 8;

/** Blocks of [G H, …] in ONNX's order of gates. */
function reorderGates(cell, { data }) {
  const order = GATE_ORDER[cell];
  const block = data.length / order.length;
  const result = new Float32Array(data.length);
  order.forEach((gate, at) =>
    result.set(data.subarray(gate * block, (gate + 1) * block), at * block),
  );
  return result;
}

function joined(parts) {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

const floats = (name, dims, data) => ({
  name,
  dims,
  dataType: FLOAT,
  rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

const integers = (name, values) => ({
  name,
  dims: [values.length],
  dataType: INT64,
  rawData: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
});

const value = (name, dims) => ({
  name,
  type: { tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
});

function attributes(it) {
  const result = [{ name: 'hidden_size', i: it.H, type: ATTRIBUTE.int }];
  if (it.bidirectional) {
    result.push({ name: 'direction', s: Buffer.from('bidirectional'), type: ATTRIBUTE.string });
  }
  if (it.cell === 'gru') {
    result.push({ name: 'linear_before_reset', i: 1, type: ATTRIBUTE.int });
  }
  return result;
}

/** W, R and B of one level, [D, …]. */
function parameters(it, tensors, level, inputs) {
  const gates = GATE_ORDER[it.cell].length;
  const suffixes = ['', '_reverse'].slice(0, it.bidirectional ? 2 : 1);
  const all = (names) =>
    joined(
      suffixes.flatMap((suffix) =>
        names.map((name) => reorderGates(it.cell, tensors[`${name}_l${level}${suffix}`])),
      ),
    );
  const directions = suffixes.length;
  return [
    floats(`W${level}`, [directions, gates * it.H, inputs], all(['weight_ih'])),
    floats(`R${level}`, [directions, gates * it.H, it.H], all(['weight_hh'])),
    floats(`B${level}`, [directions, 2 * gates * it.H], all(['bias_ih', 'bias_hh'])),
  ];
}

/**
 * Graph: input `x` [T, B, I], output `y` [T, D, B, H] of the last level. A step case has T = 1, the
 * states `h0` (and `c0`) as inputs and `hn` (and `cn`) as outputs, [1, B, H].
 */
function graphOf(it, tensors) {
  const directions = it.bidirectional ? 2 : 1;
  const steps = it.phase === 'step' ? 1 : it.T;
  const states = it.phase === 'step' ? STATES[it.cell] : [];
  const state = (name) => value(name, [directions, it.B, it.H]);
  const node = [];
  const initializer = [];
  let input = 'x';
  for (let level = 0; level < it.layers; ++level) {
    const inputs = level === 0 ? it.I : it.H * directions;
    initializer.push(...parameters(it, tensors, level, inputs));
    const output = level === it.layers - 1 ? 'y' : `y${level}`;
    node.push({
      name: `level${level}`,
      opType: OPERATORS[it.cell],
      input: [input, `W${level}`, `R${level}`, `B${level}`, '', ...states.map((it) => `${it}0`)],
      output: [output, ...states.map((it) => `${it}n`)],
      attribute: attributes(it),
    });
    if (output === 'y') break;
    // [T, D, B, H] to [T, B, D H]
    const perm = { name: 'perm', ints: [0, 2, 1, 3], type: 7 };
    initializer.push(integers(`shape${level}`, [steps, it.B, directions * it.H]));
    node.push(
      { opType: 'Transpose', input: [output], output: [`t${level}`], attribute: [perm] },
      { opType: 'Reshape', input: [`t${level}`, `shape${level}`], output: [`x${level}`] },
    );
    input = `x${level}`;
  }
  return {
    name: it.id,
    node,
    initializer,
    input: [value('x', [steps, it.B, it.I]), ...states.map((it) => state(`${it}0`))],
    output: [value('y', [steps, directions, it.B, it.H]), ...states.map((it) => state(`${it}n`))],
  };
}

/** Writes the model. Throws when `protobufjs` is not installed (`npm run bench:setup`). */
export async function writeOnnx(file, it, tensors) {
  const { default: protobuf } = await import('protobufjs');
  const root = await protobuf.load(path.join(import.meta.dirname, 'onnx.proto'));
  const Model = root.lookupType('onnx.Model');
  const message = Model.fromObject({
    irVersion: IR_VERSION,
    producerName: 'ostinato-bench',
    graph: graphOf(it, tensors),
    opsetImport: [{ domain: '', version: OPSET }],
  });
  await writeFile(file, Model.encode(message).finish());
}
