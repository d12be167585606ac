/** The base of all layers, and the registry by which saved configurations find their classes. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import type { Place, StateShape, TimeAxis, ValueShape } from '../shapes';
import { applyLayer } from '../symbolic';
import type { SymbolicTensor } from '../symbolic';
import { MAX_DIMENSION, checkName, custom, integer, isRecord, optional } from '../validate';
import type { Schema } from '../validate';

/** Options that every layer has. */
export interface LayerOptions {
  /**
   * Unique name in the model; prefix of its parameters' names in files. Letters, digits, `_` and
   * `-`. Default: the layer's type, with `_1`, `_2`, … for further ones.
   */
  name?: string;
  /**
   * Numbers in a row of the model's input. Only for the first layer, and required there (an
   * embedding takes token ids and needs none).
   */
  inputFeatures?: number;
}

/** An option of several parts, most of them numbers: `{ kind: 'constant', value: 1 }`. */
export type OptionParts = Readonly<Record<string, number | boolean | string>>;

/** Most steps of a sequence whose length a layer fixes. */
export const MAX_STEPS = 2 ** 24;

/** A layer as JSON: its type and all of its options, defaults included. */
export interface LayerConfig {
  type: string;
  [option: string]: number | boolean | string | OptionParts;
}

/** Values that a layer's option may have. */
export type OptionValue = number | boolean | string | OptionParts | undefined;

/** Options as the core takes them. */
export type NativeOptions = Record<string, number | boolean | string>;

/** The schema of {@link LayerOptions}. */
export const layerSchema = {
  name: optional(custom<string>(checkName)),
  inputFeatures: optional(integer(1, MAX_DIMENSION)),
} satisfies Schema;

/**
 * A layer is data: a type and checked options. It owns no weights, so one object may stand in
 * several models.
 */
export abstract class Layer {
  /** The type's name in saved configurations. */
  abstract readonly type: string;
  /** Checked options, defaults included. */
  readonly options: Readonly<Record<string, OptionValue>>;

  constructor(options: Record<string, OptionValue>) {
    this.options = Object.freeze({ ...options });
  }

  /** The name that the user gave, if any. */
  get name(): string | undefined {
    return this.options['name'] as string | undefined;
  }

  /** Numbers in a row of the input, if the user said so. */
  get inputFeatures(): number | undefined {
    return this.options['inputFeatures'] as number | undefined;
  }

  /** Whether the layer has states that it carries from step to step. */
  get recurrent(): boolean {
    return false;
  }

  /** The states of a recurrent layer, in the core's order. */
  get states(): readonly StateShape[] {
    return [];
  }

  /** Whether the layer needs a time axis in its input. */
  get temporal(): boolean {
    return this.recurrent;
  }

  /** Whether the layer makes a time axis of its own. */
  get makesSteps(): boolean {
    return false;
  }

  /** Whether predictions can tell its weights of attention. */
  get attends(): boolean {
    return false;
  }

  /** Whether the layer takes token ids. */
  get takesTokens(): boolean {
    return false;
  }

  /** The activation that the layer ends with. */
  get activation(): string {
    return 'linear';
  }

  /** Lines about the layer for a summary, beside its row in the table. */
  get details(): string[] {
    return [];
  }

  /** The type and all options; `JSON.stringify` and back gives an equal layer. */
  getConfig(): LayerConfig {
    const config: LayerConfig = { type: this.type };
    for (const [key, value] of Object.entries(this.options)) {
      if (value !== undefined) config[key] = value;
    }
    return config;
  }

  /** The type as the core names it: for recurrent layers, the cell. */
  get nativeType(): string {
    return this.type;
  }

  /**
   * Options for the core: names as here, without those that only this side needs. An option of
   * several parts is its kind, if it has one, and an option "<name>.<part>" for each other part.
   */
  nativeOptions(): NativeOptions {
    const { type: _type, name: _name, inputFeatures: _features, ...rest } = this.getConfig();
    const flat: NativeOptions = {};
    for (const [name, value] of Object.entries(rest)) {
      if (!isRecord(value)) {
        flat[name] = value;
        continue;
      }
      for (const [part, item] of Object.entries(value)) {
        flat[part === 'kind' ? name : `${name}.${part}`] = item;
      }
    }
    return flat;
  }

  /**
   * The shape that comes out for the shape that goes in.
   *
   * @throws OstinatoError `ERR_SHAPE_MISMATCH`, naming the layer and what to change
   */
  abstract outputShape(input: ValueShape, place: Place): ValueShape;

  /**
   * The same for a call on any number of inputs. Layers of several override it.
   *
   * @throws OstinatoError `ERR_SHAPE_MISMATCH`
   */
  outputShapeOf(inputs: readonly ValueShape[], place: Place): ValueShape {
    if (inputs.length === 1) return this.outputShape(inputs[0]!, place);
    throw shapeMismatch(`${place.name}: expects one input but receives ${inputs.length}`);
  }

  /**
   * The time axis of what comes out, where that has one: the first input's that has one.
   *
   * @throws OstinatoError `ERR_SHAPE_MISMATCH` for axes that do not go together
   */
  outputAxis(inputs: readonly ValueShape[], _place: Place): TimeAxis {
    return inputs.find(({ timed }) => timed)?.axis;
  }

  /**
   * Calls the layer on a symbolic tensor, or, for layers of several inputs, on an array of them: a
   * recurrent layer takes its initial states after its input, `layer.apply([x, h, c])`. Each
   * call computes with the layer's one set of weights: a layer that is called twice in a model is
   * shared.
   *
   * @throws TypeError for anything but symbolic tensors
   * @throws OstinatoError `ERR_SHAPE_MISMATCH`, naming the layer and what to change
   */
  apply(inputs: SymbolicTensor | readonly SymbolicTensor[]): SymbolicTensor {
    return applyLayer(this, inputs);
  }
}

type LayerMaker = (options: Record<string, unknown>) => Layer;

const makers = new Map<string, LayerMaker>();

/** Makes a layer's type known to {@link layerFromConfig}. */
export function registerLayer(type: string, make: LayerMaker): void {
  makers.set(type, make);
}

/**
 * The layer of a configuration that {@link Layer.getConfig} gave.
 *
 * @throws TypeError, RangeError for an unknown type or wrong options
 */
export function layerFromConfig(config: unknown): Layer {
  if (!isRecord(config)) throw wrongKind('a layer configuration', 'layer', config);
  const { type, ...options } = config;
  if (typeof type !== 'string') throw wrongKind('a layer type', 'type', type);
  const make = makers.get(type);
  if (make === undefined) {
    throw wrongValue(`one of ${[...makers.keys()].join(', ')}`, 'type', type);
  }
  return make(options);
}

/** True for a layer of any copy of this library's classes in this process. */
export function isLayer(value: unknown): value is Layer {
  return value instanceof Layer;
}
