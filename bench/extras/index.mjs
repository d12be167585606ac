// Measurements that are not one case on all drivers. Each is kept in the result under its name and
// is interleaved in itself, so that it means the same in whatever run it was made. A module has
//
//   name       in the result and for --extras
//   title      for tables
//   minutes    that it takes, roughly
//   measure    ({ plan, wanted, isa, log }) -> what is kept: { entries: [{ id, … }], … }, or
//              { unsupported: why } when this library cannot do it yet
//   rows       (what was kept) -> rows of a table, the first is its header
import * as avx2 from './avx2.mjs';
import * as fit from './fit.mjs';
import * as load from './load.mjs';
import * as long from './long.mjs';
import * as memory from './memory.mjs';
import * as start from './start.mjs';

export const EXTRAS = [start, fit, load, memory, long, avx2];

/** The extras with these names; `all` and `none` stand alone. Throws RangeError for another name. */
export function selectExtras(names) {
  if (names.length === 1 && names[0] === 'none') return [];
  if (names.length === 1 && names[0] === 'all') return EXTRAS;
  const known = EXTRAS.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new RangeError(
      `Expected all, none or some of ${known.join(', ')} for "--extras" but received "${unknown}"`,
    );
  }
  return EXTRAS.filter(({ name }) => names.includes(name));
}

/** Tables of what a result has: [{ title, rows }]. */
export function extraTables(extras = {}) {
  return EXTRAS.filter(({ name }) => extras[name] !== undefined).map(({ name, title, rows }) => {
    const { unsupported, failed } = extras[name];
    const reason = unsupported ?? failed;
    return {
      title,
      rows: reason === undefined ? rows(extras[name]) : [[`not measured: ${reason}`]],
    };
  });
}
