import { Command } from 'commander';
import type { Finish } from '../program';

const EXAMPLES = `
Examples:
  $ ostinato info
  $ OSTINATO_ISA=scalar ostinato info --json

OSTINATO_ISA forces an instruction set, OSTINATO_NUM_THREADS sets the number of threads.`;

/** `ostinato info` */
export function infoCommand(finish: Finish): Command {
  return new Command('info')
    .summary('show what this installation runs on')
    .description('Shows the version, the instruction set, the threads and the cells.')
    .option('--json', 'print one JSON object for machines')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json = false }: { json?: boolean }) => {
      const { info } = await import('../tasks/info.js');
      finish(info(json));
    });
}
