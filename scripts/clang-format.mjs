// Runs clang-format over the native sources: `--check` fails on a difference, `--write` repairs it.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const modes = { '--check': ['--dry-run', '--Werror'], '--write': ['-i'] };
const mode = modes[process.argv[2]];
if (!mode) {
  console.error(`Expected --check or --write but received ${process.argv[2] ?? 'nothing'}`);
  process.exit(2);
}

const files = readdirSync(path.join(root, 'native'), { recursive: true })
  .filter((file) => /\.(h|cc)$/.test(file))
  .map((file) => path.join('native', file))
  .sort();
const { status, error } = spawnSync('clang-format', [...mode, ...files], {
  cwd: root,
  stdio: 'inherit',
});
if (error) {
  console.error(
    'clang-format was not found. Install it (Debian: apt-get install clang-format; ' +
      'macOS: brew install clang-format) to format or check the C++ sources.',
  );
}
process.exit(status ?? 1);
