// The targets of a result, for the terminal.
import { TARGETS } from '../targets.mjs';
import { evaluate } from './target-checks.mjs';
import { viewOf } from './target-view.mjs';

/** [{ row, needs, status, checks: [{ what, asked, shown, status, … }] }] of a result. */
export const evaluateTargets = (result) => evaluate(TARGETS, viewOf(result));

/** How a check is said: `missed`, `met`, `met so far (3 of 10)`, `not measured`. */
export function statusText({ status, measured, expected }) {
  return status === 'incomplete' ? `${measured} of ${expected} measured` : status;
}

/** How many of a check's members pass, where each counts, and which is the worst. */
export function detailText({ met, measured, worst }) {
  if (met === undefined || measured < 2) return worst ?? '';
  return `${met} of ${measured}; ${worst}`;
}

const MARKS = { met: '✓', missed: '✗', incomplete: '…', 'not measured': ' ' };

/** Counts of checks: "12 met, 3 missed, 2 incomplete, 20 not measured". */
export function countStatuses(rows) {
  const words = rows.flatMap(({ checks }) => checks.map(({ status }) => status));
  return Object.keys(MARKS)
    .map((word) => [words.filter((it) => it === word).length, word])
    .filter(([count]) => count > 0)
    .map((pair) => pair.join(' '))
    .join(', ');
}

/**
 * A table of the targets.
 *
 * @param options { all: also rows of which nothing was measured }
 */
export function targetsTable(result, { all = true } = {}) {
  const rows = evaluateTargets(result);
  const isMeasured = ({ checks }) => checks.some(({ status }) => status !== 'not measured');
  const lines = rows
    .filter((it) => all || isMeasured(it))
    .flatMap(({ row, needs, checks }) => [
      [isMeasured({ checks }) ? row : `${row}   [${needs}]`],
      ...checks.map((check) => [
        ` ${MARKS[check.status]} ${check.what}`,
        check.asked,
        check.shown,
        statusText(check),
        detailText(check),
      ]),
    ]);
  if (lines.length === 0) return '';
  const cells = [['target', 'asked', 'result', '', ''], ...lines];
  // A row's title stands alone in its line and may be longer than the column.
  const width = (column) =>
    Math.max(...cells.filter((it) => it.length > 1).map((it) => it[column].length));
  const [what, asked, shown, status] = [0, 1, 2, 3].map(width);
  const text = cells.map((it) =>
    it.length === 1
      ? it[0]
      : [
          it[0].padEnd(what),
          it[1].padStart(asked),
          it[2].padStart(shown),
          it[3].padEnd(status),
          it[4],
        ]
          .join('  ')
          .trimEnd(),
  );
  return [...text, countStatuses(rows)].join('\n');
}
