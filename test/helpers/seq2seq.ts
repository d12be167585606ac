import { encoderDecoder } from '../../lib';
import type { EncoderDecoder, EncoderDecoderOptions } from '../../lib';
import { numbers } from './models';

/** Tokens 0 … 2, then the start and the end. */
export const START = 3;
export const END = 4;

/** An encoder–decoder over three tokens that was not trained but has an opinion. */
export function tinyModel(options: Partial<EncoderDecoderOptions> = {}): EncoderDecoder {
  const made = encoderDecoder({
    source: { vocab: 4 },
    target: { vocab: 5, startToken: START, endToken: END },
    units: 6,
    seed: 5,
    ...options,
  });
  const weights = made.model.getWeights();
  made.model.setWeights(
    Object.fromEntries(
      Object.entries(weights).map(([name, { shape, data }], i) => [
        name,
        { shape, data: numbers(data.length, 7 + i).map((value) => 1.2 * value) },
      ]),
    ),
  );
  return made;
}

/** ln of the probabilities of the next token after each of the given prefixes, by whole passes. */
export async function nextTokens(
  { model }: EncoderDecoder,
  source: readonly number[],
  prefixes: readonly (readonly number[])[],
): Promise<Float64Array[]> {
  const target = prefixes.map((prefix) => [START, ...prefix]);
  const { data, shape } = await model.predict({ source: prefixes.map(() => source), target });
  const [, steps, vocab] = shape as [number, number, number];
  return prefixes.map((prefix, i) => {
    const begin = (i * steps + prefix.length) * vocab;
    const logits = Float64Array.from(data.subarray(begin, begin + vocab));
    const highest = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
    return logits.map((logit) => logit - highest - Math.log(total));
  });
}

/** ln of the probability of a sequence and its end. */
export async function logProbability(
  made: EncoderDecoder,
  source: readonly number[],
  tokens: readonly number[],
): Promise<number> {
  const prefixes = [...tokens, END].map((_token, t) => tokens.slice(0, t));
  const next = await nextTokens(made, source, prefixes);
  return [...tokens, END].reduce((sum, token, t) => sum + next[t]![token]!, 0);
}

/** Pairs of a string of tokens and the same reversed, all of them different. */
export function reversals(count: number, vocab: number, longest: number, seed = 1) {
  const random = numbers(count * (longest + 1) * 4, seed);
  let at = 0;
  const draw = (below: number): number => Math.floor(((random[at++]! + 1) / 2) * below) % below;
  const seen = new Set<string>();
  const sources: number[][] = [];
  while (sources.length < count) {
    const source = Array.from({ length: 1 + draw(longest) }, () => draw(vocab));
    if (seen.has(source.join())) continue;
    seen.add(source.join());
    sources.push(source);
  }
  return { sources, targets: sources.map((source) => [...source].reverse()) };
}
