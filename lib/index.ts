/** Public names. */
export { Model, fromConfig, load, model, sequential } from './model';
export { input } from './symbolic';
export type { InputOptions, SymbolicTensor } from './symbolic';
export type { Tensors } from './graph';
export type { LoadWeightsOptions, ModelOptions, SaveOptions, SequentialOptions } from './model';
export { Session } from './session';
export type { SessionOptions, StepInput } from './session';
export { defineCell } from './cells';
export type { Cell, CellOptions, CellStepInput, Expression, Operand, Operations } from './cells';
export { EncoderDecoder, encoderDecoder, loadEncoderDecoder } from './seq2seq';
export type {
  DecodeOptions,
  EncoderDecoderEvaluateOptions,
  EncoderDecoderFitOptions,
  EncoderDecoderOptions,
  EncoderDecoderScores,
  Guess,
  Hypothesis,
  SourceTokens,
  TargetTokens,
  TeacherForcing,
  TokenSequence,
} from './seq2seq';
export { OstinatoError } from './errors';
export type { ErrorCode } from './errors';
export { getThreads, info, setThreads } from './runtime';
export type { Info } from './runtime';

export * as callbacks from './callbacks';
export * as ctc from './ctc';
export * as layers from './layers';
export * as metrics from './measures';
export * as optimizers from './optimizers';
export * as schedules from './schedules';
export * as teacherForcing from './seq2seq/teacher-forcing';
export * as safetensors from './safetensors';
export * as text from './text';

export type {
  ArrayInput,
  ModelData,
  NDArray,
  NestedArray,
  NumericArray,
  ShapedArray,
} from './data/arrays';
export type { Callback, FitContext } from './callbacks';
export type { Batch, BatchLike, BatchStream } from './data/batches';
export type { WindowDataset } from './data/window-dataset';
export type { EvaluateOptions } from './evaluate';
export type { EpochEvent, FitOptions, History } from './fit';
export type { BatchEvent } from './fit-run';
export type { GradientOptions, Gradients, UpstreamOptions } from './gradients';
export type { Layer, LayerConfig } from './layers';
export type { LossByOutput, LossName, LossOptions } from './losses';
export type { MetricName, MetricOptions, Scores } from './metrics';
export type { Optimizer } from './optimizers';
export type { PredictOptions, Prediction } from './predict';
export type { MonitoredSchedule, PlateauState, Schedule } from './schedules';
export type { ModelConfig } from './serialize';
export type { States, StatesInput } from './states';
export type { ValueShape } from './shapes';
export type { GetWeightsOptions, LoadReport, NameMap, Weights } from './weights';
