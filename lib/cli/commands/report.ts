import { Command } from 'commander';
import type { Finish } from '../program';

const EXAMPLES = `
Examples:
  $ ostinato report runs/book
  $ ostinato report runs/book --out book.html --json

The page needs nothing but a browser: curves to zoom into, a sample of the best model, the
configuration and the machine. A run that is still going on can be looked at as well.`;

interface Options {
  out?: string;
  json?: boolean;
}

/** `ostinato report` */
export function reportCommand(finish: Finish): Command {
  return new Command('report')
    .summary('make a page of a run: curves, a sample, the configuration')
    .description('Writes a self-contained HTML page of a run of "ostinato train --dir".')
    .argument('<dir>', 'the run directory')
    .option('--out <file>', 'where to write the page (default: report.html in the folder)')
    .option('--json', 'print one JSON object for machines')
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string, options: Options) => {
      const { report } = await import('../tasks/report.js');
      finish(await report(directory, options));
    });
}
