import { layers, optimizers, sequential } from '../../../lib';
import type { ArrayInput, BatchEvent, FitOptions, Model, States, Weights } from '../../../lib';
import { expectAllClose, expectClose } from '../close';
import type { Tensor, Vector } from '../vectors';

interface Fields {
  task: 'languageModel' | 'lastStepRegression' | 'truncatedBptt';
  model: {
    vocabulary: number;
    embedding: number;
    inputs: number;
    cell: 'lstm' | 'gru';
    units: number;
    layers: number;
    outputs: number;
  };
  optimizer: 'sgd' | 'adam' | 'adamw' | 'scheduleFreeAdamw';
  options: Record<string, number>;
  steps: number;
  window: number;
  decayed?: string[];
}

type Integers = Tensor<Int32Array | Uint8Array>;

/** The model with the weights of the start; its parameters are called as the golden ones. */
function build(vector: Vector<Fields>): Model {
  const { task, model: sizes } = vector.fields;
  const stack = { name: 'rnn', units: sizes.units, layers: sizes.layers };
  const model =
    task === 'lastStepRegression'
      ? sequential([
          layers[sizes.cell]({ ...stack, inputFeatures: sizes.inputs }),
          layers.dense({ name: 'head', units: sizes.outputs }),
        ])
      : sequential([
          layers.embedding({ inputDim: sizes.vocabulary, units: sizes.embedding }),
          layers[sizes.cell]({ ...stack, returnSequences: true }),
          layers.dense({ name: 'head', units: sizes.vocabulary }),
        ]);
  const initial = vector.group('initial');
  model.setWeights(initial);
  expect(Object.keys(model.getWeights()).sort()).toEqual(Object.keys(initial).sort());
  return model;
}

/** Columns begin … end - 1 of a table of integers. */
function columns({ data, shape }: Integers, begin: number, end: number): Integers {
  const [rows, width] = shape as [number, number];
  const part = Array.from({ length: rows }, (_row, i) => [
    ...data.slice(i * width + begin, i * width + end),
  ]);
  return { data: Int32Array.from(part.flat()), shape: [rows, end - begin] };
}

/** Tables of the same width, one below the other. */
function below(tables: Integers[]): Integers {
  const rows = tables.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const data = Int32Array.from(tables.flatMap((table) => [...table.data]));
  return { data, shape: [rows, tables[0]!.shape[1]!] };
}

/** Trains, and compares each step's loss and norm, and the parameters at the end. */
async function follow(
  vector: Vector<Fields>,
  model: Model,
  x: ArrayInput,
  y: ArrayInput,
  options: FitOptions,
): Promise<void> {
  const events: BatchEvent[] = [];
  await model.fit(x, y, { ...options, onBatch: (event) => events.push(event) });
  const column = (name: 'loss' | 'gradientNorm') => ({ data: events.map((event) => event[name]) });
  expectClose(column('loss'), vector.floats('losses'), 'losses');
  expectClose(column('loss'), vector.doubles('losses64'), 'losses in double precision');
  expectClose(column('gradientNorm'), vector.floats('norms'), 'norms');
  expectAllClose(model.getWeights(), vector.group('final'), 'final');
}

/** A training run, step by step. */
export async function curve(vector: Vector<Fields>): Promise<void> {
  const { fields } = vector;
  const { task, steps } = fields;
  using model = build(vector);
  if (fields.decayed !== undefined) {
    const decayed = Object.keys(model.getWeights()).filter((name) => !name.includes('bias'));
    expect(decayed.sort()).toEqual([...fields.decayed].sort());
  }
  const optimizer = optimizers[fields.optimizer](fields.options);
  if (task === 'truncatedBptt') {
    await truncated(vector, model, optimizer);
    return;
  }
  const regression = task === 'lastStepRegression';
  const tokens = regression ? undefined : vector.integers('tokens');
  const last = regression ? 0 : tokens!.shape[1]! - 1;
  const x = regression ? vector.floats('x') : columns(tokens!, 0, last);
  const y = regression ? vector.floats('target') : columns(tokens!, 1, last + 1);
  const loss = regression ? 'meanSquaredError' : 'sparseCategoricalCrossentropy';
  const first = await model.gradients(x, y, loss);
  expectAllClose(first.parameters, vector.group('grad'), 'grad');
  const batchSize = x.shape[0]!;
  await follow(vector, model, x, y, { loss, optimizer, epochs: steps, batchSize, shuffle: false });
}

/** Windows whose states go on from window to window. */
async function truncated(
  vector: Vector<Fields>,
  model: Model,
  optimizer: FitOptions['optimizer'],
): Promise<void> {
  const { window, steps, optimizer: kind, options: rates } = vector.fields;
  const tokens = vector.integers('tokens');
  const lanes = tokens.shape[0]!;
  const windows = (shift: number) =>
    Array.from({ length: steps }, (_value, w) =>
      columns(tokens, w * window + shift, (w + 1) * window + shift),
    );
  const [inputs, targets] = [windows(0), windows(1)];
  const loss = 'sparseCategoricalCrossentropy';
  const first = await model.gradients(inputs[0]!, targets[0]!, loss);
  expectAllClose(first.parameters, vector.group('grad'), 'grad');

  // Samples lane by lane within a window, so that a batch is a window.
  const options: FitOptions = { loss, optimizer, batchSize: lanes, stateful: true };
  await follow(vector, model, below(inputs), below(targets), options);

  // A stream of the same batches stops after each, so that the weights can be seen on the way.
  using streamed = build(vector);
  const weights: Weights[] = [streamed.getWeights()];
  await streamed.fit(() => inputs.map((x, w) => ({ x, y: targets[w]! })), {
    loss,
    optimizer: optimizers[kind](rates),
    stateful: true,
    onBatch: () => weights.push(streamed.getWeights()),
  });
  expect(weights).toHaveLength(steps + 1);
  expect(weights.at(-1)).toEqual(model.getWeights());

  // The states that a window hands on are those of the parameters before its update.
  let states: States = {};
  for (let w = 0; w < steps; w++) {
    streamed.setWeights(weights[w]!);
    const initialState = states;
    const after = await streamed.predict(inputs[w]!, { initialState, returnState: true });
    const { loss: value } = await streamed.gradients(inputs[w]!, targets[w]!, {
      loss,
      initialState,
    });
    const golden = vector.floats('losses').data[w]!;
    expectClose({ data: [value] }, { data: [golden] }, `loss of window ${w} from its states`);
    states = after.states!;
  }
  expectAllClose(states['rnn']!, vector.group('state'), 'state');
}
