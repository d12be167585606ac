import { Command } from 'commander';
import { checkText, custom, integer, optional } from '../../validate';
import type { Finish } from '../program';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings } from '../settings';

const EXAMPLES = `
Examples:
  $ ostinato train sales.yaml --dir runs/sales
  $ ostinato forecast runs/sales --data sales.csv
  $ ostinato forecast runs/sales --data sales.csv --out next.csv

Reads the last rows of the file, as many as the model's context, and prints the rows that follow. Of a
likelihood the interval holds the outcome in eight of ten cases; of quantiles it is that of the
outermost ones.`;

/** What `forecast` can be told. */
export const forecastFlags = {
  data: textual('--data <file>', 'CSV file that ends where the forecast begins', custom(checkText)),
  out: textual('--out <file>', 'write the forecast as CSV', optional(custom(checkText))),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  json: jsonSwitch('one JSON object'),
} satisfies Settings;

/** `ostinato forecast` */
export function forecastCommand(finish: Finish): Command {
  const command = new Command('forecast')
    .summary('say how a series goes on')
    .description('Forecasts the rows that follow a CSV file.')
    .argument('<model>', 'a model of "task: forecast", or its run directory')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(forecastFlags)) command.addOption(optionOf(setting));
  return command.action(async (model: string, flags: Record<string, unknown>) => {
    const { forecast } = await import('../tasks/forecast.js');
    finish(await forecast(model, flags));
  });
}
