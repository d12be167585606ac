// TensorFlow.js without native code. Usage: tfjs_driver.mjs cpu|wasm <threads>
//
// The layers API, which is its own way to recurrent networks; the production flag is set. The WASM
// backend is the one with SIMD, and with threads where the case has them.
import path from 'node:path';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import { Unsupported, serve, swapBatchAndTime } from './protocol.mjs';

const [backend, threads] = process.argv.slice(2);

async function selectBackend() {
  tf.env().set('PROD', true);
  if (backend === 'wasm') {
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    const file = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(`${path.dirname(file)}/`);
    wasm.setThreadsCount(Number(threads));
  }
  if (!(await tf.setBackend(backend))) throw new Error(`The backend ${backend} did not start`);
}

const transposed = ({ data, shape }) => tf.tidy(() => tf.tensor2d(data, shape).transpose());

/** Our parameters as Keras has them: matrices transposed, one bias. */
function layerWeights(tensors) {
  const kernels = [transposed(tensors.weight_ih_l0), transposed(tensors.weight_hh_l0)];
  if (!tensors.bias_ih_l0) return kernels;
  const bias = tf.tidy(() => tf.tensor1d(tensors.bias_ih_l0.data).add(tensors.bias_hh_l0.data));
  return [...kernels, bias];
}

function makeLayer(it, options) {
  const shared = { units: it.H, recurrentInitializer: 'zeros', ...options };
  if (it.cell === 'elman') return tf.layers.simpleRNN({ ...shared, activation: 'tanh' });
  return tf.layers.lstm({ ...shared, recurrentActivation: 'sigmoid' });
}

const toTensor = ({ data, shape }) => tf.tensor(data, shape);
const fromTensor = (tensor) => ({ data: tensor.dataSync(), shape: tensor.shape });
const untransposed = (tensor) => tf.tidy(() => fromTensor(tensor.transpose()));

class LayerJob {
  constructor(it, tensors) {
    this.batchFirst = it.phase === 'predict';
    const read = (rows) => toTensor(this.batchFirst ? rows : swapBatchAndTime(rows));
    this.x = tf.variable(read(tensors.x));
    this.layer = makeLayer(it, { returnSequences: true, inputShape: [it.T, it.I] });
    this.layer.apply(this.x).dispose();
    this.layer.setWeights(layerWeights(tensors));
    if (it.phase === 'training') this.dy = read(tensors.dy);
  }

  async check() {
    const swap = (tensor) => {
      const rows = fromTensor(tensor);
      return this.batchFirst ? rows : swapBatchAndTime(rows);
    };
    const y = tf.tidy(() => swap(this.layer.apply(this.x)));
    if (!this.dy) return { y };
    const { value, grads } = this.gradients();
    value.dispose();
    const [ih, hh, bias] = this.layer.trainableWeights.map(({ val }) => grads[val.name]);
    const both = fromTensor(bias);
    const results = {
      y,
      'grad.x': swap(grads[this.x.name]),
      'grad.weight_ih_l0': untransposed(ih),
      'grad.weight_hh_l0': untransposed(hh),
      'grad.bias_ih_l0': both,
      'grad.bias_hh_l0': both,
    };
    tf.dispose(grads);
    return results;
  }

  gradients() {
    const variables = [this.x, ...this.layer.trainableWeights.map(({ val }) => val)];
    return tf.variableGrads(() => this.layer.apply(this.x).mul(this.dy).sum(), variables);
  }

  run() {
    if (this.dy) {
      const { value, grads } = this.gradients();
      Object.values(grads)[0].dataSync();
      tf.dispose([value, grads]);
    } else {
      tf.tidy(() => this.layer.apply(this.x).dataSync());
    }
  }

  dispose() {
    tf.disposeVariables();
  }
}

class FitJob {
  constructor(it, tensors) {
    this.x = toTensor(tensors.x);
    this.target = toTensor(tensors.target);
    this.model = tf.sequential();
    const layer = makeLayer(it, { inputShape: [it.T, it.I], useBias: false });
    const head = tf.layers.dense({ units: it.outputs });
    this.model.add(layer);
    this.model.add(head);
    layer.setWeights(layerWeights(tensors));
    head.setWeights([transposed(tensors['head.weight']), tf.tensor1d(tensors['head.bias'].data)]);
    const optimizer = tf.train.adam(it.learningRate, 0.9, 0.999, 1e-8);
    this.model.compile({ optimizer, loss: 'meanSquaredError' });
    this.options = { epochs: 1, batchSize: it.B, shuffle: false, verbose: 0, yieldEvery: 'never' };
  }

  async check() {
    await this.run();
    const [ih, hh, weight, bias] = this.model.getWeights();
    return {
      weight_ih_l0: untransposed(ih),
      weight_hh_l0: untransposed(hh),
      'head.weight': untransposed(weight),
      'head.bias': fromTensor(bias),
    };
  }

  run() {
    return this.model.fit(this.x, this.target, this.options);
  }

  dispose() {
    this.model.dispose();
    tf.dispose([this.x, this.target]);
  }
}

await selectBackend();
await serve({
  describe: () => ({ version: tf.version.tfjs, settings: `${backend}, layers API, PROD` }),
  prepare(it, tensors) {
    if (it.cell === 'gru') throw new Unsupported('no GRU with the reset gate after the product');
    if (it.layers > 1 || it.bidirectional) throw new Unsupported('timed for plain layers only');
    if (!['inference', 'training', 'predict', 'fit'].includes(it.phase)) {
      throw new Unsupported(`no ${it.phase}`);
    }
    return it.phase === 'fit' ? new FitJob(it, tensors) : new LayerJob(it, tensors);
  },
});
