/** Metrics as plain functions, for predictions from anywhere; those of `fit` have names. */
export {
  accuracy,
  auc,
  bits,
  confusionMatrix,
  f1,
  f1ByClass,
  perplexity,
  topKAccuracy,
} from './classification';
export type { ConfusionOptions, F1Options, Predictions } from './classification';
export type { Average, F1Scores } from './counts';
export { crps, mase, smape } from './forecast';
export type { DistributionForecast } from './forecast';
export { characterErrorRate, editDistance, wordErrorRate } from './text';
export type { Sequence } from './text';
