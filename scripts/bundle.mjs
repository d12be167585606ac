// Writes dist/index.js, the library, and dist/cli.js, the command line, each as one CommonJS file:
// a hundred small modules would take longer to find and open than to run. Packages stay outside, and
// what lib/ imports only when it needs it still runs only then.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { index: 'lib/index.ts', cli: 'lib/cli/main.ts' },
  outdir: dist,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  external: ['../package.json'],
  logLevel: 'warning',
});
