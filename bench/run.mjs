// `npm run bench`: cases on all drivers, taking turns; tables, a result file and a report.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { allCases, selectCases } from './cases.mjs';
import { parseArguments } from './lib/options.mjs';
import { readResult, saveResult } from './lib/save.mjs';
import { targetsTable } from './lib/targets-table.mjs';

const root = path.resolve(import.meta.dirname, '..');

/** A message for a user, without a stack. */
function fail(message) {
  console.error(message);
  process.exit(2);
}

async function readOlder(option, file) {
  return readResult(file).catch((error) =>
    fail(`Expected a result for "${option}" but ${file}: ${error.message}`),
  );
}

/** Cases, or undefined with a message when the command line names none. */
function chooseCases(options) {
  try {
    return selectCases({ ...options, patterns: options.cases });
  } catch (error) {
    return fail(error.message);
  }
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

function printMissing(missing) {
  for (const [name, { reason, install }] of Object.entries(missing)) {
    console.log(`\n${name} is missing: ${reason}\n    ${install}`);
  }
}

function planOf(options, { full, quick }) {
  const base = options.quick ? quick : full;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    budgetMs: options.budget ?? base.budgetMs,
    callLimitMs: options.callLimit ?? base.callLimitMs,
    hurryAfter: options.minutes ?? base.hurryAfter,
  };
}

async function probeOrFail(probe, threads, isa) {
  try {
    return await probe(threads, isa);
  } catch (error) {
    const [first] = error.message.split('\n');
    return fail(`The native drivers are not built: npm run bench:build\n(${first})`);
  }
}

/** Tables of all that was measured. */
async function printResult(result, before, compareName) {
  const { resultTable, formatTable } = await import('./lib/table.mjs');
  const { compareTable, derivedTable, describeDistance, summaryTable } =
    await import('./lib/summary.mjs');
  const { extraTables } = await import('./extras/index.mjs');
  const { cases } = result;
  const peerNames = [...new Set(cases.flatMap(({ peers }) => Object.keys(peers)))];
  if (cases.length > 0) {
    console.log(`\n${resultTable(cases, peerNames)}`);
    console.log(`\n${summaryTable(cases)}`);
    const derived = derivedTable(cases);
    if (derived !== '') console.log(`\n${derived}`);
    const distance = describeDistance(cases);
    if (distance) console.log(`\n${distance}`);
  }
  for (const { title, rows } of extraTables(result.extras)) {
    console.log(`\n${title}\n${formatTable(rows).join('\n')}`);
  }
  if (before) console.log(`\nAgainst ${compareName}:\n${compareTable(result, before)}`);
  const targets = targetsTable(result, { all: false });
  if (targets !== '') console.log(`\n${targets}`);
  printMissing(result.missing);
}

async function main() {
  const options = parseArguments();
  if (options.targets) {
    console.log(targetsTable(await readOlder('--targets', options.targets)));
    return 0;
  }
  const selected = chooseCases(options);
  if (options.list) {
    const lines = selected.map(({ id, groups }) => `${id.padEnd(44)} ${groups.join(' ')}`);
    console.log([...lines, `${selected.length} of ${allCases().length} cases`].join('\n'));
    return 0;
  }
  const before = options.compare && (await readOlder('--compare', options.compare));
  const older = options.addTo && (await readOlder('--add-to', options.addTo));
  if (!existsSync(path.join(root, 'dist', 'index.mjs'))) {
    fail('Expected a built library but found no dist/index.mjs: npm run build');
  }
  // Not before: these load the built library.
  const { withLimits } = await import('./lib/measure.mjs');
  const { PEERS } = await import('./lib/peers.mjs');
  const { Pool } = await import('./lib/pool.mjs');
  const { PLANS, byImportance, describeEstimate, estimateMinutes } = await import('./lib/plan.mjs');
  const { bestOf, describeCommit, describeMachine, probe } = await import('./lib/machine.mjs');
  const { runCases, runExtras } = await import('./lib/run-cases.mjs');
  const { limitsTable } = await import('./lib/table.mjs');
  const { selectExtras } = await import('./extras/index.mjs');

  const { isa } = options;
  const plan = planOf(options, PLANS);
  const wanted = choosePeers(options.peers, PEERS);
  let extras;
  try {
    extras = selectExtras(options.extras);
  } catch (error) {
    fail(error.message);
  }
  const cases = byImportance(selected);
  const threads = Math.max(2, ...cases.map((it) => it.threads));
  const started = new Date();
  const first = await probeOrFail(probe, threads, isa);
  console.log(limitsTable(first));
  const estimate = estimateMinutes(cases, { plan, wanted, machine: first, extras });
  console.log(`\n${cases.length} cases: ${describeEstimate(estimate)}\n`);
  if (options.estimate) return 0;

  const pool = new Pool({ isa });
  process.on('exit', () => pool.close());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  const broken = [];
  const context = { plan, wanted, machine: first, started, isa, log: console.log };
  const records = await runCases(pool, cases, context, broken);
  pool.close();
  const measured = await runExtras(extras, context, broken);
  const limits = bestOf(first, await probe(threads, isa));

  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const result = {
    format: 1,
    date: started.toISOString(),
    minutes: (Date.now() - started) / 60_000,
    plan: options.quick ? 'quick' : 'full',
    ...describeCommit(),
    version,
    isa: limits.isa,
    ...(isa ? { forced_isa: isa } : {}),
    machine: { ...describeMachine(), ...limits },
    versions: pool.versions,
    missing: pool.missing,
    cases: records.map((record) => withLimits(record, limits)),
    extras: measured,
  };
  await printResult(result, before, options.compare);
  if (older) {
    await saveResult({ ...older, extras: { ...older.extras, ...measured } }, options.addTo);
  } else if (options.save) {
    await saveResult(result, options.out);
  }
  if (broken.length > 0) console.error(`\nChecks that failed:\n${broken.join('\n')}`);
  console.log(`\n${records.length} cases in ${result.minutes.toFixed(1)} minutes`);
  return broken.length > 0 ? 1 : 0;
}

process.exitCode = await main();
process.exit();
