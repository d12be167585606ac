/** Models for data: layers as the configuration gives them, between what the data decides. */
import { join } from 'node:path';
import { BEST } from '../../callbacks/model-checkpoint';
import { stat } from 'node:fs/promises';
import { callbacks, layers, load, sequential } from '../../index';
import type { Layer, Model } from '../../index';
import type { LayerConfig } from '../../layers';
import { isRecord } from '../../validate';
import { Failure } from '../failures';
import { checkpointsOf } from '../run-directory';
import type { ForecastSpec } from './forecasting';
import type { LabelSpec } from './labelling';

export type Spec = ForecastSpec | LabelSpec;

const DEFAULT_LAYERS: readonly LayerConfig[] = [{ type: 'lstm', units: 64 }];
const DEFAULT_EMBEDDING = 32;

/** What the data decides about a model. */
export interface ModelShape {
  /** Token ids there are, or null for numbers. */
  vocabulary: number | null;
  /** Numbers of a step. */
  width: number;
  outputs: number;
  /** An output for each step. */
  timed: boolean;
}

/**
 * A model with fresh weights: an embedding where tokens come in and none is given, the given layers,
 * and a dense layer for the outputs. Recurrent layers give all steps where something reads them,
 * unless they say otherwise.
 */
export function buildModel(
  given: readonly LayerConfig[] | undefined,
  { vocabulary, width, outputs, timed }: ModelShape,
  seed: number,
): Model {
  const configs = (given ?? DEFAULT_LAYERS).map((config) => ({ ...config }));
  if (vocabulary !== null) {
    if (configs[0]!.type !== 'embedding') {
      configs.unshift({ type: 'embedding', units: DEFAULT_EMBEDDING });
    }
    configs[0]!['inputDim'] = vocabulary;
  } else {
    configs[0]!['inputFeatures'] = width;
  }
  const first = configs.map((config) => layers.fromConfig(config));
  const stack: Layer[] = configs.map((config, i) => {
    const read = timed || first.slice(i + 1).some((layer) => layer.temporal);
    const open = first[i]!.recurrent && config['returnSequences'] === undefined && read;
    return open ? layers.fromConfig({ ...config, returnSequences: true }) : first[i]!;
  });
  stack.push(layers.dense({ units: outputs }));
  const model = sequential(stack, { seed });
  if (model.output.timed === timed) return model;
  model.dispose();
  throw new Failure(
    timed
      ? 'The layers must give an output for each step: leave out what drops the time axis'
      : 'The layers must give one output for a sequence: end with a recurrent layer or "lastStep"',
    'ERR_SHAPE_MISMATCH',
  );
}

/** A model that was trained on data, and what it knows of the data. */
export interface Opened {
  model: Model;
  spec: Spec;
  path: string;
}

/** The file of a model; of a run directory that of its best epoch, else its newest. */
async function fileOf(path: string): Promise<string> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() !== true) return path;
  const best = join(checkpointsOf(path), BEST);
  if ((await stat(best).catch(() => undefined)) !== undefined) return best;
  const newest = await callbacks.latestCheckpoint(checkpointsOf(path));
  if (newest !== undefined) return newest;
  throw new Failure(`${path} holds no saved model yet`, 'ERR_FORMAT');
}

/** Opens a model file or a run directory; undefined for a model of another kind. */
export async function openSequenceModel(path: string): Promise<Opened | undefined> {
  const file = await fileOf(path);
  const model = await load(file);
  const spec = isRecord(model.metadata) ? model.metadata['data'] : undefined;
  if (isRecord(spec) && ['forecast', 'classify', 'tag'].includes(String(spec['kind']))) {
    return { model, spec: spec as unknown as Spec, path: file };
  }
  model.dispose();
  return undefined;
}

/** @throws Failure for a model that was not trained for one of the tasks */
export async function requireModel(path: string, kinds: readonly string[]): Promise<Opened> {
  const opened = await openSequenceModel(path);
  if (opened !== undefined && kinds.includes(opened.spec.kind)) return opened;
  opened?.model.dispose();
  const is = opened === undefined ? 'was not trained on data' : `is for task: ${opened.spec.kind}`;
  throw new Failure(
    `"${path}" ${is}; this command needs a model for ${kinds.map((kind) => `task: ${kind}`).join(' or ')}`,
    'ERR_FORMAT',
  );
}

/** Where the model of a run goes when nobody says so. */
export const defaultOut = (dir: string | undefined): string =>
  dir === undefined ? 'model.safetensors' : join(dir, 'model.safetensors');
