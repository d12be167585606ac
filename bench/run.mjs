// `npm run bench`: cases on all drivers, taking turns; a table, a result file and a report.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { allCases, selectCases } from './cases.mjs';

const results = path.join(import.meta.dirname, 'results');

const PLANS = {
  full: { rounds: 7, warmMs: 10, budgetMs: 120, maxSamples: 2000, slowMs: 6000 },
  quick: { rounds: 3, warmMs: 5, budgetMs: 40, maxSamples: 1000, slowMs: 500 },
};

/** A quick run that has taken this long, on a busy machine, goes through the rest in single rounds. */
const HURRY_AFTER_MS = 150_000;
const HURRY = { rounds: 1, slowMs: 0 };

const TEACHING = `
Cases are named <cell>/<phase>/T,B,I,H/t<threads>, with /x2 for two layers and /bi for two directions:
T steps, B batch rows, I inputs, H units. bench/cases.mjs has them all, with what each phase means.

Examples:
  npm run bench -- --quick                                all cells, main shapes, under 4 minutes
  npm run bench -- --list                                 what there is
  npm run bench -- --cases shapes                         a group: the ten shapes
  npm run bench -- --cases 'lstm/training/*/t2' --peers onednn,pytorch
  npm run bench -- --cases lstm/training/64,32,96,96/t2   a shape of your own
  npm run bench -- --peers none --compare bench/results/old.json
  OSTINATO_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
    npm run bench -- --quick                              everybody on AVX2

Each library runs in a process of its own, stopped (SIGSTOP) while it is not its turn, in rounds
A B C, B C A, … Medians and minima are over all rounds. A library whose results differ from ours by
more than 1e-4 is an error: exit code 1. "% of limit" is the time that the machine's own peaks, which
are measured in the same run, would allow, divided by ours.

Peers that are missing are named with the command that installs them; npm run bench:setup installs
all that can be had. OSTINATO_BENCH_PYTHON names a Python that has the packages already.`;

const list = (text) => text.split(',').filter((part) => part !== '');

/** Case ids contain commas, so several are separated by spaces or by repeating the option. */
const patterns = (text, before = []) => [...before, ...text.split(/\s+/).filter(Boolean)];

function positive(text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError(`Expected a positive integer but received "${text}".`);
  }
  return value;
}

function parseArguments() {
  const program = new Command('npm run bench --')
    .description('Measures this library and its peers on the same work, in turns.')
    .option('--quick', 'all cells, main shapes, few rounds')
    .option('--cases <patterns>', 'names, parts, patterns with * or groups; repeatable', patterns)
    .option('--peers <names>', 'comma-separated, or "none"; default: all', list)
    .option('--threads <counts>', 'only cases with these numbers of threads', (text) =>
      list(text).map(positive),
    )
    .option('--rounds <count>', 'turns of each driver', positive)
    .option('--budget <ms>', 'timed milliseconds of a turn', positive)
    .option('--compare <file>', 'an older result, to compare ours with')
    .option('--out <file>', 'the result; default: bench/results/<date>-<machine>.json')
    .option('--no-save', 'write no files')
    .option('--list', 'print the cases that the other options select, and stop')
    .addHelpText('after', TEACHING);
  return program.parse().opts();
}

/** A message for a user, without a stack. */
function fail(message) {
  console.error(message);
  process.exit(2);
}

function choosePeers(names, peers) {
  if (names === undefined) return () => true;
  if (names.length === 1 && names[0] === 'none') return () => false;
  const known = peers.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    fail(`Expected peers out of ${known.join(', ')} for "--peers" but received "${unknown}"`);
  }
  return (name) => names.includes(name);
}

async function readResult(file) {
  const result = JSON.parse(await readFile(file, 'utf8'));
  if (!Array.isArray(result.cases) || !result.machine) {
    throw new Error('it has no "cases" or no "machine"');
  }
  return result;
}

function printMissing(missing) {
  for (const [name, { reason, install }] of Object.entries(missing)) {
    console.log(`\n${name} is missing: ${reason}\n    ${install}`);
  }
}

async function main() {
  const options = parseArguments();
  let cases;
  try {
    cases = selectCases({ ...options, patterns: options.cases });
  } catch (error) {
    fail(error.message);
  }
  if (options.list) {
    console.log(cases.map(({ id, groups }) => `${id.padEnd(44)} ${groups.join(' ')}`).join('\n'));
    console.log(`${cases.length} of ${allCases().length} cases`);
    return 0;
  }
  let before;
  if (options.compare) {
    before = await readResult(options.compare).catch((error) =>
      fail(`Expected a result for "--compare" but ${options.compare}: ${error.message}`),
    );
  }
  if (!existsSync(path.join(import.meta.dirname, '..', 'dist', 'index.mjs'))) {
    fail('Expected a built library but found no dist/index.mjs: npm run build');
  }
  // Not before: these load the built library.
  const { measureCase, withLimits, CheckFailed } = await import('./lib/measure.mjs');
  const { PEERS } = await import('./lib/peers.mjs');
  const { Pool } = await import('./lib/pool.mjs');
  const { bestOf, describeCommit, describeMachine, probe } = await import('./lib/machine.mjs');
  const { caseLine, limitsTable, resultTable } = await import('./lib/table.mjs');
  const { compareTable, derivedTable, summaryTable } = await import('./lib/summary.mjs');
  const { version } = JSON.parse(
    await readFile(path.join(import.meta.dirname, '..', 'package.json'), 'utf8'),
  );

  const base = options.quick ? PLANS.quick : PLANS.full;
  const plan = {
    ...base,
    rounds: options.rounds ?? base.rounds,
    budgetMs: options.budget ?? base.budgetMs,
  };
  const wanted = choosePeers(options.peers, PEERS);
  const threads = Math.max(...cases.map((it) => it.threads));
  const started = new Date();
  let limits;
  try {
    limits = await probe(threads);
  } catch (error) {
    fail(
      `The native drivers are not built: npm run bench:build\n(${error.message.split('\n')[0]})`,
    );
  }
  console.log(`${limitsTable(limits)}\n`);
  const pool = new Pool();
  process.on('exit', () => pool.close());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

  const idWidth = Math.max(...cases.map(({ id }) => id.length));
  let records = [];
  const broken = [];
  for (const it of cases) {
    pool.keepOnly(it.threads);
    if (options.quick && Date.now() - started > HURRY_AFTER_MS && plan.rounds > HURRY.rounds) {
      Object.assign(plan, HURRY);
      console.log('(late: single rounds from here)');
    }
    try {
      const record = await measureCase(pool, it, { plan, wanted, machine: limits });
      records.push(record);
      console.log(caseLine(record, idWidth));
      broken.push(...Object.entries(record.checks).map((check) => `${it.id}: ${check.join(': ')}`));
      if (record.failed.native) broken.push(`${it.id}: native: ${record.failed.native}`);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
      broken.push(`${it.id}: ours: ${error.message}`);
      console.log(`${it.id}: OURS FAILED: ${error.message}`);
    }
  }
  pool.close();
  limits = bestOf(limits, await probe(threads));
  records = records.map((record) => withLimits(record, limits));

  const result = {
    format: 1,
    date: started.toISOString(),
    minutes: (Date.now() - started) / 60_000,
    plan: options.quick ? 'quick' : 'full',
    ...describeCommit(),
    version,
    isa: limits.isa,
    machine: { ...describeMachine(), ...limits },
    versions: pool.versions,
    missing: pool.missing,
    cases: records,
  };
  const peerNames = PEERS.map(({ name }) => name).filter((name) =>
    records.some(({ peers }) => name in peers),
  );
  console.log(`\n${resultTable(records, peerNames)}`);
  if (records.length > 0) console.log(`\n${summaryTable(records)}`);
  const derived = derivedTable(records);
  if (derived !== '') console.log(`\n${derived}`);
  if (before) console.log(`\nAgainst ${options.compare}:\n${compareTable(result, before)}`);
  printMissing(pool.missing);
  if (options.save) await save(result, options.out);
  if (broken.length > 0) console.error(`\nChecks that failed:\n${broken.join('\n')}`);
  console.log(`\n${records.length} cases in ${result.minutes.toFixed(1)} minutes`);
  return broken.length > 0 ? 1 : 0;
}

async function save(result, out) {
  const day = result.date.slice(0, 10);
  const file = out ?? path.join(results, `${day}-${result.machine.name}.json`);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`\nresult  ${file}`);
  try {
    const { writeReport } = await import('./lib/report.mjs');
    const page = file.replace(/\.json$/, '.html');
    await writeReport(page, result);
    console.log(`report  ${page}`);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') throw error;
    console.log('report  needs chart.js: npm run bench:setup');
  }
}

process.exitCode = await main();
process.exit();
