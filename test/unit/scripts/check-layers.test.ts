import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '..', '..', '..');

/** Runs the script on a tree made of `files`: its exit code and what it said. */
function check(files: Record<string, string>): { status: number | null; stderr: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'ostinato-layers-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(folder, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    const script = path.join(root, 'scripts', 'check-layers.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--root', folder], {
      encoding: 'utf8',
    });
    return { status, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A tree in which every rule holds. */
const good: Record<string, string> = {
  'native/simd/vec.h': '#include <immintrin.h>\n',
  'native/kernels/kernels.h': '#include <cstdint>\n',
  'native/kernels/gemm.inl.h': '#include "simd/vec.h"\n',
  'native/kernels/kernels.cc': '#include "kernels/kernels.h"\n#include "kernels/gemm.inl.h"\n',
  'native/core/parallel.h': '#include <omp.h>\n#pragma omp parallel\n',
  'native/core/model.h': '#include <vector>\n#include "kernels/kernels.h"\n',
  'native/reference/cell.h': '#include <vector>\n',
  'native/test/model_test.cc': '#include "core/model.h"\n#include "reference/cell.h"\n',
  'native/binding/addon.cc': '#include <napi.h>\n#include "core/model.h"\n',
  'lib/native.ts': "export const addon = require('./x.node');\n",
  'lib/index.ts': "import path from 'node:path';\nexport { addon } from './native';\nvoid path;\n",
};

test('the tree of this repository is in order', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [path.join(root, 'scripts', 'check-layers.mjs')],
    { encoding: 'utf8' },
  );
  expect(stdout).toMatch(/, 0 problems/);
  expect(status).toBe(0);
});

test('a tree that keeps the rules passes, comments included', () => {
  expect(check(good)).toEqual({ status: 0, stderr: '' });
  const comment = { 'native/core/note.h': '// #include "simd/vec.h"\n/* #pragma omp */\n' };
  expect(check({ ...good, ...comment })).toEqual({ status: 0, stderr: '' });
});

test.each([
  ['simd sees the core', 'native/simd/a.h', '#include "core/model.h"', /simd may not include/],
  ['a container in a kernel', 'native/kernels/a.inl.h', '#include <vector>', /<vector>/],
  ['the core sees simd', 'native/core/a.h', '#include "simd/vec.h"', /core may not include/],
  ['simd by a relative path', 'native/core/a.h', '#include "../simd/vec.h"', /core may not inc/],
  ['the core sees the binding', 'native/core/a.h', '#include "binding/b.h"', /core may not inc/],
  ['the binding sees kernels', 'native/binding/a.h', '#include "kernels/kernels.h"', /binding may/],
  ['the core sees the reference', 'native/core/a.h', '#include "reference/cell.h"', /core may/],
  ['kernel code outside its unit', 'native/test/a.cc', '#include "kernels/gemm.inl.h"', /alone/],
  ['an unknown layer', 'native/other/a.h', '#include "core/model.h"', /not a layer/],
  ['intrinsics in the core', 'native/core/a.h', '#include <immintrin.h>', /no place/],
  ['intrinsics in a kernel', 'native/kernels/a.inl.h', 'x = _mm256_add_ps(a, b);', /intrinsic/],
  ['OpenMP in the core', 'native/core/a.cc', '#pragma omp parallel', /OpenMP/],
  ['the OpenMP header', 'native/core/a.cc', '#include <omp.h>', /omp\.h/],
  ['Node-API in the core', 'native/core/a.cc', '#include <napi.h>', /napi\.h/],
  ['a target pragma', 'native/kernels/a.inl.h', '#pragma GCC target("avx2")', /target/],
  [
    'the core sees simd through kernels.h',
    'native/kernels/kernels.h',
    '#include "simd/vec.h"',
    /core would see/,
  ],
  ['an include cycle', 'native/simd/vec.h', '#include "simd/vec.h"', /cycle/],
  ['the addon outside native.ts', 'lib/a.ts', "require('../build/Release/x.node');", /only native/],
  ['the command line in the library', 'lib/a.ts', "import './cli/main';", /command line/],
  ['an undeclared package', 'lib/a.ts', "import x from 'left-pad';", /left-pad/],
  ['a path outside lib', 'lib/a.ts', "import x from '../test/helper';", /outside lib/],
  ['an import cycle', 'lib/native.ts', "import { addon } from './index';", /cycle/],
  ['a banned flag', 'binding.gyp', "{ 'cflags': ['-ffast-math'] }", /-ffast-math is banned/],
])('%s is refused', (_, file, text, message) => {
  const { status, stderr } = check({ ...good, 'lib/cli/main.ts': '', [file]: `${text}\n` });
  expect(stderr).toMatch(message);
  expect(status).toBe(1);
});

test('an empty tree is refused', () => {
  expect(check({ 'readme.md': '' }).status).toBe(1);
});
