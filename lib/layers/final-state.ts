import { shapeMismatch } from '../errors';
import type { Place, ValueShape } from '../shapes';
import { checkName, custom, optional, parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link finalState}. */
export interface FinalStateOptions extends Pick<LayerOptions, 'name'> {
  /** Which state: `h`, of an LSTM also `c`, or a name of a defined cell's. Default `h`. */
  state?: string;
}

const schema = { name: layerSchema.name, state: optional(custom<string>(checkName)) };

/** A state of the recurrent layer before it, after the last step of each sequence. */
export class FinalState extends Layer {
  static readonly type = 'finalState';
  readonly type = FinalState.type;

  constructor(options?: FinalStateOptions) {
    const { name, state } = parseOptions(FinalState.type, options, schema);
    super({ name, state: state ?? 'h' });
  }

  outputShape(_input: ValueShape, { name, before, inputs }: Place): ValueShape {
    const wanted = this.options['state'] as string;
    const states = before?.states ?? [];
    const state = states.find((one) => one.name === wanted);
    if (state !== undefined) return { features: state.features, timed: false, tokens: false };
    const from = inputs?.[0] ?? (before === null ? 'the input' : `"${before.name}"`);
    throw shapeMismatch(
      states.length === 0
        ? `${name}: expects the output of a recurrent layer, but ${from} has no states`
        : `${name}: expects a recurrent layer with the state "${wanted}", but ${from} has ${states.map((one) => `"${one.name}"`).join(', ')}`,
    );
  }
}
registerLayer(FinalState.type, (options) => new FinalState(options));

/**
 * Makes a {@link FinalState}, to be called on what a recurrent layer gives. It does not read the
 * output, of all steps or of the last one, but the state behind it: what another layer can begin with,
 * `decoder.apply([x, h, c])`, and gradients flow back. Output [batch, slots · units], the stacked
 * layers and directions side by side (slot = layer · directions + direction); for a sequence without
 * steps its initial state. A model with this layer has no sessions.
 *
 * @throws TypeError, RangeError for wrong options
 */
export function finalState(options?: FinalStateOptions): FinalState {
  return new FinalState(options);
}
