/** What a decoder knows of the language: which words there are, and which labels follow which. */
import { wrongKind, wrongValue } from './errors';
import { checkInteger, integer, number, parseOptions } from './validate';

/** ln of the probability of a label after those before it. Must be the same for the same arguments. */
export type Scorer = (before: readonly number[], label: number) => number;

/** A sequence of labels on the way, as a node of a tree. */
export interface Prefix {
  /** Undefined for the empty one. */
  readonly parent: Prefix | undefined;
  /** The last label; -1 for the empty one. */
  readonly label: number;
  /** What scorer and bonus have added. */
  readonly score: number;
  /** Where it stands in the words; undefined without any. */
  readonly word: Word | undefined;
  readonly next: Map<number, Prefix>;
}

/** A node of the tree of words. */
interface Word {
  readonly next: Map<number, Word>;
  ends: boolean;
}

interface LanguageOptions {
  blank: number;
  words: unknown;
  separator: number | undefined;
  scorer: Scorer | undefined;
  scorerWeight: number;
  labelBonus: number;
}

function treeOf({ words, blank, separator }: LanguageOptions): Word | undefined {
  if (words === undefined) return undefined;
  const name = 'ctc.beamSearch.words';
  if (!Array.isArray(words)) throw wrongKind('an array of label sequences', name, words);
  const root: Word = { next: new Map(), ends: false };
  words.forEach((word: ArrayLike<unknown>, i) => {
    if (!Array.isArray(word) && !ArrayBuffer.isView(word)) {
      throw wrongKind('an array of labels', `${name}[${i}]`, word);
    }
    if (word.length === 0) throw wrongValue('at least one label', `${name}[${i}]`, word);
    let node = root;
    for (let j = 0; j < word.length; j++) {
      const label = checkInteger(word[j], `${name}[${i}][${j}]`, 0, 2 ** 24);
      if (label === blank || label === separator) {
        throw wrongValue('neither the blank nor the separator', `${name}[${i}][${j}]`, label);
      }
      let child = node.next.get(label);
      if (child === undefined) node.next.set(label, (child = { next: new Map(), ends: false }));
      node = child;
    }
    node.ends = true;
  });
  return root;
}

/** The prefixes of one search, each of which exists once. */
export class PrefixTree {
  readonly root: Prefix;
  readonly #options: LanguageOptions;
  readonly #words: Word | undefined;

  constructor(options: LanguageOptions) {
    this.#options = options;
    this.#words = treeOf(options);
    this.root = {
      parent: undefined,
      label: -1,
      score: 0,
      word: this.#words,
      next: new Map(),
    };
  }

  /** The prefix with one more label; undefined where no word goes on like that. */
  extend(prefix: Prefix, label: number): Prefix | undefined {
    const known = prefix.next.get(label);
    if (known !== undefined) return known;
    const { separator, scorer, scorerWeight, labelBonus } = this.#options;
    let word: Word | undefined;
    if (prefix.word !== undefined) {
      const between = label === separator && prefix.word.ends;
      word = between ? this.#words : prefix.word.next.get(label);
      if (word === undefined) return undefined;
    }
    let score = prefix.score + labelBonus;
    if (scorer !== undefined) {
      const log = scorer(this.labelsOf(prefix), label);
      if (typeof log !== 'number' || !(log <= 0)) {
        throw wrongValue('ln of a probability', 'ctc.beamSearch.scorer(…)', log);
      }
      score += scorerWeight * log;
    }
    const longer: Prefix = { parent: prefix, label, score, word, next: new Map() };
    prefix.next.set(label, longer);
    return longer;
  }

  /** Whether a prefix may end here: after a whole word, or before any. */
  isWhole({ word, parent }: Prefix): boolean {
    return word === undefined || word.ends || parent === undefined;
  }

  labelsOf(prefix: Prefix): number[] {
    const labels: number[] = [];
    for (let node = prefix; node.parent !== undefined; node = node.parent) labels.push(node.label);
    return labels.reverse();
  }
}

/** Options of {@link ngram}. */
export interface NgramOptions {
  /** Labels that are looked at, the new one included. Default 3. */
  order?: number;
  /** Labels there are. Required. */
  classes: number;
  /** Weight of the shorter context; see {@link ngram}. Default 1. */
  smoothing?: number;
}

/**
 * A language model for {@link Scorer}: counts of the n-grams of training sequences, mixed with those
 * of shorter contexts (MacKay and Peto 1995). With c the counts and s the smoothing:
 * p(k | context) = (c(context k) + s · p(k | shorter)) / (c(context) + s), down to 1 / classes.
 *
 * @throws TypeError, RangeError for wrong arguments
 */
export function ngram(sequences: readonly ArrayLike<number>[], options: NgramOptions): Scorer {
  const { order, classes, smoothing } = parseOptions('ctc.ngram', options, {
    order: integer(1, 16, 3),
    classes: integer(1, 2 ** 24),
    smoothing: number({ above: 0 }, 1),
  });
  if (!Array.isArray(sequences))
    throw wrongKind('an array of label sequences', 'sequences', sequences);
  const counts = new Map<string, number>();
  const count = (key: string): number => counts.get(key) ?? 0;
  sequences.forEach((sequence: ArrayLike<unknown>, i) => {
    const labels = Array.from(sequence, (label, j) =>
      checkInteger(label, `sequences[${i}][${j}]`, 0, classes - 1),
    );
    labels.forEach((label, j) => {
      for (let from = Math.max(0, j - order + 1); from <= j; from++) {
        // A context counts as often as something follows it.
        const context = labels.slice(from, j).join();
        counts.set(context, count(context) + 1);
        const whole = `${context}>${label}`;
        counts.set(whole, count(whole) + 1);
      }
    });
  });
  return (before, label) => {
    let p = 1 / classes;
    const most = Math.min(order - 1, before.length);
    for (let length = 0; length <= most; length++) {
      const context = before.slice(before.length - length).join();
      p = (count(`${context}>${label}`) + smoothing * p) / (count(context) + smoothing);
    }
    return Math.log(p);
  };
}
