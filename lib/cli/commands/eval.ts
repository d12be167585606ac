import { Command } from 'commander';
import { checkText, custom, integer, optional } from '../../validate';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings, Values } from '../settings';

const EXAMPLES = `
Examples:
  $ ostinato eval book.safetensors --text other.txt
  $ ostinato eval book.safetensors --text other.txt --json
  $ ostinato eval runs/sales --data newer.csv

Bits per character say how surprised the model is: 1 bit is a fair choice between two characters.
Guessing among 64 characters costs 6 bits; a good model of English prose needs less than 2.`;

/** What `eval` can be told. */
export const evalSettings = {
  text: textual('--text <file>', 'text to measure on, in UTF-8', optional(custom(checkText))),
  data: textual(
    '--data <file>',
    'data to measure on, for models that were trained on data',
    optional(custom(checkText)),
  ),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('one JSON object'),
} satisfies Settings;

/** The values of {@link evalSettings}. */
export type EvalValues = Values<typeof evalSettings>;

/** `ostinato eval` */
export function evalCommand(finish: Finish): Command {
  const command = new Command('eval')
    .summary('measure how good a model is')
    .description('Measures how well a language model predicts a text, or another model its data.')
    .argument('<file>', 'the model, or its run directory with --data')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(evalSettings)) command.addOption(optionOf(setting));
  return command.action(async (file: string, flags: Record<string, unknown>) => {
    const { evaluate } = await import('../tasks/evaluate.js');
    finish(await evaluate(file, flags));
  });
}
