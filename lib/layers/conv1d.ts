import { wrongValue } from '../errors';
import { requireNumbers, requireSequence } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { MAX_DIMENSION, flag, integer, oneOf, optional, parseOptions } from '../validate';
import { ACTIVATIONS } from './activation';
import type { ActivationName } from './activation';
import { initializer } from './initializers';
import type { Initializer } from './initializers';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link depthwiseConv1d}. */
export interface DepthwiseConv1dOptions extends LayerOptions {
  /** Steps that an output sees, its own included: k. Required. */
  kernelSize: number;
  /** Steps from one of them to the next. (k - 1) · dilation is at most 2^24. Default 1. */
  dilation?: number;
  /** Default `linear`. */
  activation?: ActivationName;
  /** Whether there is a bias. Default true. */
  useBias?: boolean;
  /** Default `glorotUniform`, with k · inputs (depthwise: k) inputs of each filter. */
  kernelInitializer?: Initializer;
  /** Default `zeros`. */
  biasInitializer?: Initializer;
  /** `torch`: weights and bias uniform in ±1/√(k · inputs) (depthwise: ±1/√k), as PyTorch draws them. */
  init?: 'torch';
}

/** Options of {@link conv1d}. */
export interface Conv1dOptions extends DepthwiseConv1dOptions {
  /** Size of the output. Required. */
  filters: number;
}

const MAX_HISTORY = 2 ** 24;

const depthwiseSchema = {
  ...layerSchema,
  kernelSize: integer(1, MAX_HISTORY),
  dilation: integer(1, MAX_HISTORY, 1),
  activation: oneOf(ACTIVATIONS, 'linear'),
  useBias: flag(true),
  kernelInitializer: optional(initializer('glorotUniform')),
  biasInitializer: optional(initializer('zeros')),
  init: optional(oneOf(['torch'] as const)),
};

const schema = { ...depthwiseSchema, filters: integer(1, MAX_DIMENSION) };

type Parsed = ReturnType<typeof parseOptions<typeof depthwiseSchema>>;

function settle<T extends Parsed>(owner: string, { init, ...rest }: T): Omit<T, 'init'> {
  if ((rest.kernelSize - 1) * rest.dilation > MAX_HISTORY) {
    throw wrongValue(
      `at most ${MAX_HISTORY} steps of (kernelSize - 1) * dilation`,
      `${owner}.dilation`,
      rest.dilation,
    );
  }
  return {
    ...rest,
    kernelInitializer: rest.kernelInitializer ?? init ?? 'glorotUniform',
    biasInitializer: rest.biasInitializer ?? init ?? 'zeros',
  };
}

/** A layer whose output at a step depends on that step and a few before it, and on no later one. */
abstract class CausalConvolution extends Layer {
  override get temporal(): boolean {
    return true;
  }

  override get activation(): string {
    return this.options['activation'] as string;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    const filters = this.options['filters'] as number | undefined;
    return { ...input, features: filters ?? input.features };
  }
}

/** A causal convolution over time. */
export class Conv1d extends CausalConvolution {
  static readonly type = 'conv1d';
  readonly type = Conv1d.type;

  constructor(options: Conv1dOptions) {
    super(settle(Conv1d.type, parseOptions(Conv1d.type, options, schema)));
  }
}
registerLayer(Conv1d.type, (options) => new Conv1d(options as unknown as Conv1dOptions));

/** A causal convolution over time of each feature by itself. */
export class DepthwiseConv1d extends CausalConvolution {
  static readonly type = 'depthwiseConv1d';
  readonly type = DepthwiseConv1d.type;

  constructor(options: DepthwiseConv1dOptions) {
    const parsed = parseOptions(DepthwiseConv1d.type, options, depthwiseSchema);
    super(settle(DepthwiseConv1d.type, parsed));
  }
}
registerLayer(
  DepthwiseConv1d.type,
  (options) => new DepthwiseConv1d(options as unknown as DepthwiseConv1dOptions),
);

/**
 * Makes a {@link Conv1d}: y[t] = activation(Σⱼ W[:, :, j] x[t - (k - 1 - j) · dilation] + b), j from 0
 * to k - 1, with zeros before a sequence's first step, so that the output is as long as the input.
 * Input [batch, time, features]; output [batch, time, filters]. Parameters, in PyTorch's layout:
 * `weight` [filters, features, k], `bias` [filters]. The state `inputs` [(k - 1) · dilation, batch,
 * features] holds the last inputs, the oldest first: it is what a session carries.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function conv1d(options: Conv1dOptions): Conv1d {
  return new Conv1d(options);
}

/**
 * Makes a {@link DepthwiseConv1d}: as {@link conv1d}, but each feature of the output is made of that
 * feature of the input alone. Output as the input. Parameters, in PyTorch's layout for as many groups
 * as features: `weight` [features, 1, k], `bias` [features]. State as there.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function depthwiseConv1d(options: DepthwiseConv1dOptions): DepthwiseConv1d {
  return new DepthwiseConv1d(options);
}
