/** What all recurrent layers share: their options and shapes. The maths is the core's. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';
import { requireNumbers, requireSequence, shapeText } from '../shapes';
import type { Place, StateShape, ValueShape } from '../shapes';
import {
  MAX_DIMENSION,
  checkNumber,
  checkOneOf,
  custom,
  flag,
  integer,
  isRecord,
  number,
  oneOf,
  optional,
  rejectUnknown,
} from '../validate';
import type { Schema } from '../validate';
import { biasInitializer, initializer } from './initializers';
import type { ChronoInitializer, Initializer } from './initializers';
import { Layer, layerSchema } from './layer';
import type { LayerOptions, NativeOptions, OptionValue } from './layer';
import { constraint, regularizer, weightRuleSchema } from './weight-rules';
import type { Regularizer, WeightConstraint, WeightRuleOptions } from './weight-rules';

const MERGE_MODES = ['concat', 'sum', 'mul', 'ave'] as const;

/**
 * How the two directions become one output: side by side (`concat`, which doubles the features),
 * their sum, product or average.
 */
export type MergeMode = (typeof MERGE_MODES)[number];

/** How often training keeps the states: a number of steps, or as often as memory asks for. */
export type CheckpointEvery = 'auto' | number;

/** Probabilities below 1: one for all states of a cell, or by the states' names; others are 0. */
export type Zoneout = number | Readonly<Record<string, number>>;

/** Options of every recurrent layer. */
export interface RecurrentOptions extends LayerOptions, WeightRuleOptions {
  /**
   * Size of the hidden state, and of the output of one direction; of an LSTM with `projection`, of
   * its cell state. Required.
   */
  units: number;
  /** Stacked layers of this kind; each reads the whole sequence of the one below. Default 1. */
  layers?: number;
  /** Read the sequence in both directions; a {@link MergeMode} sets `mergeMode` too. Default false. */
  bidirectional?: boolean | MergeMode;
  /** How the directions are merged. Default `concat`. */
  mergeMode?: MergeMode;
  /**
   * Read each sequence from its last step to its first; the output is in that order. Not together
   * with `bidirectional`. Default false.
   */
  goBackwards?: boolean;
  /** Probability with which outputs between stacked layers are dropped in training. Default 0. */
  dropout?: number;
  /**
   * Whether `dropout` has one mask for all steps of a sequence, drawn anew for each batch (Gal and
   * Ghahramani 2016), not one for each step. For the input and the output of the layer see
   * `spatialDropout1d`. Default false.
   */
  variationalDropout?: boolean;
  /**
   * Probability with which training drops weights on the hidden state: one mask for all steps and
   * samples of a batch (DropConnect, as in AWD-LSTM; Merity, Keskar and Socher 2018). Default 0.
   */
  weightDrop?: number;
  /**
   * Zoneout (Krueger et al. 2017): the probability with which a unit of a state stays as it was
   * before the step, drawn anew for each unit and step in training: `0.1`, or of each state,
   * `{ h: 0.05, c: 0.5 }`. Elsewhere (prediction, evaluation, sessions, gradients) a state is its
   * mean over the draws. Default 0.
   */
  zoneout?: Zoneout;
  /**
   * Probability with which training hides units of h from the recurrent weights, with one mask for
   * all steps and gates of a sequence, drawn anew for each batch (Gal and Ghahramani 2016; Keras'
   * option of that name has a mask for each gate). The state that is carried on is whole. Default 0.
   */
  recurrentDropout?: number;
  /**
   * Activation regularisation (Merity et al. 2017): adds this times the mean of h² over the outputs
   * of all steps to the loss that is trained. Needs `returnSequences`. Default 0.
   */
  activationRegularization?: number;
  /**
   * Its temporal form: this times the mean of the squared change of the output from step to step.
   * Needs `returnSequences`. Default 0.
   */
  temporalActivationRegularization?: number;
  /** Whether there are biases. Default true. */
  useBias?: boolean;
  /** The output of each step, [batch, time, units], instead of the last, [batch, units]. Default false. */
  returnSequences?: boolean;
  /** `predict` also returns the final states of this layer. Default false. */
  returnState?: boolean;
  /**
   * How often training keeps the states, for long sequences: every so many steps, or as `auto`
   * chooses. In between only the output is kept (with `returnSequences`, or for the layer above),
   * and the backward pass computes the rest again, a segment of steps at a time. The results are
   * the same but for the rounding of the weights' gradients. Default: at every step, nothing is
   * computed twice.
   *
   * `auto` leaves a layer alone whose states and gates take less than 64 MiB for the batch at hand
   * (per direction and stacked layer), and cuts others into segments of about 16 MiB of gates.
   */
  checkpointEvery?: CheckpointEvery;
  /** Of the weights on the input. Default `glorotUniform`. */
  kernelInitializer?: Initializer;
  /**
   * Of the weights on the hidden state, gate by gate. Default `orthogonal`. `identity` with relu is
   * the IRNN (Le, Jaitly and Hinton 2015).
   */
  recurrentInitializer?: Initializer;
  /** Of the biases; the default of an LSTM's forget gate stands beside it. Default `zeros`. */
  biasInitializer?: Initializer | ChronoInitializer;
  /** On the weights on the hidden state. Default none. */
  recurrentRegularizer?: Regularizer;
  /**
   * Of the weights on the hidden state. `{ kind: 'maxAbs', max }` bounds what a state can grow by
   * over a long sequence. Default none.
   */
  recurrentConstraint?: WeightConstraint;
  /** `torch`: all weights and biases uniform in ±1/√units, as PyTorch draws them. */
  init?: 'torch';
}

const RATE = { min: 0, below: 1 } as const;

/** The field of cells that add a candidate to their memory. */
export const candidateDropout = optional(number(RATE, 0));

function readZoneout(value: unknown, label: string): Zoneout {
  if (!isRecord(value)) {
    if (typeof value === 'number') return checkNumber(value, label, RATE);
    throw wrongKind('a number, or one for each state by its name,', label, value);
  }
  const rates: Record<string, number> = {};
  for (const [state, rate] of Object.entries(value)) {
    if (rate !== undefined) rates[state] = checkNumber(rate, `${label}.${state}`, RATE);
  }
  return Object.freeze(rates);
}

/** The longest sequence that the core takes. */
const MAX_STEPS = 2 ** 31 - 1;

/** The schema of {@link RecurrentOptions}. */
export const recurrentSchema = {
  ...layerSchema,
  units: integer(1, MAX_DIMENSION),
  layers: integer(1, 64, 1),
  bidirectional: custom<boolean | MergeMode>((value, label) => {
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'string') throw wrongKind('true, false or a merge mode', label, value);
    return checkOneOf(value, label, MERGE_MODES);
  }, false),
  mergeMode: optional(oneOf(MERGE_MODES)),
  goBackwards: flag(false),
  dropout: number({ min: 0, below: 1 }, 0),
  weightDrop: optional(number({ min: 0, below: 1 }, 0)),
  variationalDropout: optional(flag(false)),
  zoneout: optional(custom<Zoneout>(readZoneout)),
  recurrentDropout: optional(number(RATE, 0)),
  activationRegularization: optional(number({ min: 0 }, 0)),
  temporalActivationRegularization: optional(number({ min: 0 }, 0)),
  useBias: flag(true),
  returnSequences: flag(false),
  returnState: flag(false),
  checkpointEvery: optional(
    custom<CheckpointEvery>((value, label) => {
      const expected = `"auto" or a number of steps, an integer from 1 to ${MAX_STEPS},`;
      if (value === 'auto') return value;
      if (typeof value === 'string') throw wrongValue(expected, label, value);
      if (typeof value !== 'number') throw wrongKind(expected, label, value);
      if (!Number.isInteger(value) || value < 1 || value > MAX_STEPS) {
        throw wrongValue(expected, label, value);
      }
      return value;
    }),
  ),
  kernelInitializer: optional(initializer('glorotUniform')),
  recurrentInitializer: optional(initializer('orthogonal')),
  biasInitializer: optional(biasInitializer('zeros')),
  init: optional(oneOf(['torch'])),
  ...weightRuleSchema,
  recurrentRegularizer: regularizer(),
  recurrentConstraint: constraint(),
} satisfies Schema;

/** Options that have been read but whose defaults depend on each other. */
type Read = Record<string, OptionValue>;

function settle(type: string, read: Read, states: readonly string[]): Read {
  const { bidirectional, mergeMode, init, ...rest } = read;
  const { zoneout } = rest;
  if (isRecord(zoneout)) rejectUnknown(`${type}.zoneout`, Object.keys(zoneout), states);
  if (typeof bidirectional === 'string' && mergeMode !== undefined && mergeMode !== bidirectional) {
    throw wrongKind(
      'the same merge mode as in "bidirectional"',
      `${type}.mergeMode`,
      mergeMode,
      'give it once',
    );
  }
  if (mergeMode !== undefined && bidirectional === false) {
    throw wrongKind('nothing without bidirectional: true', `${type}.mergeMode`, mergeMode);
  }
  if (bidirectional !== false && rest['goBackwards'] === true) {
    throw wrongKind(
      'false with bidirectional',
      `${type}.goBackwards`,
      true,
      'a bidirectional layer reads both ways already',
    );
  }
  for (const name of ['kernelInitializer', 'recurrentInitializer', 'biasInitializer']) {
    if (init === 'torch' && rest[name] !== undefined) {
      throw wrongKind('nothing beside init: "torch"', `${type}.${name}`, rest[name]);
    }
  }
  if (isChrono(rest['biasInitializer']) && rest['useBias'] === false) {
    throw wrongKind('biases with chrono initialisation', `${type}.useBias`, false);
  }
  for (const name of ['activationRegularization', 'temporalActivationRegularization']) {
    if (rest[name] !== undefined && rest['returnSequences'] !== true) {
      throw wrongKind('nothing without returnSequences: true', `${type}.${name}`, rest[name]);
    }
  }
  if (rest['variationalDropout'] === true && rest['dropout'] === 0) {
    throw wrongKind('false without dropout', `${type}.variationalDropout`, true);
  }
  const torch = init === 'torch' ? 'torch' : undefined;
  return {
    ...rest,
    bidirectional: bidirectional !== false,
    mergeMode: typeof bidirectional === 'string' ? bidirectional : (mergeMode ?? 'concat'),
    kernelInitializer: rest['kernelInitializer'] ?? torch ?? 'glorotUniform',
    recurrentInitializer: rest['recurrentInitializer'] ?? torch ?? 'orthogonal',
    biasInitializer: rest['biasInitializer'] ?? torch ?? 'zeros',
  };
}

/** Whether the biases begin by chrono initialisation. */
export function isChrono(value: OptionValue): boolean {
  return isRecord(value) && value['kind'] === 'chrono';
}

/** Gates by their index: the one that keeps the state, and the one that lets new things in. */
export interface TimeGates {
  keep: number;
  /** Absent where 1 - keep does that. */
  write?: number;
}

/** A layer that carries states from step to step. */
export abstract class RecurrentLayer extends Layer {
  readonly #stateNames: readonly string[];

  /** @param stateNames those of the cell, the output first */
  constructor(type: string, read: Read, stateNames: readonly string[]) {
    super(settle(type, read, stateNames));
    this.#stateNames = stateNames;
  }

  /** The gates that chrono initialisation sets, or null for a cell without. */
  protected abstract get timeGates(): TimeGates | null;

  /** Values of h, the output of one direction. */
  protected get outputUnits(): number {
    return this.options['units'] as number;
  }

  override nativeOptions(): NativeOptions {
    const options = super.nativeOptions();
    if (!isChrono(this.options['biasInitializer'])) return options;
    const { keep, write = -1 } = this.timeGates!;
    return { ...options, chronoKeepGate: keep, chronoWriteGate: write };
  }

  override get recurrent(): boolean {
    return true;
  }

  override get states(): readonly StateShape[] {
    const { units, layers, bidirectional } = this.options;
    const slots = (layers as number) * (bidirectional === true ? 2 : 1);
    return this.#stateNames.map((name, i) => ({
      name,
      features: slots * (i === 0 ? this.outputUnits : (units as number)),
    }));
  }

  /**
   * The sequence, and perhaps the initial states: each [batch, features] with the stacked layers and
   * directions side by side, as `finalState` gives them.
   */
  override outputShapeOf(inputs: readonly ValueShape[], place: Place): ValueShape {
    const [input, ...given] = inputs;
    const { states } = this;
    const names = states.map(({ name }) => name).join(', ');
    if (given.length > 0 && given.length !== states.length) {
      throw shapeMismatch(
        `${place.name}: expects its input and perhaps ${states.length === 1 ? 'the initial state' : 'all initial states'}, [x, ${names}], but receives ${inputs.length} inputs`,
      );
    }
    given.forEach((shape, i) => {
      const { name, features } = states[i]!;
      if (!shape.timed && !shape.tokens && shape.features === features) return;
      throw shapeMismatch(
        `${place.name}: expects [batch, ${features}] for the initial state "${name}", but ${place.inputs?.[i + 1] ?? 'an input'} gives ${shapeText(shape)}; a dense layer of ${features} units makes one of any vector`,
      );
    });
    return this.outputShape(input!, place);
  }

  override getConfig(): ReturnType<Layer['getConfig']> {
    const { mergeMode, ...config } = super.getConfig();
    return this.options['bidirectional'] === true ? { ...config, mergeMode: mergeMode! } : config;
  }

  outputShape(input: ValueShape, place: Place): ValueShape {
    requireNumbers(input, place);
    requireSequence(input, place);
    const { bidirectional, mergeMode, returnSequences } = this.options;
    const doubled = bidirectional === true && mergeMode === 'concat';
    return {
      features: this.outputUnits * (doubled ? 2 : 1),
      timed: returnSequences === true,
      tokens: false,
    };
  }
}
