// Kinds of checks, and what becomes of one: met, missed, incomplete or not measured.
import { geometricMean } from './statistics.mjs';

/**
 * A check: { what, bound, value, passes(value), expected, members(view), ofEach }. `expected` is how
 * many members make it whole; `tolerance` how far a member may be off and still count as equal.
 */
const make = (kind, symbol, ofEach, compare, valueOf) =>
  function check(what, bound, unit, expected, members, tolerance = 0) {
    const limit = bound * (symbol === '≥' ? 1 - tolerance : 1 + tolerance);
    const passes = (value) => compare(value, limit);
    return {
      kind,
      what,
      symbol,
      bound,
      unit,
      expected,
      members,
      tolerance,
      ofEach,
      passes,
      valueOf,
    };
  };

const atLeast = (value, limit) => value >= limit;
const atMost = (value, limit) => value <= limit;

/** Every member is at least `bound`; shown is the least. */
export const least = make('least', '≥', true, atLeast, (values) => Math.min(...values));
/** Every member is at most `bound`; shown is the largest. */
export const most = make('most', '≤', true, atMost, (values) => Math.max(...values));
/** The geometric mean of the members is at least `bound`. */
export const mean = make('mean', '≥', false, atLeast, geometricMean);

const DIGITS = { '×': 2, '%': 1, µs: 2, ms: 1, MB: 0, '': 0 };

/** `1.23×`, `82.1 %`, `3.21 µs` */
export function formatValue(value, unit) {
  const digits = Math.abs(value) >= 100 ? 0 : DIGITS[unit];
  return `${value.toFixed(digits)}${unit === '×' || unit === '' ? unit : ` ${unit}`}`;
}

const formatBound = ({ symbol, bound, unit, tolerance }) => {
  const space = unit === '×' || unit === '' ? '' : ' ';
  const noise = tolerance > 0 ? ` (± ${(100 * tolerance).toFixed(0)} %)` : '';
  return `${symbol} ${bound}${space}${unit}${noise}`;
};

/** A check on a view: { what, asked, status, shown, value, worst, met, measured, expected }. */
function evaluateCheck(check, view) {
  const { what, unit, expected, ofEach, passes } = check;
  const asked = formatBound(check);
  const members = check.members(view).filter(({ value }) => Number.isFinite(value));
  const base = { what, asked, measured: members.length, expected };
  if (members.length === 0) return { ...base, status: 'not measured', shown: '–' };
  const value = check.valueOf(members.map((it) => it.value));
  const failing = ofEach ? members.filter((it) => !passes(it.value)) : [];
  const isWhole = members.length >= expected;
  const passed = ofEach ? failing.length === 0 : passes(value);
  // One failing member is enough for a miss; a mean of some members says nothing yet.
  const status = passed
    ? isWhole
      ? 'met'
      : 'incomplete'
    : ofEach || isWhole
      ? 'missed'
      : 'incomplete';
  const worst = ofEach ? members.find((it) => it.value === value) : undefined;
  return {
    ...base,
    status,
    value,
    shown: formatValue(value, unit),
    ...(ofEach ? { met: members.length - failing.length } : {}),
    ...(worst ? { worst: worst.note ? `${worst.id} (${worst.note})` : worst.id } : {}),
    failing: failing.map(({ id, value: off }) => ({ id, shown: formatValue(off, unit) })),
  };
}

/** All targets on a view: [{ row, needs, status, checks }]; a row is as good as its worst check. */
export function evaluate(targets, view) {
  const ORDER = ['missed', 'not measured', 'incomplete', 'met'];
  return targets.map(({ row, needs, checks }) => {
    const done = checks.map((check) => evaluateCheck(check, view));
    const status = ORDER.find((word) => done.some((it) => it.status === word));
    return { row, needs, status, checks: done };
  });
}
