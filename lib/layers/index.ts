/** All layers: factories, their classes' types and their options. */
export { activation } from './activation';
export { attention } from './attention';
export { batchNorm } from './batch-norm';
export { conv1d, depthwiseConv1d } from './conv1d';
export { custom } from './custom';
export { dense } from './dense';
export { dropout } from './dropout';
export { embedding } from './embedding';
export { finalState } from './final-state';
export { globalAveragePooling1d, globalMaxPooling1d } from './global-pooling';
export { glu } from './glu';
export { gru } from './gru';
export { highway } from './highway';
export { indRnn } from './ind-rnn';
export { lastStep } from './last-step';
export { layerNorm } from './layer-norm';
export { lstm } from './lstm';
export { add, concat, multiply } from './merge';
export { averagePooling1d, maxPooling1d } from './pooling1d';
export { repeatVector } from './repeat-vector';
export { reshape } from './reshape';
export { rmsNorm } from './rms-norm';
export { simpleRnn } from './simple-rnn';
export { spatialDropout1d } from './spatial-dropout1d';
export { layerFromConfig as fromConfig } from './layer';

export type { Activation, ActivationName, ActivationOptions } from './activation';
export type { Attention, AttentionOptions, AttentionScore } from './attention';
export type { CellNorm, NormalizedOptions } from './cell-norm';
export type { Custom, CustomOptions } from './custom';
export type { BatchNorm, BatchNormOptions } from './batch-norm';
export type { Conv1d, Conv1dOptions, DepthwiseConv1d, DepthwiseConv1dOptions } from './conv1d';
export type { Dense, DenseOptions } from './dense';
export type { Dropout, DropoutOptions } from './dropout';
export type { Embedding, EmbeddingOptions } from './embedding';
export type { FinalState, FinalStateOptions } from './final-state';
export type {
  GlobalAveragePooling1d,
  GlobalMaxPooling1d,
  GlobalPoolingOptions,
} from './global-pooling';
export type { Glu, GluOptions } from './glu';
export type { Gru, GruOptions } from './gru';
export type { Highway, HighwayOptions } from './highway';
export type { IndRnn, IndRnnOptions } from './ind-rnn';
export type { LastStep, LastStepOptions } from './last-step';
export type { LayerNorm, LayerNormOptions } from './layer-norm';
export type { Lstm, LstmOptions } from './lstm';
export type {
  CheckpointEvery,
  MergeMode,
  RecurrentLayer,
  RecurrentOptions,
  Zoneout,
} from './recurrent';
export type { Add, Concat, MergeOptions, Multiply } from './merge';
export type { AveragePooling1d, MaxPooling1d, Pooling1dOptions } from './pooling1d';
export type { RepeatVector, RepeatVectorOptions } from './repeat-vector';
export type { Reshape, ReshapeOptions } from './reshape';
export type { RmsNorm, RmsNormOptions } from './rms-norm';
export type { SimpleRnn, SimpleRnnOptions } from './simple-rnn';
export type {
  ChronoInitializer,
  Initializer,
  InitializerConfig,
  InitializerName,
} from './initializers';
export type { Regularizer, WeightConstraint, WeightPenalty } from './weight-rules';
export type { Layer, LayerConfig, LayerOptions, OptionParts } from './layer';
export type { SpatialDropout1d, SpatialDropout1dOptions } from './spatial-dropout1d';
