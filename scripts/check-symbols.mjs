// Checks every kernel object: one object per instruction set, and the linker must never take code
// out of one of them for somebody else. So an object exports its table and nothing more; it has no
// weak symbol (an inline library function compiled for AVX-512 could be picked for the whole addon),
// no static initialiser (it would run at load, on any CPU), and needs no C++ symbol from outside.
//
//   node scripts/check-symbols.mjs [folder of a build ...]       default: build
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const OBJECT = /(?:^|[\\/])kernels_(\w+?)(?:\.dir)?[\\/].*\.(?:o|obj)$/;

/** Problems of one object from the lines of `nm -C`. */
function problemsOf(isa, listing) {
  const table = `ostinato::${isa}::table`;
  const problems = [];
  let exported = false;
  for (const line of listing.split('\n')) {
    const match = /^[0-9a-f]*\s+([A-Za-z])\s+(.+)$/.exec(line);
    if (!match) continue;
    const [, type, name] = match;
    if (/_GLOBAL__|global constructors keyed/.test(name)) {
      problems.push(`static initialiser: ${name}`);
    } else if ('WwVvu'.includes(type)) {
      problems.push(`weak symbol: ${name}`);
    } else if (type === 'U') {
      if (/[:(]/.test(name)) problems.push(`needs a C++ symbol from outside: ${name}`);
    } else if (type === type.toUpperCase()) {
      if (name === table) exported = true;
      else problems.push(`exported besides the table: ${name}`);
    }
  }
  if (!exported) problems.push(`does not export ${table}`);
  return problems;
}

const folders = process.argv.slice(2);
if (folders.length === 0) folders.push('build');
let objects = 0;
let failures = 0;
for (const folder of folders) {
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true }).sort() : [];
  for (const file of files) {
    const isa = OBJECT.exec(file)?.[1];
    if (!isa) continue;
    ++objects;
    const object = path.join(folder, file);
    const listing = execFileSync('nm', ['-C', object], { encoding: 'utf8', maxBuffer: 1 << 28 });
    for (const problem of problemsOf(isa, listing)) {
      ++failures;
      console.error(`${object}: ${problem}`);
    }
  }
}
if (objects === 0) {
  console.error(`Expected kernel objects under ${folders.join(', ')} but found none: build first`);
}
console.log(`check-symbols: ${objects} objects, ${failures} problems`);
process.exit(objects > 0 && failures === 0 ? 0 : 1);
