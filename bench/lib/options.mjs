// What `npm run bench` is asked to do.
import { Command, InvalidArgumentError, Option } from 'commander';
import { ISAS } from './peers.mjs';

const TEACHING = `
Cases are named <cell>/<phase>/T,B,I,H/t<threads>, with /x2 for two layers and /bi for two directions:
T steps, B batch rows, I inputs, H units. bench/cases.mjs has them all, with what each phase means.

Examples:
  npm run bench -- --quick                                all cells, main shapes, under 4 minutes
  npm run bench -- --list                                 what there is
  npm run bench -- --cases shapes,threads --estimate      how long groups would take
  npm run bench -- --cases shapes                         a group: the ten shapes
  npm run bench -- --cases 'lstm/training/*/t2' --peers onednn,pytorch
  npm run bench -- --cases lstm/training/64,32,96,96/t2   a shape of your own
  npm run bench -- --cases none --extras start,fit        measurements that are not cases
  npm run bench -- --targets bench/results/old.json       what a result says about the targets
  npm run bench -- --peers none --compare bench/results/old.json
  npm run bench -- --quick --isa avx2                     everybody on AVX2

Each library runs in a process of its own, stopped (SIGSTOP) while it is not its turn, in rounds
A B C, B C A, … Medians and minima are over all rounds. A library whose results differ from ours by
more than 1e-4 is an error: exit code 1. "% of limit" is the time that the machine's own peaks, which
are measured in the same run, would allow, divided by ours. A peer that would need several seconds
for one call is left out; the result says so.

Peers that are missing are named with the command that installs them; npm run bench:setup installs
all that can be had. OSTINATO_BENCH_PYTHON names a Python that has the packages already.`;

const list = (text) => text.split(',').filter((part) => part !== '');

/** Case ids contain commas: several are separated by spaces, or the option is repeated. */
const patterns = (text, before = []) => [...before, ...text.split(/\s+/).filter(Boolean)];

function positive(text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError(`Expected a positive integer but received "${text}".`);
  }
  return value;
}

/** Reads the command line; ends the process for --help and for what it does not know. */
export function parseArguments() {
  const program = new Command('npm run bench --')
    .description('Measures this library and its peers on the same work, in turns.')
    .option('--quick', 'all cells, main shapes, few rounds')
    .option('--cases <patterns>', 'groups, names, parts, patterns with *, or none', patterns)
    .option('--extras <names>', 'all, none or start,fit,load,memory,long,avx2', list)
    .option('--peers <names>', 'comma-separated, or "none"; default: all', list)
    .option('--threads <counts>', 'only cases with these numbers of threads', (text) =>
      list(text).map(positive),
    )
    .addOption(
      new Option('--isa <name>', 'hold every library to an instruction set').choices(
        Object.keys(ISAS),
      ),
    )
    .option('--rounds <count>', 'turns of each driver', positive)
    .option('--budget <ms>', 'timed milliseconds of a turn', positive)
    .option('--call-limit <ms>', 'peers that need longer for one call are left out', positive)
    .option('--minutes <count>', 'after these, single rounds', positive)
    .option('--compare <file>', 'an older result, to compare ours with')
    .option('--targets <file>', 'print what a result says about the targets, and stop')
    .option('--add-to <file>', 'put the extras of this run into an older result, and its report')
    .option('--out <file>', 'the result; default: bench/results/<date>-<machine>.json')
    .option('--no-save', 'write no files')
    .option('--estimate', 'print how long it would take, and stop')
    .option('--list', 'print the cases that the other options select, and stop')
    .addHelpText('after', TEACHING);
  const options = program.parse().opts();
  // A selection of cases is a question about these; all of them come with the extras.
  const everything = options.cases === undefined && !options.quick;
  return { ...options, extras: options.extras ?? [everything ? 'all' : 'none'] };
}
