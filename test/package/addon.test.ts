import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { info } from '../../lib';

const root = path.resolve(__dirname, '..', '..');
const addon = path.join(root, 'build', 'Release', 'ostinato.node');
const onLinux = process.platform === 'linux' ? test : test.skip;

test('the built addon loads and says what it is', () => {
  expect(existsSync(addon)).toBe(true);
  expect(['scalar', 'avx2', 'avx512', 'neon']).toContain(info().isa);
});

onLinux('the addon stays mapped after the last worker that used it', () => {
  expect(execFileSync('readelf', ['-d', addon], { encoding: 'utf8' })).toMatch(/NODELETE/);
});

onLinux('the addon exports what Node looks for, and no function of ours', () => {
  const symbols = execFileSync('nm', ['-DC', '--defined-only', addon], { encoding: 'utf8' });
  expect(symbols).toMatch(/napi_register_module_v1/);
  expect(symbols).not.toMatch(/\bostinato::/);
});
