// What `import 'ostinato'` adds to the start of a Node process.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { median } from '../lib/statistics.mjs';
import { formatMs } from '../lib/table.mjs';

export const name = 'start';
export const title = "start: import 'ostinato' against an empty process";
export const minutes = 0.1;

const RUNS = 41;
const PROGRAMS = { empty: '', ostinato: "import 'ostinato';" };
/** Within the package its own name resolves to its own entry, as it does for whoever installs it. */
const root = path.resolve(import.meta.dirname, '..', '..');

/** Milliseconds from the start of a process that runs `program` to its end. */
function timeProcess(program) {
  const begin = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { cwd: root, encoding: 'utf8' },
  );
  const ms = performance.now() - begin;
  if (status !== 0) throw new Error(`A process with "${program}" failed: ${stderr}`);
  return ms;
}

/** Alternates the two; the first pair only fills the system's caches. */
export async function measure() {
  const times = { empty: [], ostinato: [] };
  for (let run = 0; run <= RUNS; ++run) {
    const order = run % 2 === 0 ? ['empty', 'ostinato'] : ['ostinato', 'empty'];
    for (const key of order) {
      const ms = timeProcess(PROGRAMS[key]);
      if (run > 0) times[key].push(ms);
    }
  }
  const empty = median(times.empty);
  const ostinato = median(times.ostinato);
  const entry = { id: 'import', empty_ms: empty, import_ms: ostinato, added_ms: ostinato - empty };
  return { runs: RUNS, entries: [entry] };
}

export function rows({ runs, entries: [entry] }) {
  return [
    ['process', 'median ms', 'runs'],
    ['empty', formatMs(entry.empty_ms), runs],
    ["import 'ostinato'", formatMs(entry.import_ms), runs],
    ['added', formatMs(entry.added_ms), ''],
  ];
}
