// Copies the built addon to prebuilds/<platform>-<arch>/, where the loader of an installed package
// looks for it (`linuxmusl-<arch>` on musl). On Linux the OpenMP runtime goes beside it, because slim
// images lack it; the addon's run path is its own folder, and its name is unchanged, so that a copy
// that the process has already loaded is shared.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const addon = path.join(root, 'build', 'Release', 'ostinato.node');
if (!existsSync(addon)) throw new Error(`Expected the addon at ${addon}: run "npm run build"`);

const musl = process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
const folder = path.join(
  root,
  'prebuilds',
  `${process.platform}${musl ? 'musl' : ''}-${process.arch}`,
);
mkdirSync(folder, { recursive: true });
copyFileSync(addon, path.join(folder, 'ostinato.node'));

if (process.platform === 'linux') {
  const runtime = execFileSync('ldd', [addon], { encoding: 'utf8' }).match(
    /libgomp\.so\.1 => (\S+)/,
  )?.[1];
  if (runtime) copyFileSync(realpathSync(runtime), path.join(folder, 'libgomp.so.1'));
}
console.log(folder);
