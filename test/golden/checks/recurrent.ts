import { layers } from '../../../lib';
import type { Layer } from '../../../lib';
import { restatedElman, restatedGru, restatedLstm } from '../../helpers/cells';
import type { Vector } from '../vectors';
import { checkCell } from './cell';

interface Fields {
  cell:
    | 'rnn_tanh'
    | 'rnn_relu'
    | 'lstm'
    | 'lstm_clipped'
    | 'lstm_peephole'
    | 'lstm_coupled'
    | 'lstm_coupled_peephole'
    | 'gru'
    | 'gru_reset_before'
    | 'indrnn_tanh'
    | 'indrnn_relu';
  cellClip?: number;
  projection?: number;
  bidirectional: boolean;
  layers: number;
  useBias: boolean;
  initialState: boolean;
  merge: 'concat' | 'sum' | 'mul' | 'ave';
  goBackwards: boolean;
  returnSequences: boolean;
  inputs: number;
  units: number;
}

/** The library's layer, and the same one by a cell that is defined in TypeScript, if it can be. */
function layersOf(fields: Fields): Layer[] {
  const options = {
    name: 'rnn',
    units: fields.units,
    layers: fields.layers,
    inputFeatures: fields.inputs,
    bidirectional: fields.bidirectional && fields.merge,
    goBackwards: fields.goBackwards,
    useBias: fields.useBias,
    returnSequences: fields.returnSequences,
  };
  const projected = fields.projection !== undefined && { projection: fields.projection };
  switch (fields.cell) {
    case 'rnn_tanh':
      return [
        layers.simpleRnn({ ...options, activation: 'tanh' }),
        layers.custom({ ...options, cell: restatedElman('tanh') }),
      ];
    case 'rnn_relu':
      return [
        layers.simpleRnn({ ...options, activation: 'relu' }),
        layers.custom({ ...options, cell: restatedElman('relu') }),
      ];
    case 'lstm':
      if (fields.projection !== undefined) return [layers.lstm({ ...options, ...projected })];
      return [layers.lstm(options), layers.custom({ ...options, cell: restatedLstm() })];
    case 'lstm_clipped':
    case 'lstm_peephole':
    case 'lstm_coupled':
    case 'lstm_coupled_peephole':
      return [
        layers.lstm({
          ...options,
          ...projected,
          ...(fields.cellClip !== undefined && { cellClip: fields.cellClip }),
          peephole: fields.cell.endsWith('peephole'),
          coupledGates: fields.cell.startsWith('lstm_coupled'),
        }),
      ];
    case 'indrnn_tanh':
      return [layers.indRnn({ ...options, activation: 'tanh' })];
    case 'indrnn_relu':
      return [layers.indRnn(options)];
    case 'gru':
      return [layers.gru(options), layers.custom({ ...options, cell: restatedGru() })];
    case 'gru_reset_before':
      return [layers.gru({ ...options, resetAfter: false })];
  }
}

/** Outputs, final states and all gradients of a recurrent layer. */
export async function recurrent(vector: Vector<Fields>): Promise<void> {
  const { cell, initialState } = vector.fields;
  const states = cell.startsWith('lstm') ? ['h', 'c'] : ['h'];
  for (const layer of layersOf(vector.fields)) {
    await checkCell(layer, states, vector, initialState);
  }
}
