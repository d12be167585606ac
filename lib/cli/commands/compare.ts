import { Command } from 'commander';
import type { Finish } from '../program';

const EXAMPLES = `
Examples:
  $ ostinato compare runs/lstm runs/gru
  $ ostinato compare runs/* --out all.html

Shows the settings in which the runs differ, and the scores of their best epochs; with --out also the
curves of all runs in one page.`;

interface Options {
  out?: string;
  json?: boolean;
}

/** `ostinato compare` */
export function compareCommand(finish: Finish): Command {
  return new Command('compare')
    .summary('lay runs side by side')
    .description('Compares runs of "ostinato train --dir".')
    .argument('<dirs...>', 'two run directories or more')
    .option('--out <file>', 'also write an HTML page with the curves')
    .option('--json', 'print one JSON object for machines')
    .addHelpText('after', EXAMPLES)
    .action(async (directories: string[], options: Options) => {
      const { compare } = await import('../tasks/compare.js');
      finish(await compare(directories, options));
    });
}
