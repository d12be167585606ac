import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const script = path.resolve(__dirname, '..', '..', '..', 'scripts', 'check-symbols.mjs');
const compiler = process.env.CXX ?? 'c++';

/** Compiles `source` as the scalar kernel object of a build and checks that build. */
function check(source: string): { status: number | null; stderr: string } {
  const build = mkdtempSync(path.join(tmpdir(), 'ostinato-symbols-'));
  try {
    const folder = path.join(build, 'obj.target', 'kernels_scalar');
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'kernels.cc');
    writeFileSync(file, source);
    const flags = ['-std=c++20', '-O1', '-fPIC', '-fvisibility=hidden', '-c'];
    execFileSync(compiler, [...flags, file, '-o', path.join(folder, 'kernels.o')]);
    const { status, stderr } = spawnSync(process.execPath, [script, build], { encoding: 'utf8' });
    return { status, stderr };
  } finally {
    rmSync(build, { recursive: true, force: true });
  }
}

const table = `
namespace ostinato::scalar {
namespace { int one() noexcept { return 1; } }
extern int (*const table)() noexcept;
int (*const table)() noexcept = one;
}
`;

test('an object that exports its table alone passes', () => {
  expect(check(table)).toEqual({ status: 0, stderr: '' });
});

test.each([
  [
    'a weak symbol',
    'inline __attribute__((noinline)) int weak() { return 2; } int (*volatile p)() = weak;',
    /weak symbol: weak/,
  ],
  ['a second export', 'int helper() { return 3; }', /exported besides the table: helper/],
  ['a static initialiser', 'int outside(); static int late = outside();', /static initialiser/],
  [
    'a C++ symbol from outside',
    'namespace a { void f(); } static auto g = +[] { a::f(); }; void (*const* h)() = &g;',
    /from outside: a::f/,
  ],
])('%s is refused', (_, source, message) => {
  const { status, stderr } = check(table + source);
  expect(stderr).toMatch(message);
  expect(status).toBe(1);
});

test('an object without a table is refused', () => {
  const { status, stderr } = check('static int nothing;');
  expect(stderr).toMatch(/does not export ostinato::scalar::table/);
  expect(status).toBe(1);
});

test('a build without kernel objects is refused', () => {
  const build = mkdtempSync(path.join(tmpdir(), 'ostinato-symbols-'));
  const { status, stderr } = spawnSync(process.execPath, [script, build], { encoding: 'utf8' });
  rmSync(build, { recursive: true, force: true });
  expect(stderr).toMatch(/found none/);
  expect(status).toBe(1);
});
