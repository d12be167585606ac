// A result as one HTML file that needs nothing else: charts, tables, library and data inlined.
import { createRequire } from 'node:module';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { extraTables } from '../extras/index.mjs';
import { derive, summarise } from './summary.mjs';
import { countStatuses, detailText, evaluateTargets, statusText } from './targets-table.mjs';

const folder = path.resolve(import.meta.dirname, '..', 'report');

/** The browser build of chart.js. Throws MODULE_NOT_FOUND when it is not installed. */
async function chartLibrary() {
  const main = createRequire(import.meta.url).resolve('chart.js');
  return readFile(path.join(path.dirname(main), 'chart.umd.min.js'), 'utf8');
}

/** Text that can stand inside a script element. */
const inScript = (text) => text.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');

/** The targets as the page shows them: rows of [what, asked, result, status, detail], with a class. */
function targetsOf(result) {
  const rows = evaluateTargets(result);
  const checks = rows.flatMap(({ row, needs, checks: members }) =>
    members.map((check) => ({
      row,
      needs,
      status: check.status,
      cells: [check.what, check.asked, check.shown, statusText(check), detailText(check)],
      failing: (check.failing ?? []).map(({ id, shown }) => `${id}  ${shown}`),
    })),
  );
  return { counts: countStatuses(rows), checks };
}

/** Writes the report of a result. */
export async function writeReport(file, result) {
  const read = (name) => readFile(path.join(folder, name), 'utf8');
  const data = {
    result,
    targets: targetsOf(result),
    summary: summarise(result.cases),
    derived: derive(result.cases),
    extras: extraTables(result.extras),
  };
  const parts = {
    STYLE: await read('page.css'),
    DATA: JSON.stringify(data).replaceAll('<', '\\u003c'),
    LIBRARY: inScript(await chartLibrary()),
    PAGE: inScript(await read('page.js')),
  };
  const page = (await read('page.html')).replace(/\/\*([A-Z]+)\*\//g, (_mark, name) => parts[name]);
  await writeFile(file, page);
}
