// `npm run bench:setup`: installs all peers that can be had here, then builds the native drivers.
//
//   npm run bench:setup [-- --no-python] [--no-system]
//
// Goes on after a failure and ends with what is there: the harness runs with what it finds.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const SYSTEM_PACKAGES = [
  ...['cmake', 'g++', 'nlohmann-json3-dev'], // needed
  ...['libdnnl-dev', 'libbenchmark-dev', 'python3-venv'], // oneDNN, kernel benchmarks, Python's peers
];

const bench = import.meta.dirname;
const root = path.resolve(bench, '..');
const venv = path.join(bench, '.venv');
const without = (name) => process.argv.includes(`--no-${name}`);
const outcome = [];

function run(file, ...args) {
  console.log(`> ${file} ${args.join(' ')}`);
  return spawnSync(file, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

function step(name, work) {
  console.log(`\n==== ${name}`);
  outcome.push([name, work() ? 'ok' : 'FAILED']);
}

const hasApt = spawnSync('apt-get', ['--version']).status === 0;
if (hasApt && !without('system')) {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo'];
  const apt = (...args) => {
    const [file, ...rest] = [...sudo, 'apt-get', ...args];
    return run(file, ...rest);
  };
  step('system packages', () => {
    apt('update', '-qq');
    return apt('install', '-y', '-qq', '--no-install-recommends', ...SYSTEM_PACKAGES);
  });
} else {
  console.log(`Not installed by this script: ${SYSTEM_PACKAGES.join(' ')}`);
}

// No install scripts: all that is needed lies in the packages.
step('npm packages', () =>
  run('npm', ...['install', '--prefix', bench], '--ignore-scripts', '--no-audit', '--no-fund'),
);

if (!without('python')) {
  step('Python packages', () => {
    const python = path.join(venv, 'bin', 'python');
    if (!existsSync(python) && !run('python3', '-m', 'venv', venv)) return false;
    return run(python, ...['-m', 'pip', 'install', '-r', path.join(bench, 'requirements.txt')]);
  });
}

step('native drivers', () => run(process.execPath, path.join(bench, 'build.mjs')));

console.log(`\n${outcome.map(([name, word]) => `${word.padEnd(8)}${name}`).join('\n')}`);
process.exitCode = outcome.every(([, word]) => word === 'ok') ? 0 : 1;
