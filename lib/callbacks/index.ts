/** Public names of `callbacks`. */
export { earlyStopping } from './early-stopping';
export type { EarlyStopping, EarlyStoppingOptions } from './early-stopping';
export { learningRateLogger } from './learning-rate-logger';
export type { LearningRateLogger, LearningRateLoggerOptions } from './learning-rate-logger';
export { csvLogger, jsonLogger } from './loggers';
export type { CsvLoggerOptions, JsonLoggerOptions, LoggerOptions } from './loggers';
export { modelCheckpoint } from './model-checkpoint';
export type { ModelCheckpoint, ModelCheckpointOptions } from './model-checkpoint';
export type { MonitorOptions } from './monitor';
export { tensorBoard } from './tensor-board';
export type { TensorBoardOptions } from './tensor-board';
export { terminateOnNaN } from './terminate-on-nan';
export type { NaNReport, TerminateOnNaN, TerminateOnNaNOptions } from './terminate-on-nan';
export type { Callback, FitContext } from './callback';
export { latestCheckpoint } from '../checkpoint/directory';
