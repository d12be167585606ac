/** What a command prints: text for people or JSON for machines, never both on one stream. */

/** Any value that `JSON.stringify` takes. */
export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Standard output of a command. */
export class Output {
  /** @param json whether the reader is a machine */
  constructor(readonly json: boolean) {}

  /** Whether a bar may be drawn. */
  get drawsBars(): boolean {
    return !this.json && process.stdout.isTTY;
  }

  /** A line for people; machines do not see it. */
  line(text = ''): void {
    if (!this.json) process.stdout.write(`${text}\n`);
  }

  /** Text for people without a line's end. */
  text(text: string): void {
    if (!this.json) process.stdout.write(text);
  }

  /** One line of JSON for machines; people do not see it. */
  object(value: Readonly<Record<string, Json>>): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }
}

/** 1234567 as `1,234,567`. */
export function grouped(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Bytes as `1.4 MB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds as `2.5 s`, `17 s`, `3 min 5 s` or `2 h 4 min`. */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Lines of `key  value` with the values in one column. */
export function columns(rows: readonly (readonly [string, string])[], indent = ''): string {
  const width = Math.max(0, ...rows.map(([key]) => key.length));
  return rows.map(([key, value]) => `${indent}${key.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

/** A table with a heading; columns of numbers are aligned to the right. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  indent = '',
): string {
  const all = [heading, ...rows];
  const widths = heading.map((_title, i) => Math.max(...all.map((row) => row[i]!.length)));
  const numeric = heading.map(
    (_title, i) => rows.length > 0 && rows.every((row) => /^[\d,.]*$/.test(row[i]!)),
  );
  return all
    .map((row) =>
      row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))),
    )
    .map((cells) => `${indent}${cells.join('  ')}`.trimEnd())
    .join('\n');
}
