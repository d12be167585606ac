import { layers } from '../../../lib';
import type { Layer } from '../../../lib';
import type { Vector } from '../vectors';
import { checkCell } from './cell';

interface Fields {
  cell: 'elman' | 'lstm' | 'gru';
  layerNorm: 'gates' | 'ba';
  useBias: boolean;
  states: string[];
  inputs: number;
  units: number;
}

function layerOf({ cell, layerNorm, useBias, inputs, units }: Fields): Layer {
  const make = { elman: layers.simpleRnn, lstm: layers.lstm, gru: layers.gru }[cell];
  const options = { name: 'rnn', units, inputFeatures: inputs, returnSequences: true };
  return make({ ...options, layerNorm, useBias });
}

/** Outputs, final states and all gradients of a cell that is normalised inside. */
export async function cellNorm(vector: Vector<Fields>): Promise<void> {
  await checkCell(layerOf(vector.fields), vector.fields.states, vector);
}
