import { Command } from 'commander';
import { custom, integer, number, optional } from '../../validate';
import { wrongKind } from '../../errors';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings, Values } from '../settings';

const EXAMPLES = `
Examples:
  $ ostinato generate book.safetensors
  $ ostinato generate book.safetensors --prompt "It was " --length 500
  $ ostinato generate book.safetensors --temperature 0.5 --top-k 10 --seed 7

A low temperature repeats what is most common; a high one is more various and errs more. At 0 the
most probable character is always taken. The same seed gives the same text.`;

/** What `generate` can be told. */
export const generateSettings = {
  prompt: textual(
    '--prompt <text>',
    'what the text begins with',
    custom<string>((value, name) => {
      if (typeof value !== 'string') throw wrongKind('a text', name, value);
      return value;
    }, ''),
  ),
  length: numeric('--length <n>', 'characters to write', integer(1, 100_000_000, 300)),
  temperature: numeric('--temperature <x>', 'how daring to be', number({ min: 0 }, 0.8)),
  topK: numeric(
    '--top-k <n>',
    'choose among the n most probable characters',
    optional(integer(1, 2 ** 24)),
  ),
  topP: numeric(
    '--top-p <x>',
    'choose among the most probable characters that have this share together',
    optional(number({ above: 0, max: 1 })),
  ),
  seed: numeric(
    '--seed <n>',
    'seed of the choice (default: another each time)',
    optional(integer(0, Number.MAX_SAFE_INTEGER)),
  ),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('one JSON object'),
} satisfies Settings;

/** The values of {@link generateSettings}. */
export type GenerateValues = Values<typeof generateSettings>;

/** `ostinato generate` */
export function generateCommand(finish: Finish): Command {
  const command = new Command('generate')
    .summary('write text with a trained model')
    .description('Writes text with a character language model that "ostinato train" saved.')
    .argument('<file>', 'the model')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(generateSettings)) command.addOption(optionOf(setting));
  return command.action(async (file: string, flags: Record<string, unknown>) => {
    const { generate } = await import('../tasks/generate.js');
    finish(await generate(file, flags));
  });
}
