/** All layers: factories, their classes' types and their options. */
export { activation } from './activation';
export { dense } from './dense';
export { dropout } from './dropout';
export { embedding } from './embedding';
export { gru } from './gru';
export { lastStep } from './last-step';
export { layerNorm } from './layer-norm';
export { lstm } from './lstm';
export { simpleRnn } from './simple-rnn';
export { layerFromConfig as fromConfig } from './layer';

export type { Activation, ActivationName, ActivationOptions } from './activation';
export type { Dense, DenseOptions } from './dense';
export type { Dropout, DropoutOptions } from './dropout';
export type { Embedding, EmbeddingOptions } from './embedding';
export type { Gru, GruOptions } from './gru';
export type { LastStep, LastStepOptions } from './last-step';
export type { LayerNorm, LayerNormOptions } from './layer-norm';
export type { Lstm, LstmOptions } from './lstm';
export type { CheckpointEvery, MergeMode, RecurrentLayer, RecurrentOptions } from './recurrent';
export type { SimpleRnn, SimpleRnnOptions } from './simple-rnn';
export type {
  ChronoInitializer,
  Initializer,
  InitializerConfig,
  InitializerName,
} from './initializers';
export type { Layer, LayerConfig, LayerOptions, OptionParts } from './layer';
