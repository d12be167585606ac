/** Character language models: vocabularies, windows, generation. */
export { CharVocab, charVocab } from './char-vocab';
export type { CharVocabJson, CharVocabOptions, UnknownPolicy } from './char-vocab';
export { windows } from './windows';
export type { WindowsOptions } from './windows';
export { generate } from './generate';
export type { GenerateOptions } from './generate';
