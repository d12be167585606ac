import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import { requireNumbers, shapeText } from '../shapes';
import type { Place, TimeAxis, ValueShape } from '../shapes';
import { MAX_DIMENSION, integer, optional, parseOptions } from '../validate';
import { Layer, MAX_STEPS, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link reshape}. */
export interface ReshapeOptions extends LayerOptions {
  /** Without the batch: `[features]`, or `[steps, features]`. Required unless `features`. */
  shape?: readonly number[];
  /** The last number of `shape`, in its place: so saved configurations have it. */
  features?: number;
  /** The first of two numbers of `shape`, in its place. Default: no time axis. */
  steps?: number;
}

const schema = {
  ...layerSchema,
  features: integer(1, MAX_DIMENSION),
  steps: optional(integer(1, MAX_STEPS)),
};

/** `shape` is another way to write two options. */
function flatOptions(given: unknown): unknown {
  const { shape, ...rest } = (given ?? {}) as ReshapeOptions;
  if (shape === undefined) return given;
  const expected = '[features] or [steps, features]';
  if (!Array.isArray(shape)) throw wrongKind(expected, 'reshape.shape', shape);
  if (shape.length < 1 || shape.length > 2) throw wrongValue(expected, 'reshape.shape', shape);
  for (const name of ['features', 'steps'] as const) {
    if (rest[name] !== undefined) {
      throw wrongKind('nothing beside a shape', `reshape.${name}`, rest[name]);
    }
  }
  const sizes = shape as number[];
  const features = sizes.at(-1);
  return sizes.length === 1 ? { ...rest, features } : { ...rest, steps: sizes[0], features };
}

/** A sample's numbers in rows of another length. */
export class Reshape extends Layer {
  static readonly type = 'reshape';
  readonly type = Reshape.type;

  constructor(options: ReshapeOptions) {
    super(parseOptions(Reshape.type, flatOptions(options), schema));
  }

  override get makesSteps(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    if (input.timed && typeof input.axis !== 'number') {
      throw shapeMismatch(
        `${place.name}: expects [batch, features], or sequences of a length that a layer has fixed, but receives ${shapeText(input)}, whose sequences may have any lengths`,
      );
    }
    const { features, steps } = this.options as { features: number; steps?: number };
    const output: ValueShape = { features, timed: steps !== undefined, tokens: false };
    const given = input.features * (input.timed ? (input.axis as number) : 1);
    const wanted = features * (steps ?? 1);
    if (given !== wanted) {
      throw shapeMismatch(
        `${place.name}: makes ${wanted} numbers a sample, [${steps === undefined ? '' : `${steps}, `}${features}], but receives ${given}, ${shapeText(input)}`,
      );
    }
    return output;
  }

  override outputAxis(): TimeAxis {
    return this.options['steps'] as number | undefined;
  }
}
registerLayer(Reshape.type, (options) => new Reshape(options));

/**
 * Makes a {@link Reshape}: the numbers of each sample, in their order (row-major), as
 * `shape: [features]` or `[steps, features]`. Input [batch, features], or a sequence of fixed length
 * as {@link repeatVector} or this layer gives it, of as many numbers; output [batch, features] or
 * [batch, steps, features]. A model with this layer has no sessions.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function reshape(options: ReshapeOptions): Reshape {
  return new Reshape(options);
}
