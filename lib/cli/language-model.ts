/** Character language models as files: layers, weights, and the vocabulary in the metadata. */
import { readFile } from 'node:fs/promises';
import { layers, load, safetensors, sequential, text } from '../index';
import type { Layer, Model, WindowDataset } from '../index';
import { isRecord } from '../validate';
import { Failure, fileError } from './failures';

type Vocabulary = text.CharVocab;

/** A model that predicts the next character. */
export interface LanguageModel {
  model: Model;
  vocab: Vocabulary;
}

/** What a new model is made of. */
export interface Architecture {
  cell: 'lstm' | 'gru' | 'rnn';
  units: number;
  /** Recurrent layers. */
  depth: number;
  /** Size of a character's vector. */
  embedding: number;
  dropout: number;
}

const CELLS = { lstm: layers.lstm, gru: layers.gru, rnn: layers.simpleRnn };

/** A model with fresh weights. */
export function buildLanguageModel(
  vocab: Vocabulary,
  { cell, units, depth, embedding, dropout }: Architecture,
  seed: number,
): LanguageModel {
  const stack: Layer[] = [
    // From a normal distribution of deviation 1: small vectors take long to tell apart.
    layers.embedding({ inputDim: vocab.size, units: embedding, embeddingsInitializer: 'torch' }),
    CELLS[cell]({ units, layers: depth, dropout, returnSequences: true }),
  ];
  if (dropout > 0) stack.push(layers.dropout({ rate: dropout }));
  stack.push(layers.dense({ units: vocab.size }));
  const model = sequential(stack, { seed });
  // Checkpoints are models as well, with the vocabulary in them.
  model.metadata = { vocab };
  return { model, vocab };
}

/**
 * Loads a character language model.
 *
 * @throws Failure for a model of another kind; OstinatoError for a file that cannot be read
 */
export async function openLanguageModel(path: string): Promise<LanguageModel> {
  const { metadata } = await safetensors.inspect(path);
  if (metadata['ostinato.config'] === undefined) {
    throw new Failure(
      `"${path}" is no character language model: it holds tensors alone, without layers and vocabulary`,
      'ERR_FORMAT',
    );
  }
  const model = await load(path);
  try {
    const json = isRecord(model.metadata) ? model.metadata['vocab'] : undefined;
    if (json === undefined) {
      throw new Failure(
        `"${path}" is no character language model: it holds no vocabulary, as "ostinato train" saves it`,
        'ERR_FORMAT',
      );
    }
    const vocab = text.CharVocab.fromJSON(json);
    const { input, output } = model;
    if (!input.tokens || !output.timed || output.features !== vocab.size) {
      throw new Failure(
        `"${path}" is no character language model: its layers do not go from the ${vocab.size} characters of its vocabulary to a score for each of them`,
        'ERR_FORMAT',
      );
    }
    return { model, vocab };
  } catch (error) {
    model.dispose();
    if (error instanceof Failure) throw error;
    throw new Failure(
      `"${path}" has a vocabulary that cannot be used: ${(error as Error).message}`,
      'ERR_FORMAT',
      { cause: error },
    );
  }
}

/** Writes the model with its vocabulary. */
export async function saveLanguageModel(
  { model, vocab }: LanguageModel,
  path: string,
): Promise<void> {
  const kept = isRecord(model.metadata) ? model.metadata : {};
  await model.save(path, { metadata: { ...kept, vocab } });
}

/**
 * A text file as a string.
 *
 * @throws Failure when it cannot be read, is not UTF-8 or is too short to learn anything from
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Failure(`${path} is not UTF-8 text`, 'ERR_FORMAT', { cause: error });
  }
  if (content.length < 2) {
    throw new Failure(`${path} has fewer than 2 characters`, 'ERR_FORMAT');
  }
  return content;
}

/** Most unknown characters that a message names. */
const SHOWN = 10;

/**
 * The ids of a text.
 *
 * @param source where the text is from, for messages
 * @throws Failure that names the characters which the model does not know
 */
export function encodeText(vocab: Vocabulary, content: string, source: string): Int32Array {
  if (vocab.unknown === 'throw') {
    const unknown = [...new Set(content)].filter((character) => !vocab.has(character));
    if (unknown.length > 0) {
      const shown = unknown.slice(0, SHOWN).map((character) => JSON.stringify(character));
      const more = unknown.length > SHOWN ? ` and ${unknown.length - SHOWN} more` : '';
      throw new Failure(
        `The model does not know ${unknown.length === 1 ? 'a character' : 'some characters'} of ${source}: ${shown.join(' ')}${more}`,
        'ERR_UNKNOWN_CHARACTER',
      );
    }
  }
  return vocab.encode(content);
}

/** Fewest characters that a lane of an evaluation reads: its first ones lack what went before. */
const LANE_CHARACTERS = 4_096;
const MOST_LANES = 64;
const EVALUATION_LENGTH = 256;

/** Windows that read a text once from its beginning to its end, in lanes where it is long. */
export function evaluationWindows(ids: Int32Array): WindowDataset {
  const lanes = Math.floor(ids.length / LANE_CHARACTERS);
  return text.windows(ids, {
    length: EVALUATION_LENGTH,
    batchSize: Math.min(MOST_LANES, Math.max(1, lanes)),
  });
}

/** `embedding 64 → lstm 256 × 2 → dense 89` */
export function describeLayers(configs: readonly { type: string }[]): string {
  return configs
    .map((config) => {
      const { type, units, layers: depth, rate } = config as Record<string, unknown>;
      const parts = [type];
      if (typeof units === 'number') parts.push(units);
      if (typeof depth === 'number' && depth > 1) parts.push('×', depth);
      if (typeof rate === 'number') parts.push(rate);
      return parts.join(' ');
    })
    .join(' → ');
}

/** What a text begins after when nobody says so: the beginning of a line, if there are lines. */
export function beginning(vocab: Vocabulary): string {
  return ['\n', ' '].find((character) => vocab.has(character)) ?? vocab.characters[0]!;
}
