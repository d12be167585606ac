/** Reading and writing a model's parameters, by PyTorch's names. */
import { toNDArray } from './data/arrays';
import type { NDArray } from './data/arrays';
import { OstinatoError, guardNative, shapeMismatch, wrongKind, wrongValue } from './errors';
import type { ModelCore } from './model-core';
import { isRecord, nearest } from './validate';

/** Parameters by name, e.g. `lstm.weight_ih_l0`. */
export type Weights = Record<string, NDArray>;

/** Copies of all parameters. */
export function getWeights(core: ModelCore): Weights {
  core.checkReadable();
  return Object.fromEntries(
    core.description.parameters.map(({ name, shape }, i) => [
      name,
      { data: guardNative(() => core.native.readParameter(i)), shape: [...shape] },
    ]),
  );
}

/** Options of `model.getWeights`. */
export interface GetWeightsOptions {
  /** The means that `averaging` of the optimiser keeps, not the parameters. Default false. */
  averaged?: boolean;
}

/** Copies of the means of all parameters. */
export function getAveragedWeights(core: ModelCore): Weights {
  core.checkReadable();
  const state = core.training && guardNative(() => core.native.readOptimizer());
  const average = state?.slots.find(({ name }) => name === 'average');
  const count = state?.counters.at(-1) ?? 0;
  if (average === undefined || count === 0) {
    const advice =
      average === undefined
        ? 'set "averaging" on the optimizer of fit'
        : 'no update was averaged yet; see "start" and "every" of "averaging"';
    throw wrongValue('a model with averaged weights', 'model.getWeights.averaged', true, advice);
  }
  return Object.fromEntries(
    core.description.parameters.map(({ name, shape }, i) => [
      name,
      { data: average.values[i]!, shape: [...shape] },
    ]),
  );
}

/** Sets the parameters that are given; all are checked before any is changed. */
export function setWeights(core: ModelCore, given: unknown): void {
  core.checkWritable();
  if (!isRecord(given)) throw wrongKind('{ name: array }', 'weights', given);
  const { parameters } = core.description;
  const names = parameters.map(({ name }) => name);
  const writes = Object.entries(given).map(([name, value]) => {
    const index = names.indexOf(name);
    if (index < 0) {
      const near = nearest(name, names);
      const advice =
        near === undefined ? `known names are ${names.join(', ')}` : `did you mean "${near}"?`;
      throw wrongValue('the name of a parameter', 'weights', name, advice);
    }
    const { shape } = parameters[index]!;
    const array = toNDArray(value, `weights["${name}"]`);
    if (array.shape.join() !== shape.join()) {
      throw shapeMismatch(
        `Expected shape [${shape.join(', ')}] for "weights["${name}"]" but received [${array.shape.join(', ')}]`,
      );
    }
    return { index, data: array.data };
  });
  guardNative(() => writes.forEach(({ index, data }) => core.native.writeParameter(index, data)));
}

/**
 * How names in a file become names of parameters: an object of whole names or prefixes
 * (`{ rnn: 'lstm', 'fc.weight': 'dense.weight' }`; the longest match counts), or a function that
 * returns the new name, or null to leave the tensor out.
 */
export type NameMap = Record<string, string> | ((name: string) => string | null);

/** What became of the names of a file. */
export interface LoadReport {
  /** Parameters that were set. */
  loaded: string[];
  /** Parameters that the file does not have. */
  missing: string[];
  /** Tensors of the file that are no parameter. */
  unexpected: string[];
  /** Parameters whose tensor has another shape. */
  mismatched: string[];
}

/** Applies a {@link NameMap}; null leaves the tensor out. */
export function mapName(map: NameMap | undefined, name: string): string | null {
  if (map === undefined) return name;
  if (typeof map === 'function') {
    const mapped: unknown = map(name);
    if (mapped !== null && typeof mapped !== 'string') {
      throw wrongKind('a name or null', `map("${name}")`, mapped);
    }
    return mapped;
  }
  const prefix = Object.keys(map)
    .filter((key) => name === key || name.startsWith(`${key}.`))
    .sort((a, b) => b.length - a.length)[0];
  return prefix === undefined ? name : `${map[prefix]}${name.slice(prefix.length)}`;
}

/** @throws TypeError unless a {@link NameMap} */
export function checkNameMap(map: unknown): NameMap | undefined {
  if (map === undefined || typeof map === 'function') return map as NameMap | undefined;
  if (!isRecord(map)) throw wrongKind('an object of names or a function', 'map', map);
  for (const [key, value] of Object.entries(map)) {
    if (typeof value !== 'string') throw wrongKind('a name', `map["${key}"]`, value);
  }
  return map as Record<string, string>;
}

/** A tensor of a file, not read yet. */
export interface Tensor {
  name: string;
  shape: readonly number[];
}

/** PyTorch's batch norms count their batches; with a fixed momentum nothing depends on it. */
const UNUSED_COUNT = '.num_batches_tracked';

/**
 * Matches a file's tensors with the parameters.
 *
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` in strict mode when anything does not match, with all
 *     names
 */
export function matchTensors<T extends Tensor>(
  core: ModelCore,
  tensors: readonly T[],
  map: NameMap | undefined,
  strict: boolean,
  source: string,
): { report: LoadReport; reads: { index: number; tensor: T }[] } {
  const { parameters } = core.description;
  const report: LoadReport = { loaded: [], missing: [], unexpected: [], mismatched: [] };
  const found = new Map<string, T>();
  const details: string[] = [];
  for (const tensor of tensors) {
    const name = mapName(map, tensor.name);
    if (name === null || tensor.name.endsWith(UNUSED_COUNT)) continue;
    const info = parameters.find((parameter) => parameter.name === name);
    const shown = name === tensor.name ? name : `${tensor.name} (as ${name})`;
    if (info === undefined) {
      report.unexpected.push(tensor.name);
    } else if (found.has(name)) {
      throw wrongValue(
        'one tensor for each parameter',
        'map',
        name,
        `"${found.get(name)!.name}" and "${tensor.name}" both become it`,
      );
    } else {
      found.set(name, tensor);
      if (info.shape.join() !== tensor.shape.join()) {
        report.mismatched.push(name);
        details.push(
          `${shown}: [${tensor.shape.join(', ')}] instead of [${info.shape.join(', ')}]`,
        );
      }
    }
  }
  const reads: { index: number; tensor: T }[] = [];
  parameters.forEach(({ name }, index) => {
    const tensor = found.get(name);
    if (tensor === undefined) report.missing.push(name);
    else if (!report.mismatched.includes(name)) {
      report.loaded.push(name);
      reads.push({ index, tensor });
    }
  });
  const { missing, unexpected } = report;
  if (strict && missing.length + unexpected.length + details.length > 0) {
    const parts = [`The weights of "${source}" do not fit the model`];
    if (missing.length > 0) parts.push(`missing: ${missing.join(', ')}`);
    if (unexpected.length > 0) parts.push(`unexpected: ${unexpected.join(', ')}`);
    if (details.length > 0) parts.push(`other shapes: ${details.join('; ')}`);
    parts.push('Rename tensors with map, or set strict: false to load what fits');
    throw new OstinatoError('ERR_SHAPE_MISMATCH', `${parts.join('. ')}.`);
  }
  return { report, reads };
}
