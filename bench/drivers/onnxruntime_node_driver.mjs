// onnxruntime-node: one intra-op pool of the case's threads, sequential execution, all graph
// optimisations. Outputs are allocated by the library, as its API has it; in single steps they are
// handed back as the next call's states.
import ort from 'onnxruntime-node';
import { Unsupported, serve, swapBatchAndTime } from './protocol.mjs';

const STATES = { elman: ['h'], gru: ['h'], lstm: ['h', 'c'] };

const tensor = ({ data, shape }) => new ort.Tensor('float32', data, shape);

class SequenceJob {
  constructor(session, it, { x }) {
    this.session = session;
    this.batchFirst = it.phase === 'predict';
    this.feeds = { x: tensor(this.batchFirst ? swapBatchAndTime(x) : x) };
  }

  async check() {
    const { y } = await this.run();
    const [steps, directions, batch, units] = y.dims;
    if (directions !== 1) throw new Unsupported('one direction only');
    const rows = { data: y.data, shape: [steps, batch, units] };
    return { y: this.batchFirst ? swapBatchAndTime(rows) : rows };
  }

  run() {
    return this.session.run(this.feeds);
  }
}

class StepJob {
  constructor(session, it, { x }) {
    this.session = session;
    const size = it.B * it.I;
    this.steps = Array.from({ length: x.shape[0] }, (_step, t) =>
      tensor({ data: x.data.slice(t * size, (t + 1) * size), shape: [1, it.B, it.I] }),
    );
    const zeros = () => tensor({ data: new Float32Array(it.B * it.H), shape: [1, it.B, it.H] });
    this.states = STATES[it.cell];
    this.feeds = Object.fromEntries(this.states.map((name) => [`${name}0`, zeros()]));
    this.at = 0;
  }

  async check() {
    const rows = [];
    for (let t = 0; t < this.steps.length; ++t) rows.push(...(await this.run()).y.data);
    return { y: { data: Float32Array.from(rows), shape: [rows.length] } };
  }

  async run() {
    this.feeds.x = this.steps[this.at];
    this.at = (this.at + 1) % this.steps.length;
    const results = await this.session.run(this.feeds);
    for (const name of this.states) this.feeds[`${name}0`] = results[`${name}n`];
    return results;
  }
}

await serve({
  describe: () => ({
    version: ort.env.versions.node,
    settings: 'sequential, all graph optimisations, states handed back as tensors',
  }),
  async prepare(it, tensors, { onnx }) {
    if (!['inference', 'predict', 'step'].includes(it.phase)) throw new Unsupported('no training');
    const session = await ort.InferenceSession.create(onnx, {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      intraOpNumThreads: it.threads,
      interOpNumThreads: 1,
    });
    return new (it.phase === 'step' ? StepJob : SequenceJob)(session, it, tensors);
  },
});
