// brain.js: a training step on one sequence, as its `train` makes one for each item of the data.
//
// Its "LSTM" is another function than an LSTM: the forget gate multiplies the last output h, since
// no cell state c is carried. So the harness times it but cannot compare its numbers with ours.
import { createRequire } from 'node:module';
import { Unsupported, serve } from './protocol.mjs';

const require = createRequire(import.meta.url);
const brain = require('brain.js');
const { version } = require('brain.js/package.json');

class TextJob {
  constructor(it, { tokens }) {
    const characters = it.I;
    this.network = new brain.recurrent.LSTM({
      hiddenLayers: [it.H],
      inputSize: characters,
      inputRange: characters,
      outputSize: characters,
    });
    this.network.initialize();
    this.network.updateTrainingOptions({ learningRate: it.learningRate });
    this.tokens = Array.from(tokens.data);
  }

  check() {
    const before = this.network.trainInput(this.tokens);
    for (let i = 0; i < 20; ++i) this.run();
    const after = this.network.trainInput(this.tokens);
    if (!(after < before)) throw new Error(`Training took the error from ${before} to ${after}`);
    return {};
  }

  run() {
    this.network.trainPattern(this.tokens);
  }
}

await serve({
  describe: () => ({ version, settings: 'trainPattern, one sequence a step' }),
  prepare(it, tensors) {
    if (it.phase !== 'text') throw new Unsupported(`no ${it.phase}`);
    return new TextJob(it, tensors);
  },
});
