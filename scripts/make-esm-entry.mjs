// Writes dist/index.mjs and dist/index.d.mts: the ES module face of the CommonJS build. The library
// exists once, so `import { X }` and `require().X` are the same object. The names come from the type
// checker's view of lib/index.ts, so nothing needs to be loaded and no list is kept by hand.
//
// Node searches a CommonJS file that an ES module imports for its names, which for the whole library
// takes longer than to run it; so index.mjs imports dist/once.js, in which there are none to find.
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '..');
const entry = path.join(root, 'lib', 'index.ts');
if (!existsSync(entry)) throw new Error(`Expected an entry file but found no ${entry}`);

const config = ts.getParsedCommandLineOfConfigFile(
  path.join(root, 'tsconfig.build.json'),
  {},
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
    },
  },
);
const program = ts.createProgram([entry], config.options);
const checker = program.getTypeChecker();
const module = checker.getSymbolAtLocation(program.getSourceFile(entry));
if (!module) throw new Error(`Expected exports in ${entry} but found none`);

const values = [];
const types = [];
for (const symbol of checker.getExportsOfModule(module)) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const typeOnly =
    symbol.declarations?.some((node) => ts.isTypeOnlyImportOrExportDeclaration(node)) ||
    !(target.flags & ts.SymbolFlags.Value);
  (typeOnly ? types : values).push(symbol.name);
}
values.sort();
types.sort();

const list = (names) => names.map((name) => `  ${name},\n`).join('');
const note = '// Generated from lib/index.ts by scripts/make-esm-entry.mjs.\n';
writeFileSync(
  path.join(root, 'dist', 'once.js'),
  `${note}const library = require('./index.js');\n\nmodule.exports = library;\n`,
);
writeFileSync(
  path.join(root, 'dist', 'index.mjs'),
  `${note}import cjs from './once.js';\n\nexport const {\n${list(values)}} = cjs;\n`,
);
writeFileSync(
  path.join(root, 'dist', 'index.d.mts'),
  `${note}export {\n${list(values)}} from './index.js';\n` +
    (types.length ? `export type {\n${list(types)}} from './index.js';\n` : ''),
);
