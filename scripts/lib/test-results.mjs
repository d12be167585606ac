// What each test runner counted, in one shape: { name, passed, failed, skipped, seconds, note }.
import { readFileSync } from 'node:fs';

/** Counts of a file written by `jest --json --outputFile`. A suite that did not run is a failure. */
export function countJest(file) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Counts of the files that GoogleTest writes with `--gtest_output=xml`. */
export function countGtest(files) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    const cases = readFileSync(file, 'utf8').split('<testcase ').slice(1);
    for (const text of cases) {
      if (/<failure\b/.test(text)) ++counts.failed;
      else if (/^[^>]*result="completed"/.test(text)) ++counts.passed;
      else ++counts.skipped;
    }
  }
  return counts;
}

/** Sums rows. */
export function total(rows) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const row of rows) {
    for (const key of Object.keys(sum)) sum[key] += row[key] ?? 0;
  }
  return sum;
}

/** A table of the rows, for people. */
export function formatTable(rows) {
  const cells = rows.map((row) => [
    row.name,
    String(row.passed),
    String(row.failed),
    String(row.skipped ?? 0),
    `${(row.seconds ?? 0).toFixed(0)} s`,
    row.note ?? '',
  ]);
  const table = [['runner', 'passed', 'failed', 'skipped', 'time', ''], ...cells];
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  return table
    .map((line) =>
      line
        .map((cell, column) =>
          column >= 1 && column <= 4 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The closing line. */
export function closingLine(rows) {
  const { passed, failed, skipped } = total(rows);
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
