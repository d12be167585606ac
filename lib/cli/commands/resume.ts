import { Command } from 'commander';
import { integer, optional } from '../../validate';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf } from '../settings';
import type { Settings, Values } from '../settings';

const EXAMPLES = `
Examples:
  $ ostinato train --text book.txt --dir runs/book --epochs 20
  $ ostinato resume runs/book

  A search goes on, too, with the trial at hand:
  $ ostinato search sales.yaml --dir runs/sales
  $ ostinato resume runs/sales

The run goes on from its newest whole checkpoint, and ends with the same weights, bit for bit, as if
it had not been interrupted, whatever ended it: Ctrl-C, kill -9 or a power cut. Its settings are those
of run.json in the folder; the text must not have changed. A run that was moved goes on where it is.`;

/** What `resume` can be told. */
export const resumeSettings = {
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('JSON lines'),
} satisfies Settings;

/** The values of {@link resumeSettings}. */
export type ResumeValues = Values<typeof resumeSettings>;

/** `ostinato resume` */
export function resumeCommand(finish: Finish): Command {
  const command = new Command('resume')
    .summary('go on with a run that was interrupted')
    .description('Goes on with a run of "ostinato train --dir", or with an "ostinato search".')
    .argument('<dir>', 'the directory of the run or the search')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(resumeSettings)) command.addOption(optionOf(setting));
  return command.action(async (directory: string, flags: Record<string, unknown>) => {
    const { resume } = await import('../tasks/resume.js');
    finish(await resume(directory, flags));
  });
}
