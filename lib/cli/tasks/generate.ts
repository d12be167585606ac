import { randomInt } from 'node:crypto';
import { setThreads, text } from '../../index';
import { generateSettings } from '../commands/generate';
import { beginning, encodeText, openLanguageModel } from '../language-model';
import { Output } from '../output';
import { settle } from '../settings';
import { EXIT } from '../usage-error';

/** Seeds that are drawn are short, so that they are easily typed. */
const DRAWN_SEEDS = 1_000_000;

/** Writes text with the model of a file. */
export async function generate(
  file: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const values = settle(generateSettings, flags);
  const output = new Output(values.json);
  if (values.threads !== undefined) setThreads(values.threads);
  const { model, vocab } = await openLanguageModel(file);
  const { prompt, length, temperature, topK = 0, topP = 1 } = values;
  encodeText(vocab, prompt, 'the prompt');
  const seed = values.seed ?? randomInt(DRAWN_SEEDS);
  const start = performance.now();
  const session = model.session();
  let written = '';
  output.text(prompt);
  const options = { length, temperature, topK, topP, seed };
  for await (const character of text.generate(session, vocab, {
    prompt: prompt === '' ? beginning(vocab) : prompt,
    ...options,
  })) {
    output.text(character);
    written += character;
  }
  const seconds = (performance.now() - start) / 1000;
  session.dispose();
  model.dispose();
  output.line();
  output.object({ prompt, text: written, characters: length, ...options, seconds });
  return EXIT.done;
}
