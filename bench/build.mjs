// `npm run bench:build`: the native drivers, the probe and the kernel benchmarks, optimised, into
// build-cmake/bench. What is not installed (oneDNN, Google Benchmark) is left out, with a message.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');

/** Ends the process when the command fails. */
function run(file, ...args) {
  console.log(`> ${file} ${args.join(' ')}`);
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(
    error
      ? `${file} was not found: apt-get install cmake g++ nlohmann-json3-dev`
      : `${file} failed. Needed: cmake g++ nlohmann-json3-dev; npm run bench:setup installs them`,
  );
  process.exit(1);
}

run(
  'cmake',
  ...['-S', '.', '-B', 'build-cmake/bench', '-DCMAKE_BUILD_TYPE=Release'],
  ...['-DOSTINATO_BUILD_BENCH=ON', '-DOSTINATO_BUILD_TESTS=OFF'],
);
run('cmake', '--build', 'build-cmake/bench', '--parallel', '2');
