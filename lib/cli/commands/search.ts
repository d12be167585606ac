import { Command } from 'commander';
import { checkText, custom, integer, oneOf, optional } from '../../validate';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings, Values } from '../settings';

const EXAMPLES = `
Examples:
  Write what may vary in place of a value, and how to search under "search":
    $ cat sales.yaml
    task: forecast
    data: sales.csv
    target: sales
    context: 28
    horizon: 7
    epochs: 27
    learningRate: { logUniform: [1e-4, 1e-1] }
    layers:
      - { type: { choice: [lstm, gru] }, units: { logInt: [16, 256] } }
      - { type: dropout, rate: { uniform: [0, 0.5] } }
    search: { method: halving, trials: 30 }
    $ ostinato search sales.yaml --dir runs/sales

  Another metric than the held-out loss, and less work:
    $ ostinato search sales.yaml --dir runs/quick --metric valCrps --trials 9 --max-epochs 9

  Go on after Ctrl-C, kill -9 or a power cut, by either of:
    $ ostinato search sales.yaml --dir runs/sales
    $ ostinato resume runs/sales

  Use what was found:
    $ ostinato compare runs/sales/trial-004 runs/sales/trial-017
    $ ostinato forecast runs/sales/trial-017 --data sales.csv

What may stand in place of a value, at any depth:
  { choice: [a, b, ...] }         one of these
  { uniform: [least, largest] }   a number, all alike
  { logUniform: [least, largest] }  a number, all magnitudes alike: for rates
  { int: [least, largest] }       a whole number, both ends included
  { logInt: [least, largest] }    the same, all magnitudes alike: for sizes

Methods: "random" trains every trial to the end. "halving" trains all of them a little, then the best
third three times as long, and so on: it sees many more points in the same time. A trial that goes on
goes on exactly, so the winner is the run that "ostinato train" would have made of its values.

Every trial is a run directory, trial-001 and so on; search.json says how far the search is, and
search.html shows it: the score over each parameter, and the curves. The same seed draws the same
trials; a random search whose --trials grows keeps those that it has. Keys under "search" are the flags
in camelCase; flags go before them. Ctrl-C saves the trial at hand and ends.`;

/** How to search: flags, and keys under `search` of the configuration. */
export const searchSettings = {
  method: textual(
    '--method <name>',
    'random, or halving',
    oneOf(['random', 'halving'] as const, 'random'),
  ),
  trials: numeric('--trials <n>', 'points to try', integer(1, 10_000, 20)),
  metric: textual(
    '--metric <name>',
    'score of an epoch to go by: loss, valLoss, valAccuracy, ... (default: valLoss; loss where nothing is held out)',
    optional(custom(checkText)),
  ),
  mode: textual(
    '--mode <name>',
    'min or max: whether less or more of it is better (default: by its name)',
    optional(oneOf(['min', 'max'] as const)),
  ),
  maxEpochs: numeric(
    '--max-epochs <n>',
    'epochs of a whole trial (default: those of the configuration)',
    optional(integer(1, 1_000_000)),
  ),
  minEpochs: numeric(
    '--min-epochs <n>',
    'halving: fewest epochs before a trial is dropped',
    integer(1, 1_000_000, 1),
  ),
  reduction: numeric(
    '--reduction <n>',
    'halving: one trial of so many goes on, so many times as long',
    integer(2, 1000, 3),
  ),
  seed: numeric(
    '--seed <n>',
    'seed of the points; that of the weights is a key of the configuration',
    integer(0, Number.MAX_SAFE_INTEGER, 0),
  ),
} satisfies Settings;

/** Where and how the command works, beside what is searched. */
export const searchPlaces = {
  dir: textual(
    '--dir <folder>',
    'where trials and results go (required here or as a key of the configuration)',
    optional(custom(checkText)),
  ),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('JSON lines'),
} satisfies Settings;

/** The values of {@link searchSettings}. */
export type SearchValues = Values<typeof searchSettings>;

/** `ostinato search` */
export function searchCommand(finish: Finish): Command {
  const command = new Command('search')
    .summary('try hyper-parameters: randomly, or by successive halving')
    .description(
      'Trains a configuration with drawn values, time and again, and finds out which are best.',
    )
    .argument('<config>', 'configuration file in JSON or YAML, as "ostinato train" takes it')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values({ ...searchSettings, ...searchPlaces })) {
    command.addOption(optionOf(setting));
  }
  return command.action(async (config: string, flags: Record<string, unknown>) => {
    const { search } = await import('../tasks/search.js');
    finish(await search(config, flags));
  });
}
