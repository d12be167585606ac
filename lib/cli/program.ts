/** The command line as a whole: its commands, and how every error ends. */
import { Command, CommanderError } from 'commander';
import { version } from '../runtime';
import { compareCommand } from './commands/compare';
import { evalCommand } from './commands/eval';
import { forecastCommand } from './commands/forecast';
import { generateCommand } from './commands/generate';
import { infoCommand } from './commands/info';
import { inspectCommand } from './commands/inspect';
import { predictCommand } from './commands/predict';
import { reportCommand } from './commands/report';
import { resumeCommand } from './commands/resume';
import { searchCommand } from './commands/search';
import { trainCommand } from './commands/train';
import { codeOfFailure, describeFailure } from './failures';
import { Output } from './output';
import { EXIT, UsageError } from './usage-error';

const HELP = `
A first model in a minute:
  $ ostinato train --text book.txt --out book.safetensors --seconds 60
  $ ostinato generate book.safetensors --prompt "It was " --length 300

Exit codes: 0 done, 1 failed, 2 wrong use, 130 ended by Ctrl-C.
"ostinato <command> --help" explains a command with examples.`;

/** Tells {@link run} how a command ended. */
export type Finish = (exitCode: number) => void;

/** The part of commander's message that says something. */
function usageText(error: CommanderError): string {
  const text = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return text.replace(/^option '.*?' argument '.*?' is invalid\. /s, '');
}

/** Makes commander throw instead of ending the process, and leave printing to {@link report}. */
function prepare(command: Command, name: string): Command {
  return command.configureOutput({ outputError: () => undefined }).exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    // Help without being asked for: no command was given, and the help says it all.
    if (error.code === 'commander.help') throw new CommanderError(EXIT.wrongUse, error.code, '');
    throw new UsageError(`${usageText(error)} (see ${name} --help)`);
  });
}

function createProgram(finish: Finish): Command {
  const program = new Command('ostinato')
    .description('Trains, runs and looks into recurrent neural networks.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain and give examples')
    .helpCommand('help [command]', 'explain a command')
    .addHelpText('after', HELP);
  prepare(program, 'ostinato');
  const commands = [
    trainCommand,
    resumeCommand,
    searchCommand,
    reportCommand,
    compareCommand,
    generateCommand,
    forecastCommand,
    predictCommand,
    evalCommand,
    inspectCommand,
    infoCommand,
  ];
  for (const make of commands) {
    const command = make(finish).helpOption('-h, --help', 'explain and give examples');
    program.addCommand(prepare(command, `ostinato ${command.name()}`));
  }
  return program;
}

function report(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) return error.exitCode;
  const wrongUse = error instanceof UsageError;
  const [command] = argv;
  const hint =
    wrongUse && !error.message.includes('--help)') ? ` (see ostinato ${command} --help)` : '';
  const message = describeFailure(error);
  const debug = process.env['OSTINATO_DEBUG'];
  const trace = debug !== undefined && debug !== '' && debug !== '0';
  process.stderr.write(`ostinato: ${message}${hint}\n`);
  if (trace && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const code = wrongUse ? 'ERR_USAGE' : codeOfFailure(error);
  new Output(argv.includes('--json')).object({ error: { code, message } });
  return wrongUse ? EXIT.wrongUse : EXIT.failed;
}

/**
 * Runs one command.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code
 */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, argv);
  }
}
