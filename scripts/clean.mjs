// Removes everything that a build makes; the sources and node_modules stay.
import { rmSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
for (const folder of ['build', 'build-cmake', 'dist', 'prebuilds', 'coverage']) {
  rmSync(path.join(root, folder), { recursive: true, force: true });
}
