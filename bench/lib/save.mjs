// Results and reports on disk.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const results = path.resolve(import.meta.dirname, '..', 'results');

/** A result of an earlier run. Throws when the file is none. */
export async function readResult(file) {
  const result = JSON.parse(await readFile(file, 'utf8'));
  if (!Array.isArray(result.cases) || !result.machine) {
    throw new Error('it has no "cases" or no "machine"');
  }
  return result;
}

/** Writes a result, by default under its date and machine, and its report beside it. */
export async function saveResult(result, out) {
  const day = result.date.slice(0, 10);
  const file = out ?? path.join(results, `${day}-${result.machine.name}.json`);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`\nresult  ${file}`);
  try {
    const { writeReport } = await import('./report.mjs');
    const page = file.replace(/(\.json)?$/, '.html');
    await writeReport(page, result);
    console.log(`report  ${page}`);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') throw error;
    console.log('report  needs chart.js: npm run bench:setup');
  }
}
