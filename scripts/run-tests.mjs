// Runs test runners one after the other and closes with one line that sums them.
//
//   node scripts/run-tests.mjs [checks] [jest | jest:<path>] [native | native:<preset>]   default: all
//   node scripts/run-tests.mjs --report <file>
//
// A preset is one of CMakePresets.json, by default release; a path selects test files. With
// OSTINATO_TEST_RESULTS=<file> the counts are also appended to that file, a JSON object a line, and
// `--report` prints and judges such a file. Exits 1 on a failure or when nothing passed.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, readdirSync, rmSync, existsSync } from 'node:fs';
import path from 'node:path';
import { closingLine, countJest, countGtest, formatTable, total } from './lib/test-results.mjs';

const root = path.resolve(import.meta.dirname, '..');
const work = path.join(root, 'build-cmake');
const SHARDS_IN_PARALLEL = 2;

/** Runs a command with its output on the terminal; true when it succeeded. */
function run(command, args) {
  console.log(`> ${[path.basename(command), ...args].join(' ')}`);
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** A runner that failed without a single failed test has failed all the same. */
function judge(counts, ok, note) {
  if (ok || counts.failed > 0) return counts;
  return { ...counts, failed: 1, note };
}

const NOTHING = { passed: 0, failed: 0, skipped: 0 };

function runJest(pattern) {
  const file = path.join(work, 'jest.json');
  mkdirSync(work, { recursive: true });
  rmSync(file, { force: true });
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const only = pattern ? [pattern] : [];
  const ok = run(process.execPath, [jest, '--json', `--outputFile=${file}`, ...only]);
  if (!existsSync(file)) return judge(NOTHING, false, 'jest did not report');
  const counts = countJest(file);
  return judge(counts, ok && counts.passed > 0, 'no test passed');
}

/** Explains why the native tests cannot run here; in continuous integration that is a failure. */
function skipNative(missing) {
  const how = `${missing} was not found: native tests skipped`;
  console.warn(
    `\n${how}. To run them, install CMake >= 3.25 and GoogleTest\n` +
      '(Debian: apt-get install cmake libgtest-dev; macOS: brew install cmake googletest).\n',
  );
  return process.env.CI ? judge(NOTHING, false, how) : { ...NOTHING, note: how };
}

function runNative(preset) {
  if (spawnSync('cmake', ['--version']).status !== 0) return skipNative('CMake');
  console.log(`> cmake --preset ${preset}`);
  const configure = spawnSync('cmake', ['--preset', preset], { cwd: root, encoding: 'utf8' });
  if (configure.status !== 0) {
    const output = configure.stdout + configure.stderr;
    if (/Could NOT find GTest|GTestConfig\.cmake/.test(output)) return skipNative('GoogleTest');
    console.error(output);
    return judge(NOTHING, false, 'cmake could not configure');
  }
  if (!run('cmake', ['--build', '--preset', preset])) {
    return judge(NOTHING, false, 'did not build');
  }
  const directory = path.join(work, preset);
  const reports = () =>
    readdirSync(directory)
      .filter((name) => /^gtest-\d+\.xml$/.test(name))
      .map((name) => path.join(directory, name));
  for (const file of reports()) rmSync(file);
  const ok = run('ctest', [
    ...['--preset', preset, '--parallel', String(SHARDS_IN_PARALLEL)],
    '--output-on-failure',
  ]);
  const counts = countGtest(reports());
  // A shard that crashed wrote no report.
  return judge(counts, ok && counts.passed > 0, 'no test passed, or a process crashed');
}

function runChecks() {
  const counts = { ...NOTHING };
  const checks = [['check-layers.mjs'], ['check-symbols.mjs', 'build']];
  for (const [script, ...args] of checks) {
    const ok = run(process.execPath, [path.join('scripts', script), ...args]);
    counts[ok ? 'passed' : 'failed'] += 1;
  }
  return counts;
}

function runnerOf(name) {
  const [, kind, detail] = /^(\w+)(?::(.+))?$/.exec(name) ?? [];
  if (kind === 'jest') return () => runJest(detail);
  if (kind === 'native') return () => runNative(detail ?? 'release');
  if (name === 'checks') return runChecks;
  console.error(`Expected checks, jest[:path] or native[:preset] but received "${name}"`);
  process.exit(2);
}

function runAll(names) {
  const runners = names.map((name) => [name, runnerOf(name)]);
  return runners.map(([name, runner]) => {
    console.log(`\n== ${name}`);
    const start = performance.now();
    const counts = runner();
    const row = { name, ...counts, seconds: (performance.now() - start) / 1000 };
    const results = process.env.OSTINATO_TEST_RESULTS;
    if (results) appendFileSync(results, `${JSON.stringify(row)}\n`);
    return row;
  });
}

function readReport(file) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const args = process.argv.slice(2);
const rows =
  args[0] === '--report'
    ? readReport(args[1])
    : runAll(args.length > 0 ? args : ['checks', 'jest', 'native']);
console.log(`\n${formatTable(rows)}\n`);
console.log(closingLine(rows));
const { passed, failed } = total(rows);
process.exit(passed > 0 && failed === 0 ? 0 : 1);
