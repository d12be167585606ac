import { requireNumbers, requireSequence } from '../shapes';
import type { Place, ValueShape } from '../shapes';
import { parseOptions } from '../validate';
import { Layer, layerSchema, registerLayer } from './layer';
import type { LayerOptions } from './layer';

/** Options of {@link lastStep}. */
export type LastStepOptions = LayerOptions;

/** Each sequence's last step, by its own length. */
export class LastStep extends Layer {
  static readonly type = 'lastStep';
  readonly type = LastStep.type;

  constructor(options: LastStepOptions = {}) {
    super(parseOptions(LastStep.type, options, layerSchema));
  }

  override get temporal(): boolean {
    return true;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    return { ...input, timed: false };
  }
}
registerLayer(LastStep.type, (options) => new LastStep(options));

/**
 * Makes a {@link LastStep}. Input [batch, time, features]; output [batch, features].
 *
 * @throws TypeError, RangeError for wrong options
 */
export function lastStep(options: LastStepOptions = {}): LastStep {
  return new LastStep(options);
}
