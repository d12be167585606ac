/** How far texts and label sequences are from what they should be. */
import { shapeMismatch, wrongKind, wrongValue } from '../errors';

/** A text, or a sequence of labels or words. */
export type Sequence = string | ArrayLike<number | string>;

function itemsOf(value: unknown, name: string): (number | string)[] {
  // Code points, so that a character outside the basic plane is one.
  if (typeof value === 'string') return [...value];
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return Array.from(value as ArrayLike<number | string>);
  }
  throw wrongKind('a string or an array', name, value);
}

/** See {@link editDistance}. */
export function distance(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  let row = Array.from({ length: b.length + 1 }, (_value, j) => j);
  a.forEach((item, i) => {
    const next = [i + 1];
    b.forEach((other, j) => {
      const change = row[j]! + (item === other ? 0 : 1);
      next.push(Math.min(change, row[j + 1]! + 1, next[j]! + 1));
    });
    row = next;
  });
  return row[b.length]!;
}

/**
 * The least number of items to put in, take out or change to make one of the other (Levenshtein
 * 1966). Items of strings are code points.
 *
 * @throws TypeError for anything but strings and arrays
 */
export function editDistance(a: Sequence, b: Sequence): number {
  return distance(itemsOf(a, 'a'), itemsOf(b, 'b'));
}

function errorRate(
  references: unknown,
  hypotheses: unknown,
  split: (value: unknown, name: string) => (number | string)[],
): number {
  const many = Array.isArray(references) && Array.isArray(hypotheses);
  const [wanted, given] = many ? [references, hypotheses] : [[references], [hypotheses]];
  if (wanted.length !== given.length) {
    throw shapeMismatch(
      `Expected ${wanted.length} texts for "hypotheses", as many as references, but received ${given.length}`,
    );
  }
  let [edits, length] = [0, 0];
  wanted.forEach((reference: unknown, i) => {
    const items = split(reference, `references[${i}]`);
    edits += distance(items, split(given[i], `hypotheses[${i}]`));
    length += items.length;
  });
  if (length === 0) throw wrongValue('a reference that is not empty', 'references', references);
  return edits / length;
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongKind('a string', name, value);
  return value;
}

/**
 * CER: edits of characters (code points) per character of the references; above 1 it can be. Of many
 * texts, all edits over all characters.
 *
 * @throws TypeError, RangeError, OstinatoError `ERR_SHAPE_MISMATCH` for wrong arguments
 */
export function characterErrorRate(
  references: string | readonly string[],
  hypotheses: string | readonly string[],
): number {
  return errorRate(references, hypotheses, (value, name) => [...text(value, name)]);
}

/**
 * WER: the same by words, which white space parts.
 *
 * @throws as {@link characterErrorRate}
 */
export function wordErrorRate(
  references: string | readonly string[],
  hypotheses: string | readonly string[],
): number {
  return errorRate(references, hypotheses, (value, name) =>
    text(value, name)
      .split(/\s+/)
      .filter((word) => word !== ''),
  );
}
