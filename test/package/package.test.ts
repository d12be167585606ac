import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

// The package as a user gets it: packed, installed without any script, required and imported.

const root = path.resolve(__dirname, '..', '..');
const bin = path.join(root, 'node_modules', '.bin');
let folder: string;
let tarball: string;
let packed: string[];

/** A user's environment: nothing of this repository leads to its addon or its configuration. */
function userEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !/^(OSTINATO|npm)_/i.test(key));
  return Object.fromEntries(kept);
}

function run(command: string, args: string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', env: userEnvironment() });
}

/** Runs a script in the user's project and parses what it prints. */
function evaluate(type: 'commonjs' | 'module', code: string): unknown {
  return JSON.parse(run(process.execPath, [`--input-type=${type}`, '-e', code], folder));
}

beforeAll(() => {
  for (const needed of ['dist/index.js', 'build/Release/ostinato.node']) {
    if (!existsSync(path.join(root, needed))) {
      throw new Error(`Expected ${needed} but found none: run "npm run build" first`);
    }
  }
  run(process.execPath, ['scripts/prebuild.mjs'], root);
  folder = mkdtempSync(path.join(tmpdir(), 'ostinato-package-'));
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [report] = JSON.parse(run('npm', args, root)) as [
    { filename: string; files: { path: string }[] },
  ];
  tarball = path.join(folder, report.filename);
  packed = report.files.map((file) => file.path);
  writeFileSync(path.join(folder, 'package.json'), '{ "name": "user", "private": true }\n');
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  run('npm', ['install', tarball, '--ignore-scripts', ...quiet], folder);
}, 240_000);

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('the package carries the library, a prebuilt addon and all that a source build reads', () => {
  expect(packed).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'THIRD_PARTY_NOTICES.md',
      'binding.gyp',
      'native/sources.gypi',
      'dist/index.js',
      'dist/index.mjs',
      'dist/index.d.ts',
      'dist/index.d.mts',
      'dist/cli.js',
    ]),
  );
  expect(packed.filter((file) => /^prebuilds\/[\w-]+\/ostinato\.node$/.test(file))).toHaveLength(1);
  const sources = ['simd', 'kernels', 'core', 'binding'].flatMap((layer) =>
    readdirSync(path.join(root, 'native', layer), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(h|cc|def)$/.test(file))
      .map((file) => `native/${layer}/${file.split(path.sep).join('/')}`),
  );
  expect(sources.length).toBeGreaterThan(10);
  expect(packed).toEqual(expect.arrayContaining(sources));
});

test('the package carries neither tests nor TypeScript sources', () => {
  expect(
    packed.filter((file) => /^(test|lib|native\/(test|reference)|bench)\//.test(file)),
  ).toEqual([]);
  expect(packed.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([]);
});

test('require and import give the same objects under the same names', () => {
  const result = evaluate(
    'module',
    `import * as esm from 'ostinato';
     import { createRequire } from 'node:module';
     const cjs = createRequire(import.meta.url)('ostinato');
     console.log(JSON.stringify({
       cjs: Object.keys(cjs).sort(),
       esm: Object.keys(esm).sort(),
       same: Object.keys(esm).every((name) => esm[name] === cjs[name]),
     }));`,
  ) as { cjs: string[]; esm: string[]; same: boolean };
  expect(result.esm).toEqual(result.cjs.filter((name) => name !== '__esModule'));
  expect(result.esm).toEqual(expect.arrayContaining(['info', 'layers', 'load', 'sequential']));
  expect(result.same).toBe(true);
});

test.each([
  ['commonjs', "const { info } = require('ostinato'); console.log(JSON.stringify(info()));"],
  ['module', "import { info } from 'ostinato'; console.log(JSON.stringify(info()));"],
] as const)('the prebuilt addon loads from %s', (type, code) => {
  expect(evaluate(type, code)).toMatchObject({ isa: expect.any(String) as string });
});

test('the command line is installed', () => {
  const command = path.join(folder, 'node_modules', '.bin', 'ostinato');
  expect(run(command, ['--help'], folder)).toMatch(/^Usage: ostinato/m);
});

test('types resolve from ES modules and from CommonJS', () => {
  const use = 'const isa: string = info().isa;\nconsole.log(isa);\n';
  const project = path.join(folder, 'types');
  mkdirSync(project);
  writeFileSync(path.join(project, 'a.mts'), `import { info } from 'ostinato';\n${use}`);
  writeFileSync(path.join(project, 'b.cts'), `import { info } from 'ostinato';\n${use}`);
  writeFileSync(path.join(project, 'c.cts'), `import o = require('ostinato');\no.info();\n`);
  const options = ['--noEmit', '--strict', '--module', 'node16', '--target', 'es2022'];
  const types = ['--typeRoots', path.join(root, 'node_modules', '@types'), '--types', 'node'];
  expect(
    run(path.join(bin, 'tsc'), [...options, ...types, 'a.mts', 'b.cts', 'c.cts'], project),
  ).toBe('');
}, 60_000);

test('publint finds nothing', () => {
  expect(run(path.join(bin, 'publint'), [tarball, '--strict'], folder)).toMatch(/All good/);
}, 60_000);

test('the types are right for every way of resolving them', () => {
  const report = JSON.parse(run(path.join(bin, 'attw'), [tarball, '--format', 'json'], folder)) as {
    problems?: Record<string, unknown>;
  };
  expect(report.problems ?? {}).toEqual({});
}, 60_000);
