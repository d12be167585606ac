/** Layers of several inputs that make one value of them. */
import { shapeMismatch } from '../errors';
import { axisName, requireNumbers, shapeText } from '../shapes';
import type { Place, TimeAxis, ValueShape } from '../shapes';
import { parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link add}, {@link multiply} and {@link concat}. */
export type MergeOptions = Pick<LayerOptions, 'name'>;

const schema = { name: layerSchema.name };

abstract class Merge extends Layer {
  constructor(type: string, options: MergeOptions | undefined) {
    super(parseOptions(type, options, schema));
  }

  outputShape(_input: ValueShape, { name }: Place): ValueShape {
    throw shapeMismatch(
      `${name}: expects two inputs or more but receives one; call it on an array of tensors, as in layers.${this.type}().apply([a, b]), and build with model({ inputs, outputs })`,
    );
  }

  override outputShapeOf(inputs: readonly ValueShape[], place: Place): ValueShape {
    if (inputs.length < 2) return this.outputShape(inputs[0]!, place);
    const first = inputs[0]!;
    const text = (i: number): string => `${place.inputs?.[i] ?? i} gives ${shapeText(inputs[i]!)}`;
    inputs.forEach((shape, i) => {
      requireNumbers(shape, place);
      if (shape.timed !== first.timed) {
        throw shapeMismatch(
          `${place.name}: expects all inputs with a time axis or all without, but ${text(0)} and ${text(i)}`,
        );
      }
      if (!this.sums && shape.features !== first.features) {
        throw shapeMismatch(
          `${place.name}: expects inputs of equal features, but ${text(0)} and ${text(i)}`,
        );
      }
    });
    const total = inputs.reduce((sum, { features }) => sum + features, 0);
    return { ...first, features: this.sums ? total : first.features };
  }

  override outputAxis(inputs: readonly ValueShape[], place: Place): TimeAxis {
    const [first] = inputs;
    const other = inputs.find(({ axis, timed }) => timed && axis !== first!.axis);
    if (other !== undefined) {
      throw shapeMismatch(
        `${place.name}: expects all sequences on one time axis, but they are on "${axisName(first!)}" and "${axisName(other)}", whose lengths may differ`,
      );
    }
    return first!.axis;
  }

  /** Whether the features add up. */
  protected get sums(): boolean {
    return false;
  }
}

/** The sum of its inputs, element by element. */
export class Add extends Merge {
  static readonly type = 'add';
  readonly type = Add.type;

  constructor(options?: MergeOptions) {
    super(Add.type, options);
  }
}
registerLayer(Add.type, (options) => new Add(options));

/** The product of its inputs, element by element. */
export class Multiply extends Merge {
  static readonly type = 'multiply';
  readonly type = Multiply.type;

  constructor(options?: MergeOptions) {
    super(Multiply.type, options);
  }
}
registerLayer(Multiply.type, (options) => new Multiply(options));

/** Its inputs side by side. */
export class Concat extends Merge {
  static readonly type = 'concat';
  readonly type = Concat.type;

  constructor(options?: MergeOptions) {
    super(Concat.type, options);
  }

  protected override get sums(): boolean {
    return true;
  }
}
registerLayer(Concat.type, (options) => new Concat(options));

/**
 * Makes an {@link Add}: a + b + …, for residual connections. `layers.add().apply([a, b])`, with two
 * tensors or more of one shape.
 *
 * @throws TypeError for unknown options
 */
export function add(options?: MergeOptions): Add {
  return new Add(options);
}

/**
 * Makes a {@link Multiply}: a · b · …, element by element, for gates. Two tensors or more of one
 * shape.
 *
 * @throws TypeError for unknown options
 */
export function multiply(options?: MergeOptions): Multiply {
  return new Multiply(options);
}

/**
 * Makes a {@link Concat}: the features of all inputs, in their order. Two tensors or more, all with
 * a time axis or all without.
 *
 * @throws TypeError for unknown options
 */
export function concat(options?: MergeOptions): Concat {
  return new Concat(options);
}
