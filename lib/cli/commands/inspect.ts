import { Command } from 'commander';
import type { Finish } from '../program';

const EXAMPLES = `
Examples:
  $ ostinato inspect book.safetensors
  $ ostinato inspect pytorch-state-dict.safetensors --json

Reads the head of the file alone, so that files of any size are looked into at once. Files that
other libraries wrote are shown too; they have no layers to tell of.`;

/** `ostinato inspect` */
export function inspectCommand(finish: Finish): Command {
  return new Command('inspect')
    .summary('show what is in a model file')
    .description('Shows the layers, tensors and number of parameters of a safetensors file.')
    .argument('<file>', 'a safetensors file, of this program or of any other')
    .option('--json', 'print one JSON object for machines')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, { json = false }: { json?: boolean }) => {
      const { inspect } = await import('../tasks/inspect.js');
      finish(await inspect(file, json));
    });
}
