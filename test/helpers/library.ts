import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The root of the package. */
export const root = join(__dirname, '..', '..');

/** The built library, for code that runs outside jest: in workers and child processes. */
export function builtLibrary(): string {
  const path = join(root, 'dist', 'index.js');
  if (!existsSync(path)) throw new Error('Build the library first: npm run build');
  return path;
}
