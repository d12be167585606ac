/** Sequences with labels: one for each sequence (classes), or one for each step (tags). */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Model } from '../../index';
import { isRecord } from '../../validate';
import { Failure, fileError } from '../failures';
import { columnOf, numberAt, readTable } from './table';

/** Where sequences and labels stand in a file. */
export interface LabelFields {
  kind: 'classify' | 'tag';
  /** Column or field of the sequence. */
  input: string;
  /** Column or field of the label or labels. */
  label: string;
  /** Columns of numbers, in place of `input`, for CSV files with a row for each step. */
  features: string[] | null;
  /** The column that says which sequence a row belongs to. */
  group: string | null;
  /** What strings are made of. */
  tokens: 'characters' | 'words';
}

/** What a model keeps of its data, in the file's metadata. */
export interface LabelSpec extends LabelFields {
  /** Tokens by their ids, the first of which stands for unknown ones; null for numbers. */
  vocab: string[] | null;
  /** Numbers of a step. */
  width: number;
  classes: string[];
}

/** A sequence of tokens or of rows of numbers, and what it is labelled with. */
export interface Sample {
  input: string[] | number[][];
  /** One for a sequence, or one for each step; undefined where the file has none. */
  labels: string[] | undefined;
  /** Where it stands, for messages. */
  place: string;
}

const wrong = (place: string, message: string): Failure =>
  new Failure(`${place}: ${message}`, 'ERR_FORMAT');

const isLabel = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

function tokensOf(text: string, { tokens }: LabelFields): string[] {
  return tokens === 'words' ? text.split(/\s+/).filter((word) => word !== '') : [...text];
}

function inputOf(value: unknown, fields: LabelFields, place: string): Sample['input'] {
  if (typeof value === 'string') return tokensOf(value, fields);
  const expected = `Expected a string, or an array of strings, numbers or rows of numbers, for "${fields.input}"`;
  if (!Array.isArray(value)) throw wrong(place, expected);
  if (value.every((item) => typeof item === 'string')) return value;
  const rows = value.map((item: unknown): unknown[] =>
    Array.isArray(item) ? (item as unknown[]) : [item],
  );
  const width = rows[0]!.length;
  if (rows.some((row) => row.length !== width || !row.every((one) => Number.isFinite(one)))) {
    throw wrong(place, `${expected}, all rows of the same length`);
  }
  return rows as number[][];
}

function labelsOf(value: unknown, fields: LabelFields, place: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (fields.kind === 'classify') {
    if (!isLabel(value)) throw wrong(place, `Expected one label for "${fields.label}"`);
    return [String(value)];
  }
  if (!Array.isArray(value) || !value.every(isLabel)) {
    throw wrong(place, `Expected an array of labels, one for each step, for "${fields.label}"`);
  }
  return value.map(String);
}

async function fromJsonLines(path: string, fields: LabelFields): Promise<Sample[]> {
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  return source.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const place = `${path}:${i + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw wrong(place, (error as Error).message);
    }
    if (!isRecord(value)) throw wrong(place, 'Expected a JSON object');
    const input = inputOf(value[fields.input], fields, place);
    return [{ input, labels: labelsOf(value[fields.label], fields, place), place }];
  });
}

async function fromCsv(path: string, fields: LabelFields): Promise<Sample[]> {
  const table = await readTable(path);
  const { kind, group, features } = fields;
  const label = table.columns.includes(fields.label) ? columnOf(table, fields.label) : undefined;
  const place = (row: number): string => `${path}:${table.lines[row]}`;
  if (group === null) {
    const column = columnOf(table, fields.input);
    return table.rows.map((row, i) => ({
      input: tokensOf(row[column]!, fields),
      labels: label === undefined ? undefined : [row[label]!],
      place: place(i),
    }));
  }
  const id = columnOf(table, group);
  const columns = features?.map((name) => columnOf(table, name));
  const token = columns === undefined ? columnOf(table, fields.input) : -1;
  const samples = new Map<string, Sample>();
  table.rows.forEach((row, i) => {
    let sample = samples.get(row[id]!);
    if (sample === undefined) {
      sample = { input: [], labels: label === undefined ? undefined : [], place: place(i) };
      samples.set(row[id]!, sample);
    }
    if (columns === undefined) (sample.input as string[]).push(row[token]!);
    else (sample.input as number[][]).push(columns.map((column) => numberAt(table, i, column)));
    if (label === undefined) return;
    const own = row[label]!;
    if (kind === 'tag' || sample.labels!.length === 0) sample.labels!.push(own);
    else if (sample.labels![0] !== own) {
      const first = sample.labels![0]!;
      const message = `Expected one label for the sequence "${row[id]}" but found "${first}" and "${own}"`;
      throw wrong(place(i), message);
    }
  });
  return [...samples.values()];
}

/**
 * Reads the sequences of a CSV file, or of JSON lines.
 *
 * @throws Failure that names the file and the line
 */
export async function readSamples(path: string, fields: LabelFields): Promise<Sample[]> {
  const extension = extname(path).toLowerCase();
  const json = ['.jsonl', '.ndjson'].includes(extension);
  if (!json && extension !== '.csv') {
    throw new Failure(
      `Expected data that ends with .csv, .jsonl or .ndjson but received "${path}"`,
      'ERR_FORMAT',
    );
  }
  const samples = await (json ? fromJsonLines(path, fields) : fromCsv(path, fields));
  if (samples.length === 0) throw new Failure(`${path} has no sequences`, 'ERR_FORMAT');
  const texts = samples.some(({ input }) => typeof input[0] === 'string');
  const mixed = samples.find(
    ({ input }) => input.length > 0 && (typeof input[0] === 'string') !== texts,
  );
  if (mixed !== undefined) throw wrong(mixed.place, 'Expected tokens or numbers, not both');
  if (fields.kind === 'tag') {
    for (const { input, labels, place } of samples) {
      if (labels === undefined || labels.length === input.length) continue;
      const message = `Expected ${input.length} labels, one for each step, but found ${labels.length}`;
      throw wrong(place, message);
    }
  }
  return samples;
}

/** @throws Failure for a sequence without labels */
export function checkLabelled(samples: readonly Sample[], { label }: LabelFields): void {
  const bare = samples.find(({ labels }) => labels === undefined);
  if (bare !== undefined) throw wrong(bare.place, `Expected a label in "${label}"`);
}

/** The vocabulary and the classes of the sequences that are learnt from. */
export function specOf(samples: readonly Sample[], fields: LabelFields): LabelSpec {
  const seen = samples.flatMap(({ labels }) => labels ?? []);
  const classes = [...new Set(seen)].sort();
  if (classes.length < 2) {
    throw new Failure(`Expected two labels or more but found ${classes.length}`, 'ERR_FORMAT');
  }
  const tokens = samples.some(({ input }) => typeof input[0] === 'string');
  if (!tokens) {
    const first = samples.find(({ input }) => input.length > 0);
    return { ...fields, vocab: null, width: (first?.input[0] as number[]).length, classes };
  }
  const known = new Set(samples.flatMap(({ input }) => input as string[]));
  return { ...fields, vocab: ['', ...[...known].sort()], width: 1, classes };
}

/** Sequences as the model takes them. */
export function inputsOf(samples: readonly Sample[], { vocab, width }: LabelSpec): unknown[] {
  if (vocab === null) {
    return samples.map(({ input, place }) => {
      const odd = (input as number[][]).find((row) => row.length !== width);
      if (odd === undefined) return input;
      throw wrong(
        place,
        `Expected ${width} numbers for each step but found ${odd.length ?? 'text'}`,
      );
    });
  }
  const ids = new Map(vocab.map((token, i) => [token, i]));
  return samples.map(({ input }) =>
    Int32Array.from(input as string[], (token) => ids.get(token) ?? 0),
  );
}

/** Labels as class ids. */
export function targetsOf(samples: readonly Sample[], { kind, classes }: LabelSpec): unknown[] {
  const ids = new Map(classes.map((name, i) => [name, i]));
  return samples.map(({ labels, place }) => {
    const own = labels!.map((name) => {
      const id = ids.get(name);
      if (id !== undefined) return id;
      throw wrong(place, `Expected one of the labels ${classes.join(', ')} but found "${name}"`);
    });
    return kind === 'tag' ? own : own[0]!;
  });
}

/** What the model says of a sequence: a label and its probability, for each step of tags. */
export type Labelled = { label: string; probability: number }[];

function best(scores: Float32Array, classes: readonly string[]): Labelled[number] {
  let most = 0;
  scores.forEach((score, k) => {
    if (score > scores[most]!) most = k;
  });
  const sum = scores.reduce((total, score) => total + Math.exp(score - scores[most]!), 0);
  return { label: classes[most]!, probability: 1 / sum };
}

/** The model's labels for sequences. */
export async function labelsFor(
  model: Model,
  samples: readonly Sample[],
  spec: LabelSpec,
): Promise<Labelled[]> {
  const { classes, kind } = spec;
  const { data, shape } = await model.predict(inputsOf(samples, spec) as never);
  const steps = kind === 'tag' ? shape[1]! : 1;
  const row = (at: number) => data.subarray(at * classes.length, (at + 1) * classes.length);
  return samples.map(({ input }, i) =>
    Array.from({ length: kind === 'tag' ? input.length : 1 }, (_v, t) =>
      best(row(i * steps + t), classes),
    ),
  );
}
