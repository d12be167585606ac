export { EncoderDecoder, encoderDecoder, loadEncoderDecoder } from './encoder-decoder';
export type { Hypothesis } from './beam';
export type { DecodeOptions } from './decode';
export type { EncoderDecoderOptions, SourceTokens, TargetTokens, TokenSequence } from './options';
export type { Guess } from './scheduled-sampling';
export type {
  EncoderDecoderEvaluateOptions,
  EncoderDecoderFitOptions,
  EncoderDecoderScores,
} from './train';
export type { TeacherForcing } from './teacher-forcing';
