/** Models as files: safetensors with PyTorch's names, and the configuration in the metadata. */
import { TRAINING_PREFIX, isCheckpoint } from './checkpoint/file';
import { OstinatoError, guardNative, wrongKind, wrongValue } from './errors';
import { makeGraphPlan } from './graph';
import type { Tensors } from './graph';
import { fromConfig as layerFromConfig } from './layers';
import type { Layer, LayerConfig } from './layers';
import type { Boundaries, ModelCore, Plan } from './model-core';
import { makePlan } from './plan';
import { version } from './runtime';
import * as safetensors from './safetensors';
import type { Header } from './safetensors';
import type { TimeAxis } from './shapes';
import { input } from './symbolic';
import type { InputOptions } from './symbolic';
import { MAX_DIMENSION, integer, isRecord, parseOptions } from './validate';
import { checkNameMap, getWeights, matchTensors } from './weights';
import type { LoadReport } from './weights';

/** The highest number that stands in files; a reader refuses higher ones. */
const FORMAT = 3;

/** What a graph has beside layers. */
export interface GraphConfig {
  inputs: { name: string; features: number; timed: boolean; tokens: boolean; axis?: TimeAxis }[];
  /** Calls of layers, by index. Values are numbered: the inputs first, then what each node gives. */
  nodes: { layer: number; inputs: number[] }[];
  outputs: { name: string; value: number }[];
}

/**
 * A model's configuration as JSON: format 1 for layers in a row, 2 with a graph, 3 with one whose
 * inputs are on several time axes or name theirs.
 */
export interface ModelConfig extends Partial<GraphConfig> {
  format: number;
  seed: number;
  layers: LayerConfig[];
  /** Of an encoder–decoder. */
  boundaries?: Boundaries;
}

/** The layers with their names, the seed, and the graph if there is one. */
export function configOf({ kind, seed, layers, boundaries, ...graph }: Plan): ModelConfig {
  const named = graph.inputs.some(({ shape }) => shape.axis !== undefined);
  const config = {
    format: kind === 'graph' ? (named ? 3 : 2) : 1,
    seed,
    layers: layers.map(({ name, layer }) => ({ ...layer.getConfig(), name })),
  };
  if (kind === 'sequential') return config;
  return {
    ...config,
    inputs: graph.inputs.map(({ name, shape }) => ({ name, ...shape })),
    nodes: graph.nodes.map(({ layer, inputs }) => ({ layer, inputs: [...inputs] })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value })),
    ...(boundaries === undefined ? {} : { boundaries: { ...boundaries } }),
  };
}

/** What a configuration says of an encoder–decoder's tokens. */
function boundariesOf({ boundaries }: Record<string, unknown>): Boundaries | undefined {
  if (boundaries === undefined) return undefined;
  const token = integer(0, MAX_DIMENSION - 1);
  return parseOptions('config.boundaries', boundaries, { startToken: token, endToken: token });
}

function item<T>(list: readonly T[], index: unknown, label: string): T {
  if (Number.isInteger(index) && (index as number) >= 0 && (index as number) < list.length) {
    return list[index as number]!;
  }
  throw wrongValue(`an index below ${list.length}`, label, index);
}

/** Draws the graph of a configuration again, and makes its plan. */
function graphPlanOf(
  config: Record<string, unknown>,
  layers: readonly Layer[],
  seed: number,
): Plan {
  const list = (key: string): Record<string, unknown>[] => {
    const value = config[key];
    if (!Array.isArray(value) || !value.every(isRecord)) {
      throw wrongKind('an array of objects', `config.${key}`, value);
    }
    return value;
  };
  const inputs = list('inputs').map(({ name, features, timed, tokens, axis: timeAxis }) => {
    const shape = timed === true ? [null, features] : [features];
    const options = tokens === true ? { name, tokens, timeAxis } : { name, shape, timeAxis };
    return input(options as InputOptions);
  });
  const values = [...inputs];
  list('nodes').forEach(({ layer, inputs: from }, i) => {
    if (!Array.isArray(from)) throw wrongKind('an array', `config.nodes[${i}].inputs`, from);
    const tensors = from.map((value) => item(values, value, `config.nodes[${i}].inputs`));
    values.push(item(layers, layer, `config.nodes[${i}].layer`).apply(tensors));
  });
  const outputs = list('outputs').map(({ name, value }, i) => [
    String(name),
    item(values, value, `config.outputs[${i}].value`),
  ]);
  const plan = makeGraphPlan(inputs, Object.fromEntries(outputs) as Tensors, seed);
  return { ...plan, boundaries: boundariesOf(config) };
}

/**
 * @throws OstinatoError `ERR_FORMAT` for a configuration of a later format
 * @throws TypeError, RangeError for anything else that is wrong
 */
export function planOf(config: unknown): Plan {
  if (!isRecord(config)) throw wrongKind('a configuration', 'config', config);
  const { format, seed, layers } = config;
  if (typeof format !== 'number' || format > FORMAT) {
    throw new OstinatoError(
      'ERR_FORMAT',
      `The configuration has format ${String(format)}; this version of ostinato reads up to ${FORMAT}`,
    );
  }
  if (!Array.isArray(layers)) throw wrongKind('an array of layers', 'config.layers', layers);
  const made = layers.map(layerFromConfig);
  const number = Number.isSafeInteger(seed) ? (seed as number) : 0;
  return format > 1 ? graphPlanOf(config, made, number) : makePlan(made, number);
}

/** See `Model.save`. */
export async function save(core: ModelCore, path: string, metadata: unknown): Promise<void> {
  // Copies, made before the first await: later training does not reach into the file.
  const weights = getWeights(core);
  await safetensors.write(path, weights, fileMetadata(core.plan, metadata));
}

/** What stands in the head of a saved model beside the names of its weights. */
export function fileMetadata(plan: Plan, metadata: unknown): Record<string, string> {
  return {
    format: 'pt',
    'ostinato.version': version(),
    'ostinato.config': JSON.stringify(configOf(plan)),
    ...(metadata === undefined ? {} : { 'ostinato.metadata': JSON.stringify(metadata) }),
  };
}

function parseMetadata({ metadata }: Header, key: string, path: string): unknown {
  const text = metadata[key];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OstinatoError('ERR_FORMAT', `"${path}" has metadata "${key}" that is not JSON`, {
      cause: error,
    });
  }
}

/** What a saved model is, without its weights. */
export interface SavedModel {
  config: ModelConfig;
  metadata: unknown;
}

/**
 * The configuration and the user's metadata in a header.
 *
 * @throws OstinatoError `ERR_FORMAT` when there is no configuration
 */
export function savedModel(header: Header, path: string): SavedModel {
  const config = parseMetadata(header, 'ostinato.config', path);
  if (config === undefined) {
    throw new OstinatoError(
      'ERR_FORMAT',
      `"${path}" holds no model configuration; build the model with sequential() and read the weights with model.loadWeights(path, { map })`,
    );
  }
  return {
    config: config as ModelConfig,
    metadata: parseMetadata(header, 'ostinato.metadata', path),
  };
}

/** Makes the model's plan from a header; what is wrong with it is the file's fault. */
export function planFromFile(header: Header, path: string): { plan: Plan; metadata: unknown } {
  const { config, metadata } = savedModel(header, path);
  try {
    return { plan: planOf(config), metadata };
  } catch (error) {
    throw new OstinatoError(
      'ERR_FORMAT',
      `"${path}" has a configuration that cannot be used: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** See `Model.loadWeights`. */
export async function loadWeights(
  core: ModelCore,
  path: string,
  options: { map: unknown; strict: boolean },
): Promise<LoadReport> {
  core.checkWritable();
  const map = checkNameMap(options.map);
  let matched: ReturnType<typeof matchTensors<safetensors.TensorInfo>> | undefined;
  const file = await safetensors.read(path, ({ tensors: all, metadata }) => {
    const tensors = isCheckpoint(metadata)
      ? all.filter(({ name }) => !name.startsWith(TRAINING_PREFIX))
      : all;
    matched = matchTensors(core, tensors, map, options.strict, path);
    return matched.reads.map(({ tensor }) => tensor);
  });
  const { report, reads } = matched!;
  core.checkWritable();
  guardNative(() => {
    for (const { index, tensor } of reads) {
      core.native.writeParameter(index, file.tensors[tensor.name]!.data);
    }
  });
  return report;
}
