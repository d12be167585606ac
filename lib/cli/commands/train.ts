import { Command } from 'commander';
import { MAX_DIMENSION, checkText, custom, integer, number, oneOf, optional } from '../../validate';
import { jsonSwitch, numeric, optionOf, textual } from '../settings';
import type { Settings, Values } from '../settings';
import type { Finish } from '../program';

const EXAMPLES = `
Examples:
  Train for a minute on a book, then write like it:
    $ ostinato train --text book.txt --out book.safetensors --seconds 60
    $ ostinato generate book.safetensors --prompt "It was "

  Two layers of GRU with dropout, five passes over the text:
    $ ostinato train --text book.txt --cell gru --layers 2 --dropout 0.2 --epochs 5

  The same every time, from a configuration file; flags go before the file's values:
    $ cat book.yaml
    text: book.txt
    out: book.safetensors
    units: 384
    epochs: 10
    $ ostinato train book.yaml --seed 7

  A run that survives whatever ends it, and goes on bit for bit:
    $ ostinato train --text book.txt --dir runs/book --epochs 20
    $ ostinato resume runs/book

  Forecast a CSV file, or label sequences (see docs/runs.md for the keys):
    $ cat sales.yaml
    task: forecast
    data: sales.csv
    target: sales
    context: 28
    horizon: 7
    layers: [{ type: lstm, units: 64 }]
    $ ostinato train sales.yaml --dir runs/sales
    $ ostinato forecast runs/sales --data sales.csv

  Go on with a model; its layers and its vocabulary stay as they are:
    $ ostinato train --text book.txt --resume book.safetensors --out book2.safetensors

In a configuration file the keys are the flags in camelCase (learningRate for --learning-rate), and
paths begin at the file's folder. With --epochs, the same seed, text and settings give the same file,
byte for byte, for any number of threads. With --seconds the machine's speed decides how many steps
there are. Ctrl-C finishes the step, saves the model and ends; a second Ctrl-C ends at once.`;

/** What `train` can be told. */
export const trainSettings = {
  text: textual('--text <file>', 'text to learn, in UTF-8', custom(checkText)),
  out: textual(
    '--out <file>',
    'where to save the model (default: "model.safetensors", with --dir in that folder)',
    optional(custom(checkText)),
  ),
  dir: textual(
    '--dir <folder>',
    'run directory: checkpoints, logs and the model, for "ostinato resume"',
    optional(custom(checkText)),
  ),
  cell: textual(
    '--cell <name>',
    'lstm, gru or rnn (default: "lstm")',
    optional(oneOf(['lstm', 'gru', 'rnn'] as const)),
  ),
  units: numeric(
    '--units <n>',
    'size of a recurrent layer (default: 256)',
    optional(integer(1, MAX_DIMENSION)),
  ),
  layers: numeric(
    '--layers <n>',
    'recurrent layers, one on the other (default: 1)',
    optional(integer(1, 64)),
  ),
  embedding: numeric(
    '--embedding <n>',
    'size of the vector of a character (default: 64)',
    optional(integer(1, MAX_DIMENSION)),
  ),
  dropout: numeric(
    '--dropout <x>',
    'share of outputs dropped between layers and before the last (default: 0)',
    optional(number({ min: 0, below: 1 })),
  ),
  length: numeric('--length <n>', 'characters of a training window', integer(1, 65_536, 64)),
  batch: numeric('--batch <n>', 'places in the text that are read at once', integer(1, 65_536, 32)),
  epochs: numeric(
    '--epochs <n>',
    'passes over the text (default: 5, unless --seconds is given)',
    optional(integer(1, 1_000_000)),
  ),
  seconds: numeric(
    '--seconds <x>',
    'train for this long instead of --epochs',
    optional(number({ above: 0 })),
  ),
  learningRate: numeric(
    '--learning-rate <x>',
    'first rate of AdamW; falls to a twentieth by the end',
    number({ above: 0 }, 5e-3),
  ),
  clip: numeric(
    '--clip <x>',
    'largest norm of the gradients; 0 for no limit',
    number({ min: 0 }, 1),
  ),
  validation: numeric(
    '--validation <x>',
    'share of the text, at its end, held out to measure the model',
    number({ min: 0, max: 0.5 }, 0.05),
  ),
  seed: numeric(
    '--seed <n>',
    'seed of the first weights and of dropout',
    integer(0, Number.MAX_SAFE_INTEGER, 0),
  ),
  threads: numeric('--threads <n>', 'threads to use (default: all)', optional(integer(1, 1024))),
  resume: textual(
    '--resume <file>',
    'go on with a saved model: its weights; AdamW starts anew',
    optional(custom(checkText)),
  ),
  json: jsonSwitch('JSON lines'),
} satisfies Settings;

/** The values of {@link trainSettings}. */
export type TrainValues = Values<typeof trainSettings>;

/** `ostinato train` */
export function trainCommand(finish: Finish): Command {
  const command = new Command('train')
    .summary('train a model: of a text, or as a configuration says')
    .description(
      'Trains a character language model on a text, or a model of data as a configuration file says (task: forecast, classify or tag), and saves it.',
    )
    .argument('[config]', 'configuration file in JSON or YAML')
    .addHelpText('after', EXAMPLES);
  for (const setting of Object.values(trainSettings)) command.addOption(optionOf(setting));
  return command.action(async (config: string | undefined, flags: Record<string, unknown>) => {
    const { train } = await import('../tasks/train.js');
    finish(await train(config, flags));
  });
}
