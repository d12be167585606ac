import { Command } from 'commander';
import { checkText, custom, integer, optional } from '../../validate';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings } from '../settings';

const EXAMPLES = `
Examples:
  $ ostinato predict runs/names --data new.csv
  $ ostinato predict names.safetensors --data new.jsonl --out labels.jsonl

Prints a line for each sequence: its label and the label's probability, or the labels of its steps.
The file is like the one that was learnt, labels need not be there.`;

/** What `predict` can be told. */
export const predictFlags = {
  data: textual('--data <file>', 'CSV file or JSON lines with sequences', custom(checkText)),
  out: textual('--out <file>', 'write JSON lines there', optional(custom(checkText))),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('JSON lines'),
} satisfies Settings;

/** `ostinato predict` */
export function predictCommand(finish: Finish): Command {
  const command = new Command('predict')
    .summary('label sequences')
    .description('Labels the sequences of a file, or their steps.')
    .argument('<model>', 'a model of "task: classify" or "tag", or its run directory')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(predictFlags)) command.addOption(optionOf(setting));
  return command.action(async (model: string, flags: Record<string, unknown>) => {
    const { predict } = await import('../tasks/predict.js');
    finish(await predict(model, flags));
  });
}
