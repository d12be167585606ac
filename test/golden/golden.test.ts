/**
 * Holds the public API to the numbers that PyTorch computed (see README.md): a test for each file,
 * on the instruction set that OSTINATO_ISA names, else the best one.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { info } from '../../lib';
import { attention } from './checks/attention';
import { cellNorm } from './checks/cell-norm';
import { ctc } from './checks/ctc';
import { curve } from './checks/curves';
import { definedCell } from './checks/defined-cell';
import { encoderDecoderModel } from './checks/encoder-decoder';
import { graph } from './checks/graph';
import { dense, embedding, layerNorm } from './checks/layers';
import { loss } from './checks/losses';
import { batchNorm, conv1d, glu, highway, pooling, pooling1d, rmsNorm } from './checks/more-layers';
import { clipping, optimizer } from './checks/optimizers';
import { recurrent } from './checks/recurrent';
import { schedule } from './checks/schedules';
import { stateDict, stateDictRun } from './checks/state-dict';
import { Vector, pathOf, readIndex } from './vectors';

type Check = (vector: Vector<never>, file: string) => Promise<void>;

const CHECKS: Record<string, Check> = {
  recurrent,
  definedCell,
  cellNorm,
  embedding,
  dense,
  layerNorm,
  rmsNorm,
  glu,
  highway,
  pooling,
  pooling1d,
  conv1d,
  batchNorm,
  loss,
  ctc,
  optimizer,
  clipping,
  schedule,
  curve,
  graph,
  attention,
  encoderDecoder: encoderDecoderModel,
  stateDict,
  stateDictRun,
};

const index = readIndex();
const visited = new Set<string>();

describe.each(Object.keys(CHECKS))('%s', (kind) => {
  test.each(index.filter((entry) => entry.kind === kind))('$name', async ({ file }) => {
    const vector = new Vector(file);
    visited.add(file);
    await CHECKS[kind]!(vector as Vector<never>, file);
    // A tensor that no check looks at would be a promise that nobody keeps.
    expect(vector.unread).toEqual([]);
  });
});

test('every file of the index was visited, and is what the index says', () => {
  expect([...visited].sort()).toEqual(index.map(({ file }) => file).sort());
  const stored = readdirSync(pathOf('data'), { recursive: true, encoding: 'utf8' })
    .map((name) => `data/${name.replaceAll('\\', '/')}`)
    .filter((name) => statSync(pathOf(name)).isFile());
  expect(stored.sort()).toEqual(index.map(({ file }) => file).sort());
  for (const { file, bytes, sha256 } of index) {
    const content = readFileSync(pathOf(file));
    const digest = createHash('sha256').update(content).digest('hex');
    expect({ file, bytes: content.length, sha256: digest }).toEqual({ file, bytes, sha256 });
  }
});

test('the core ran on the instruction set that was asked for', () => {
  const asked = process.env['OSTINATO_ISA'];
  expect(info().isa).toBe(asked === undefined || asked === '' ? info().isas[0] : asked);
});
