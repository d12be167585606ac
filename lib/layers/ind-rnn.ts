import { wrongValue } from '../errors';
import { oneOf, optional, parseOptions } from '../validate';
import { initializer } from './initializers';
import { registerLayer } from './layer';
import { RecurrentLayer, isChrono, recurrentSchema } from './recurrent';
import type { Initializer } from './initializers';
import type { RecurrentOptions } from './recurrent';

/** Options of {@link indRnn}. */
export interface IndRnnOptions extends RecurrentOptions {
  /** Default `relu`. */
  activation?: 'relu' | 'tanh';
  /**
   * Of the recurrent weights, a vector: any {@link Initializer} that is not for matrices. Default
   * `unitUniform`, uniform in 0 … 1. What T steps can grow by stays bounded with
   * `recurrentConstraint: { kind: 'maxAbs', max: 2 ** (1 / T) }`, as in the paper.
   */
  recurrentInitializer?: Initializer;
}

/** Initialisers that are meant for matrices, and make no sense for a vector. */
const FOR_MATRICES = new Set<string>([
  'glorotUniform',
  'glorotNormal',
  'heUniform',
  'heNormal',
  'lecunUniform',
  'lecunNormal',
  'orthogonal',
  'identity',
]);

const any = initializer('unitUniform');

const schema = {
  ...recurrentSchema,
  activation: oneOf(['relu', 'tanh'] as const, 'relu'),
  recurrentInitializer: optional({
    ...any,
    parse: (value: unknown, label: string): Initializer => {
      const read = any.parse(value, label);
      const kind = typeof read === 'string' ? read : read.kind;
      if (FOR_MATRICES.has(kind)) {
        throw wrongValue(
          'an initialiser for a vector (unitUniform, uniform, normal, constant, zeros, ones, torch)',
          label,
          kind,
        );
      }
      return read;
    },
  }),
};

/**
 * The independently recurrent layer (Li et al., "Independently recurrent neural network", 2018):
 * h = activation(W_ih x + b_ih + u h + b_hh), where u is a vector: each unit sees its own past
 * alone, and layers mix units. A step has no product with the state, so it is cheap; stack `layers`
 * of it.
 */
export class IndRnn extends RecurrentLayer {
  static readonly type = 'indRnn';
  readonly type = IndRnn.type;

  constructor(options: IndRnnOptions) {
    const read = parseOptions(IndRnn.type, options, schema);
    if (isChrono(read.biasInitializer)) {
      throw wrongValue('an initialiser of a layer with gates', 'indRnn.biasInitializer', 'chrono');
    }
    const drawn = read.init === 'torch' ? undefined : 'unitUniform';
    const recurrentInitializer = read.recurrentInitializer ?? drawn;
    super(IndRnn.type, { ...read, recurrentInitializer }, ['h']);
  }

  protected override get timeGates(): null {
    return null;
  }

  override get nativeType(): string {
    return this.options['activation'] === 'relu' ? 'indrnn_relu' : 'indrnn_tanh';
  }

  override nativeOptions(): ReturnType<RecurrentLayer['nativeOptions']> {
    const { activation: _activation, ...rest } = super.nativeOptions();
    return rest;
  }
}
registerLayer(IndRnn.type, (options) => new IndRnn(options as unknown as IndRnnOptions));

/**
 * Makes an {@link IndRnn}. Input [batch, time, features]; output [batch, units], or
 * [batch, time, units] with `returnSequences`; state `h`; the recurrent weights `weight_hh_l{k}`
 * are [units].
 *
 * @throws TypeError, RangeError for wrong options
 */
export function indRnn(options: IndRnnOptions): IndRnn {
  return new IndRnn(options);
}
