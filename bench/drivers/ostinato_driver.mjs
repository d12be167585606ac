// This library through its public API: steps, predictions and training as a user writes them.
import { info, layers, optimizers, sequential } from '../../dist/index.mjs';
import { Unsupported, serve } from './protocol.mjs';

const LAYERS = { elman: layers.simpleRnn, lstm: layers.lstm, gru: layers.gru };
const LAYER = 'rnn';
const HEAD = 'head';

/** Names of the shared file as a model's: `weight_ih_l0` is `rnn.weight_ih_l0`. */
function weightsOf(tensors) {
  const entries = Object.entries(tensors)
    .filter(([name]) => /^(weight_|bias_|head\.)/.test(name))
    .map(([name, tensor]) => [name.startsWith(HEAD) ? name : `${LAYER}.${name}`, tensor]);
  return Object.fromEntries(entries);
}

function recurrent(it, options) {
  return LAYERS[it.cell]({
    name: LAYER,
    units: it.H,
    layers: it.layers,
    bidirectional: it.bidirectional,
    // Replaced by the case's weights; the default, orthogonal, takes seconds for many units.
    recurrentInitializer: 'glorotUniform',
    ...options,
  });
}

class StepJob {
  #session;
  #steps;
  #at = 0;

  constructor(it, { x, ...tensors }) {
    const model = sequential([recurrent(it, { inputFeatures: it.I, returnSequences: true })]);
    model.setWeights(weightsOf(tensors));
    this.#session = model.session({ streams: it.B, threads: it.threads });
    this.#steps = Array.from({ length: x.shape[0] }, (_step, t) =>
      x.data.slice(t * it.B * it.I, (t + 1) * it.B * it.I),
    );
  }

  check() {
    this.#session.reset();
    const outputs = this.#steps.map((input) => this.#session.stepSync(input));
    const data = Float32Array.from(outputs.flatMap((row) => [...row]));
    return { y: { data, shape: [data.length] } };
  }

  run() {
    this.#session.stepSync(this.#steps[this.#at]);
    this.#at = (this.#at + 1) % this.#steps.length;
  }
}

class PredictJob {
  constructor(it, { x, ...tensors }) {
    this.model = sequential([recurrent(it, { inputFeatures: it.I, returnSequences: true })]);
    this.model.setWeights(weightsOf(tensors));
    this.x = x;
    this.options = { batchSize: it.B, threads: it.threads };
  }

  async check() {
    const y = await this.run();
    return { y: { data: y.data, shape: y.shape } };
  }

  run() {
    return this.model.predict(this.x, this.options);
  }

  dispose() {
    this.model.dispose();
  }
}

class FitJob {
  constructor(it, { x, target, ...tensors }) {
    this.model = sequential([
      recurrent(it, { inputFeatures: it.I, useBias: false }),
      layers.dense({ name: HEAD, units: it.outputs }),
    ]);
    this.model.setWeights(weightsOf(tensors));
    this.x = x;
    this.target = target;
    this.options = {
      epochs: 1,
      batchSize: it.B,
      shuffle: false,
      loss: 'meanSquaredError',
      optimizer: optimizers.adam({ learningRate: it.learningRate }),
      threads: it.threads,
    };
  }

  async check() {
    await this.run();
    return Object.fromEntries(
      Object.entries(this.model.getWeights()).map(([name, tensor]) => [
        name.replace(`${LAYER}.`, ''),
        tensor,
      ]),
    );
  }

  run() {
    return this.model.fit(this.x, this.target, this.options);
  }

  dispose() {
    this.model.dispose();
  }
}

/** An epoch over copies of one sequence, one a step. */
class TextJob {
  constructor(it, { tokens }) {
    const classes = it.I + 1; // the mark is 0
    this.model = sequential([
      layers.embedding({ inputDim: classes, units: it.I }),
      recurrent(it, { returnSequences: true }),
      layers.dense({ name: HEAD, units: classes }),
    ]);
    const marked = Array.from(tokens.data, (token) => token + 1);
    const copies = (row) => Array.from({ length: it.batches }, () => row);
    this.x = copies([0, ...marked]);
    this.y = copies([...marked, 0]);
    this.options = {
      epochs: 1,
      batchSize: 1,
      loss: 'sparseCategoricalCrossentropy',
      optimizer: optimizers.rmsprop({ learningRate: it.learningRate, clipValue: 5 }),
      threads: it.threads,
    };
  }

  async check() {
    const before = await this.run();
    const after = await this.run();
    if (!(after.loss[0] < before.loss[0])) throw new Error(`The loss is ${after.loss[0]}`);
    return {};
  }

  run() {
    return this.model.fit(this.x, this.y, this.options);
  }

  dispose() {
    this.model.dispose();
  }
}

const JOBS = { step: StepJob, predict: PredictJob, fit: FitJob, text: TextJob };

await serve({
  describe: () => ({
    version: `${info().version} ${info().isa}`,
    settings: 'stepSync; predict and fit awaited',
  }),
  prepare(it, tensors) {
    if (!(it.phase in JOBS)) throw new Unsupported('timed by the driver in C++');
    return new JOBS[it.phase](it, tensors);
  },
});
