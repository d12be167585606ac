/** Tables from CSV files: columns by name, and cells that say where they stand. */
import { readFile } from 'node:fs/promises';
import { nearest } from '../../validate';
import { Failure, fileError } from '../failures';

/** A CSV file with a heading. */
export interface Table {
  path: string;
  columns: string[];
  rows: string[][];
  /** The line of a row, from 1. */
  lines: number[];
}

/**
 * Reads a CSV file (RFC 4180) whose first line names the columns.
 *
 * @throws Failure with the file and the line, for one that cannot be read
 */
export async function readTable(path: string): Promise<Table> {
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  const { CsvError, parse } = await import('csv-parse/sync');
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(source, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as typeof records;
  } catch (error) {
    const line = error instanceof CsvError ? `:${String(error['lines'])}` : '';
    throw new Failure(`${path}${line}: ${(error as Error).message}`, 'ERR_FORMAT', {
      cause: error,
    });
  }
  const [heading, ...rest] = records;
  if (heading === undefined || rest.length === 0) {
    throw new Failure(`${path} has no rows under a heading`, 'ERR_FORMAT');
  }
  const columns = heading.record;
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new Failure(`${path}:1: two columns are called "${twice}"`, 'ERR_FORMAT');
  }
  return {
    path,
    columns,
    rows: rest.map(({ record }) => record),
    lines: rest.map(({ info }) => info.lines),
  };
}

/**
 * The number of a column.
 *
 * @throws Failure that names the columns that there are
 */
export function columnOf({ path, columns }: Table, name: string): number {
  const index = columns.indexOf(name);
  if (index >= 0) return index;
  const near = nearest(name, columns);
  const advice = near === undefined ? `it has ${columns.join(', ')}` : `did you mean "${near}"?`;
  throw new Failure(`${path} has no column "${name}" (${advice})`, 'ERR_FORMAT');
}

/** @throws Failure with the file and the line for a cell that is no finite number */
export function numberAt(table: Table, row: number, column: number): number {
  const text = table.rows[row]![column]!;
  const value = text === '' ? NaN : Number(text);
  if (Number.isFinite(value)) return value;
  const found = text === '' ? 'nothing' : `"${text}"`;
  throw new Failure(
    `${table.path}:${table.lines[row]}: Expected a number in column "${table.columns[column]}" but found ${found}`,
    'ERR_FORMAT',
  );
}
