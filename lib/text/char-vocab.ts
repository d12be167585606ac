/** Characters and their ids. */
import { wrongKind, wrongValue } from '../errors';
import { isRecord, oneOf, parseOptions } from '../validate';

const POLICIES = ['throw', 'skip', 'replace'] as const;

/**
 * What `encode` does with a character that the vocabulary does not have: throw, leave it out, or
 * put the replacement character (U+FFFD, which is then part of the vocabulary).
 */
export type UnknownPolicy = (typeof POLICIES)[number];

/** Options of {@link charVocab}. */
export interface CharVocabOptions {
  /** Default `throw`. */
  unknown?: UnknownPolicy;
}

/** A vocabulary as JSON. */
export interface CharVocabJson {
  characters: string[];
  unknown: UnknownPolicy;
}

const REPLACEMENT = '\uFFFD';

/** A set of characters (Unicode code points) with ids 0 … size - 1, in code point order. */
export class CharVocab {
  /** The characters; the index is the id. */
  readonly characters: readonly string[];
  readonly unknown: UnknownPolicy;
  readonly #ids: ReadonlyMap<number, number>;

  /** @internal Use {@link charVocab} or {@link CharVocab.fromJSON}. */
  constructor(characters: readonly string[], unknown: UnknownPolicy) {
    this.characters = Object.freeze([...characters]);
    this.unknown = unknown;
    this.#ids = new Map(characters.map((character, id) => [character.codePointAt(0)!, id]));
  }

  /** Number of characters. */
  get size(): number {
    return this.characters.length;
  }

  /** Whether a character has an id. */
  has(character: string): boolean {
    return this.#ids.has(character.codePointAt(0) ?? -1);
  }

  /**
   * The ids of a text's characters.
   *
   * @throws TypeError unless a string
   * @throws RangeError for an unknown character under the policy `throw`
   */
  encode(text: string): Int32Array {
    if (typeof text !== 'string') throw wrongKind('a string', 'text', text);
    const replacement = this.#ids.get(REPLACEMENT.codePointAt(0)!);
    const ids = new Int32Array(text.length);
    let count = 0;
    for (let at = 0; at < text.length;) {
      const point = text.codePointAt(at)!;
      const id = this.#ids.get(point) ?? this.#onUnknown(point, at, replacement);
      if (id !== undefined) ids[count++] = id;
      at += point > 0xffff ? 2 : 1;
    }
    return count === ids.length ? ids : ids.slice(0, count);
  }

  #onUnknown(point: number, at: number, replacement: number | undefined): number | undefined {
    if (this.unknown === 'skip') return undefined;
    if (this.unknown === 'replace') return replacement;
    throw wrongValue(
      'a character of the vocabulary',
      `text[${at}]`,
      String.fromCodePoint(point),
      'make the vocabulary with unknown: "skip" or "replace" to accept others',
    );
  }

  /**
   * The text of ids.
   *
   * @throws RangeError for an id outside the vocabulary
   */
  decode(ids: ArrayLike<number>): string {
    let text = '';
    for (let i = 0; i < ids.length; i++) {
      const character = this.characters[ids[i]!];
      if (character === undefined) {
        throw wrongValue(`an id from 0 to ${this.size - 1}`, `ids[${i}]`, ids[i]);
      }
      text += character;
    }
    return text;
  }

  /** A JSON value from which {@link CharVocab.fromJSON} makes an equal vocabulary. */
  toJSON(): CharVocabJson {
    return { characters: [...this.characters], unknown: this.unknown };
  }

  /** @throws TypeError, RangeError for anything that {@link toJSON} did not give */
  static fromJSON(json: unknown): CharVocab {
    if (!isRecord(json)) throw wrongKind('a vocabulary as JSON', 'json', json);
    const { characters, unknown } = json;
    if (!Array.isArray(characters)) throw wrongKind('an array', 'json.characters', characters);
    characters.forEach((character: unknown, i) => {
      if (typeof character !== 'string') {
        throw wrongKind('a character', `json.characters[${i}]`, character);
      }
      if ([...character].length !== 1) {
        throw wrongValue('one character', `json.characters[${i}]`, character);
      }
    });
    if (new Set(characters).size !== characters.length || characters.length === 0) {
      throw wrongValue('different characters', 'json.characters', characters);
    }
    const policy = oneOf(POLICIES).parse(unknown, 'json.unknown');
    return new CharVocab(characters as string[], policy);
  }
}

/**
 * The vocabulary of all characters of a text.
 *
 * @throws TypeError unless a string; RangeError for an empty one
 */
export function charVocab(corpus: string, options?: CharVocabOptions): CharVocab {
  if (typeof corpus !== 'string') throw wrongKind('a string', 'corpus', corpus);
  if (corpus === '') throw wrongValue('a text that is not empty', 'corpus', corpus);
  const { unknown } = parseOptions('charVocab', options, { unknown: oneOf(POLICIES, 'throw') });
  const points = new Set<number>();
  for (const character of corpus) points.add(character.codePointAt(0)!);
  if (unknown === 'replace') points.add(REPLACEMENT.codePointAt(0)!);
  const sorted = [...points].sort((a, b) => a - b).map((point) => String.fromCodePoint(point));
  return new CharVocab(sorted, unknown);
}
