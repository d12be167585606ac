// Fails on an include, import or construct that breaks the order of the layers:
//
//   lib/* -> lib/native.ts -> native/binding -> native/core -> native/kernels/kernels.h
//                                                              <- kernels.cc + *.inl.h -> native/simd
//
//   node scripts/check-layers.mjs [--root folder]
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { stripComments } from './lib/strip-comments.mjs';

const rootFlag = process.argv.indexOf('--root');
const root =
  rootFlag < 0 ? path.resolve(import.meta.dirname, '..') : path.resolve(process.argv[rootFlag + 1]);

// ---- the rules --------------------------------------------------------------------------------

/** What a file of native/<layer> may include of native/, by the beginning of the path. */
const NATIVE_LAYERS = {
  simd: ['simd/'],
  kernels: ['kernels/', 'simd/'],
  core: ['core/', 'kernels/kernels.h', 'kernels/philox.h', 'kernels/cells/cells.def'],
  binding: ['binding/', 'core/'],
  reference: ['reference/', 'core/', 'kernels/kernels.h', 'kernels/cells/cells.def'],
  test: ['test/', 'reference/', 'core/', 'kernels/', 'simd/'],
};

/** Single includes that the table above would refuse. */
const NATIVE_EXCEPTIONS = new Set([
  // The guard that flushes denormals is set inside a parallel region; it is baseline code.
  'core/parallel.h -> simd/denormals.h',
]);

/** Library headers open to kernels: nothing that owns memory, throws, or emits weak symbols. */
const KERNEL_HEADERS =
  /^(c?(stddef|stdint|string|math|assert|float|limits)(\.h)?|limits|type_traits|utility|bit|concepts|numbers)$/;

/** Library headers with one home. */
const HEADER_HOMES = [
  { header: /^([a-z]mmintrin|x86intrin|immintrin|arm_neon|arm_sve)\.h$/, home: /^simd\// },
  { header: /^omp\.h$/, home: /^core\/parallel\.h$/ },
  { header: /^(napi|node_api|js_native_api|node|uv|v8)(-inl)?\.h$/, home: /^binding\// },
  { header: /^g(test|mock)\//, home: /^test\// },
];

/** Constructs with one home, looked for in code without comments. */
const CONSTRUCT_HOMES = [
  { name: 'OpenMP', pattern: /#\s*pragma\s+omp\b|\bomp_\w+\s*\(/, home: /^core\/parallel\.h$/ },
  { name: 'an intrinsic', pattern: /\b_mm\d*_\w+\s*\(|\bv\w+q_f32\s*\(/, home: /^simd\// },
  {
    name: 'a target attribute',
    pattern: /#\s*pragma\s+(GCC|clang)\s+target|__attribute__\s*\(\(\s*target/,
    home: /^$/,
  },
];

/** Would change arithmetic outside the addon, or tie a build to the machine that made it. */
const BANNED_FLAGS = /-ffast-math|-Ofast|-march=native|\/fp:fast/;
const BUILD_FILES = ['binding.gyp', 'CMakeLists.txt', 'CMakePresets.json', 'native/sources.gypi'];

// ---- reading ------------------------------------------------------------------------------------

const problems = [];
const report = (file, line, text) => problems.push(`${file}:${line}: ${text}`);

const read = (file) => readFileSync(path.join(root, file), 'utf8');

function filesUnder(folder, pattern) {
  const absolute = path.join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => pattern.test(file))
    .sort();
}

/** Reports every cycle that a depth-first walk of `graph` (file -> files) closes. */
function reportCycles(graph, folder) {
  const state = new Map();
  const walk = (file, trail) => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      const cycle = [...trail.slice(trail.indexOf(file)), file].join(' -> ');
      report(`${folder}/${file}`, 1, `cycle: ${cycle}`);
      return;
    }
    state.set(file, 'open');
    for (const next of graph.get(file) ?? []) walk(next, [...trail, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) walk(file, []);
}

/** Everything that `file` reaches in `graph`, itself excluded. */
function reachable(graph, file) {
  const seen = new Set();
  const queue = [file];
  while (queue.length > 0) {
    for (const next of graph.get(queue.pop()) ?? []) {
      if (!seen.has(next)) {
        seen.add(next);
        queue.push(next);
      }
    }
  }
  return seen;
}

// ---- native -------------------------------------------------------------------------------------

function checkLibraryHeader(file, line, header) {
  const layer = file.split('/')[0];
  const home = HEADER_HOMES.find((rule) => rule.header.test(header));
  if (home) {
    if (!home.home.test(file)) report(`native/${file}`, line, `<${header}> has no place here`);
  } else if (header === 'intrin.h' && layer === 'simd') {
    // Microsoft's name for the same thing.
  } else if ((layer === 'simd' || layer === 'kernels') && !KERNEL_HEADERS.test(header)) {
    report(`native/${file}`, line, `kernels may not include <${header}>`);
  }
}

function checkNativeInclude(file, line, target) {
  const layer = file.split('/')[0];
  const allowed = NATIVE_LAYERS[layer];
  const at = `native/${file}`;
  if (!allowed) {
    report(at, line, `native/${layer} is not a layer (${Object.keys(NATIVE_LAYERS).join(', ')})`);
    return;
  }
  if (
    !allowed.some((prefix) => target.startsWith(prefix)) &&
    !NATIVE_EXCEPTIONS.has(`${file} -> ${target}`)
  ) {
    report(at, line, `${layer} may not include "${target}"`);
  }
  if (target.endsWith('.inl.h') && !/^(kernels\/kernels\.cc|.*\.inl\.h)$/.test(file)) {
    report(at, line, `"${target}" is compiled per instruction set, by kernels/kernels.cc alone`);
  }
}

function checkNative() {
  const files = filesUnder('native', /\.(h|cc|def)$/);
  const known = new Set(files);
  const graph = new Map();
  for (const file of files) {
    const code = stripComments(read(`native/${file}`));
    const targets = [];
    code.split('\n').forEach((text, index) => {
      const line = index + 1;
      const include = /^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")/.exec(text);
      if (include?.[1]) {
        checkLibraryHeader(file, line, include[1]);
      } else if (include) {
        const beside = path.posix.join(path.posix.dirname(file), include[2]);
        const target = known.has(include[2]) || !known.has(beside) ? include[2] : beside;
        if (known.has(target) || target.split('/')[0] in NATIVE_LAYERS) {
          targets.push(target);
          checkNativeInclude(file, line, target);
        } else {
          checkLibraryHeader(file, line, target);
        }
      }
      for (const { name, pattern, home } of CONSTRUCT_HOMES) {
        if (pattern.test(text) && !home.test(file)) {
          report(`native/${file}`, line, `${name} has no place here`);
        }
      }
    });
    graph.set(file, targets);
  }
  reportCycles(graph, 'native');
  for (const target of reachable(graph, 'kernels/kernels.h')) {
    if (target.startsWith('simd/')) {
      report('native/kernels/kernels.h', 1, `the core would see ${target} through this header`);
    }
  }
  return files.length;
}

// ---- lib ----------------------------------------------------------------------------------------

const IMPORT =
  /\b(?:import|export)\s+(type\s)?(?:[\w*\s{},$]+?\sfrom\s+)?['"]([^'"]+)['"]|\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g;
const ADDON = /\.node['"`]|\bdlopen\s*\(|\bcreateRequire\b/;

function resolveImport(file, specifier, known) {
  const base = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '');
  return [`${base}.ts`, `${base}/index.ts`, base].find((name) => known.has(name));
}

function checkLib() {
  const files = filesUnder('lib', /\.ts$/);
  const known = new Set(files);
  const manifest = existsSync(path.join(root, 'package.json'))
    ? JSON.parse(read('package.json'))
    : {};
  const dependencies = Object.keys(manifest.dependencies ?? {});
  const graph = new Map();
  for (const file of files) {
    const code = stripComments(read(`lib/${file}`));
    const lineOf = (index) => code.slice(0, index).split('\n').length;
    const targets = [];
    for (const match of code.matchAll(IMPORT)) {
      const specifier = match[2] ?? match[3];
      const line = lineOf(match.index);
      if (specifier.startsWith('.')) {
        const target = resolveImport(file, specifier, known);
        if (!target) {
          const outside = path.posix.join(path.posix.dirname(file), specifier).startsWith('..');
          if (outside && !/^(\.\.\/)+package\.json$/.test(specifier)) {
            report(`lib/${file}`, line, `"${specifier}" is outside lib`);
          }
          continue;
        }
        // A type is erased and `import()` waits until it runs: neither closes a cycle at load.
        const deferred = code.startsWith('import', match.index) && match[3] !== undefined;
        if (!match[1] && !deferred) targets.push(target);
        if (target.startsWith('cli/') && !file.startsWith('cli/')) {
          report(
            `lib/${file}`,
            line,
            `the library may not import the command line ("${specifier}")`,
          );
        }
      } else {
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        const builtin = specifier.startsWith('node:') || builtinModules.includes(specifier);
        if (!builtin && !dependencies.includes(name)) {
          report(`lib/${file}`, line, `"${name}" is not a dependency of the package`);
        }
      }
    }
    if (file !== 'native.ts') {
      code.split('\n').forEach((text, index) => {
        if (ADDON.test(text)) report(`lib/${file}`, index + 1, 'only native.ts loads the addon');
      });
    }
    graph.set(file, targets);
  }
  reportCycles(graph, 'lib');
  return files.length;
}

// ---- build files --------------------------------------------------------------------------------

function checkBuildFiles() {
  for (const file of BUILD_FILES.filter((name) => existsSync(path.join(root, name)))) {
    read(file)
      .split('\n')
      .forEach((text, index) => {
        const flag = BANNED_FLAGS.exec(text.replace(/(^|\s)#.*/, ''));
        if (flag) report(file, index + 1, `${flag[0]} is banned`);
      });
  }
}

const count = checkNative() + checkLib();
checkBuildFiles();
for (const problem of problems) console.error(problem);
console.log(`check-layers: ${count} files, ${problems.length} problems`);
process.exit(problems.length === 0 && count > 0 ? 0 : 1);
