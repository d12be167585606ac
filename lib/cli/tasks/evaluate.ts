import { setThreads } from '../../index';
import { evalSettings } from '../commands/eval';
import { encodeText, evaluationWindows, openLanguageModel, readText } from '../language-model';
import { Output, columns, durationText, grouped } from '../output';
import { settle } from '../settings';
import { EXIT, UsageError } from '../usage-error';

/** Measures the model of a file on a text. */
export async function evaluate(
  file: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const values = settle(evalSettings, flags);
  const output = new Output(values.json);
  if (values.threads !== undefined) setThreads(values.threads);
  if ((values.text === undefined) === (values.data === undefined)) {
    throw new UsageError(
      'Give --text for a language model, or --data for a model that was trained on data',
    );
  }
  if (values.data !== undefined) {
    const { evaluateOnData } = await import('../sequence/evaluate.js');
    return evaluateOnData(file, values.data, values.json);
  }
  const source = values.text!;
  const content = await readText(source);
  const { model, vocab } = await openLanguageModel(file);
  const windows = evaluationWindows(encodeText(vocab, content, source));
  const start = performance.now();
  const scores = await model.evaluate(windows, {
    loss: 'sparseCategoricalCrossentropy',
    metrics: ['bits', 'perplexity', 'accuracy'],
  });
  const seconds = (performance.now() - start) / 1000;
  model.dispose();
  const bitsPerCharacter = scores.bits!;
  const accuracy = scores.accuracy!;
  const perplexity = scores.perplexity!;
  const characters = windows.tokens;
  output.object({ bitsPerCharacter, perplexity, accuracy, characters, seconds });
  output.line(
    columns([
      [
        'bits per character',
        `${bitsPerCharacter.toFixed(4)} (guessing: ${Math.log2(vocab.size).toFixed(2)})`,
      ],
      ['perplexity', perplexity.toFixed(3)],
      ['right', `${(100 * accuracy).toFixed(2)} % of the next characters`],
      ['characters', `${grouped(characters)} in ${durationText(seconds)}`],
    ]),
  );
  return EXIT.done;
}
