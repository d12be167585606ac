import { setTimeout as sleep } from 'node:timers/promises';
import { encoderDecoder } from '../../lib';
import type { EncoderDecoder, EncoderDecoderOptions, Hypothesis } from '../../lib';
import { BeamSearch, lengthPenalty } from '../../lib/seq2seq/beam';
import { argumentError, rejectionOf } from '../helpers/errors';
import { END, START, logProbability, nextTokens, tinyModel } from '../helpers/seq2seq';

const SOURCES = [[0, 1, 2, 3], [2], [3, 3, 1], [1, 0]];

/** All sequences of up to `longest` of three tokens. */
function allSequences(longest: number): number[][] {
  const all: number[][] = [[]];
  for (let begin = 0; longest > 0; longest--) {
    const end = all.length;
    for (const sequence of all.slice(begin, end)) {
      for (let token = 0; token < 3; token++) all.push([...sequence, token]);
    }
    begin = end;
  }
  return all;
}

/** Beam search as the definition says, each prefix read from its beginning. */
async function plainBeam(
  made: EncoderDecoder,
  source: number[],
  width: number,
  maxLength: number,
): Promise<number[][]> {
  let live: { tokens: number[]; score: number }[] = [{ tokens: [], score: 0 }];
  const done: { tokens: number[]; score: number; cut: boolean }[] = [];
  for (let t = 0; live.length > 0; t++) {
    const next = await nextTokens(
      made,
      source,
      live.map(({ tokens }) => tokens),
    );
    const candidates = live
      .flatMap((parent, i) =>
        [0, 1, 2, END].map((token) => ({ parent, token, score: parent.score + next[i]![token]! })),
      )
      .sort((a, b) => b.score - a.score)
      .slice(0, width - done.length);
    live = [];
    const cut = new Set<(typeof candidates)[number]['parent']>();
    for (const { parent, token, score } of candidates) {
      if (token === END) done.push({ tokens: parent.tokens, score, cut: false });
      else if (t === maxLength) cut.add(parent);
      else live.push({ tokens: [...parent.tokens, token], score });
    }
    for (const { tokens, score } of cut) done.push({ tokens, score, cut: true });
  }
  done.sort((a, b) => Number(a.cut) - Number(b.cut) || b.score - a.score);
  return done.map(({ tokens }) => tokens);
}

const VARIANTS: [string, Partial<EncoderDecoderOptions>][] = [
  ['lstm, general', {}],
  ['gru, additive, both directions', { cell: 'gru', attention: 'additive', bidirectional: true }],
  ['lstm of two layers, dot', { layers: 2, attention: 'dot', bidirectional: 'sum' }],
  ['simple, without attention', { cell: 'simpleRnn', attention: false }],
];

describe.each(VARIANTS)('decoding, %s', (_name, options) => {
  test('greedily is to take the most probable token again and again', async () => {
    using made = tinyModel(options);
    const got = await made.decode(SOURCES, { maxLength: 6 });
    for (const [i, source] of SOURCES.entries()) {
      const tokens: number[] = [];
      while (tokens.length < 6) {
        const [next] = await nextTokens(made, source, [tokens]);
        const token = [0, 1, 2, END].reduce((a, b) => (next![b]! > next![a]! ? b : a));
        if (token === END) break;
        tokens.push(token);
      }
      expect(got[i]).toEqual(tokens);
    }
    expect(await made.decode(SOURCES, { maxLength: 6, beamWidth: 1, lengthPenalty: 1 })).toEqual(
      got,
    );
    const alone = await Promise.all(SOURCES.map((one) => made.decode([one], { maxLength: 6 })));
    expect(alone.flat()).toEqual(got);
    expect(await made.decode(SOURCES, { maxLength: 6, batchSize: 3, threads: 1 })).toEqual(got);
  });

  test('with a beam follows the definition', async () => {
    using made = tinyModel(options);
    for (const width of [2, 5]) {
      const got = await made.decode(SOURCES, { maxLength: 5, beamWidth: width, nBest: width });
      for (const [i, source] of SOURCES.entries()) {
        const wanted = await plainBeam(made, source, width, 5);
        expect(got[i]!.map(({ tokens }) => tokens)).toEqual(wanted);
      }
    }
  });
});

describe('beam search', () => {
  test.each([0, 0.7])('finds all there is when it is wide enough, alpha %d', async (alpha) => {
    using made = tinyModel();
    const [source] = SOURCES;
    const all = allSequences(4);
    const [got] = await made.decode([source!], {
      beamWidth: 400,
      nBest: 400,
      maxLength: 4,
      lengthPenalty: alpha,
    });
    const ended = got!.filter((hypothesis) => hypothesis.ended);
    expect(ended.map(({ tokens }) => tokens.join()).sort()).toEqual(
      all.map((tokens) => tokens.join()).sort(),
    );
    // Those that were cut off come last, once each.
    expect(got!.slice(ended.length).map(({ tokens }) => tokens.length)).toEqual(
      new Array<number>(81).fill(4),
    );
    let before = Infinity;
    for (const { tokens, score, logProbability: total } of ended) {
      expect(total).toBeCloseTo(await logProbability(made, source!, tokens), 4);
      expect(score).toBeCloseTo(total / ((6 + tokens.length) / 6) ** alpha, 10);
      expect(score).toBeLessThanOrEqual(before);
      before = score;
    }
    // Everything that three tokens and an end can be, and what is longer.
    const mass = got!.reduce((sum, hypothesis) => sum + Math.exp(hypothesis.logProbability), 0);
    expect(mass).toBeLessThan(1 + 1e-5);
  });

  const options = { width: 2, vocab: 5, startToken: START, endToken: END, alpha: 0 };
  const tokensOf = (results: Hypothesis[]) => results.map(({ tokens }) => tokens);

  test('takes the lower token of the earlier hypothesis of equal ones', () => {
    const search = new BeamSearch(options, 3);
    const even = [0.2, 0.2, 0.2, 0.2, 0.2];
    expect(search.advance(Float32Array.from(even), 0)).toEqual([
      { parent: 0, token: 0 },
      { parent: 0, token: 1 },
    ]);
    expect(search.advance(Float32Array.from([...even, ...even]), 0)).toEqual([
      { parent: 0, token: 0 },
      { parent: 0, token: 1 },
    ]);
  });

  test('gives the place of what has ended to nobody', () => {
    const search = new BeamSearch(options, 3);
    search.advance(Float32Array.of(0.3, 0.1, 0.1, 0, 0.5), 0);
    expect(search.size).toBe(1);
    search.advance(Float32Array.of(0.1, 0.1, 0.1, 0, 0.7), 0);
    expect(search.size).toBe(0);
    expect(tokensOf(search.results(2))).toEqual([[], [0]]);
  });

  test('cuts off at the most tokens, and ranks that last', () => {
    const search = new BeamSearch({ ...options, alpha: 1 }, 1);
    search.advance(Float32Array.of(0.6, 0.2, 0.1, 0, 0.1), 0);
    search.advance(Float32Array.of(0.9, 0.05, 0, 0, 0.05, 0.1, 0.1, 0.1, 0, 0.7), 0);
    const results = search.results(2);
    expect(tokensOf(results)).toEqual([[1], [0]]);
    expect(results.map(({ ended }) => ended)).toEqual([true, false]);
    expect(results[0]!.score).toBeCloseTo(Math.log(0.2 * 0.7) / (7 / 6), 5);
    expect(results[1]!.logProbability).toBeCloseTo(Math.log(0.6), 5);
  });

  test('does not go on from the start token, and ends where there is nothing else', () => {
    const search = new BeamSearch(options, 3);
    expect(search.advance(Float32Array.of(0.1, 0, 0, 0.9, 0), 0)).toEqual([
      { parent: 0, token: 0 },
    ]);
    expect(search.advance(Float32Array.of(0, 0, 0, 1, 0), 0)).toEqual([]);
    expect(search.results(1)).toMatchObject([{ tokens: [0], ended: false }]);
  });

  test('penalises lengths as in the paper', () => {
    expect(lengthPenalty(1, 0.6)).toBe(1);
    expect(lengthPenalty(7, 1)).toBe(2);
    expect(lengthPenalty(7, 0)).toBe(1);
  });
});

describe('decode', () => {
  test('gives scores where they are asked for', async () => {
    using made = tinyModel();
    const results = await made.decode(SOURCES, { maxLength: 8, beamWidth: 4, returnScores: true });
    expect(results).toHaveLength(4);
    for (const [i, { tokens, score, logProbability: total, ended }] of results.entries()) {
      expect(ended).toBe(true);
      expect(score).toBe(total);
      expect(total).toBeCloseTo(await logProbability(made, SOURCES[i]!, tokens), 4);
    }
    const best = await made.decode(SOURCES, { maxLength: 8, beamWidth: 4 });
    expect(best).toEqual(results.map(({ tokens }) => tokens));
  });

  test('takes one token for both bounds', async () => {
    using made = encoderDecoder({
      source: { vocab: 4 },
      target: { vocab: 4, startToken: 3, endToken: 3 },
      units: 4,
    });
    const results = await made.decode(SOURCES, { maxLength: 5, returnScores: true });
    expect(results.every(({ tokens }) => tokens.every((token) => token < 3))).toBe(true);
  });

  test('leaves the event loop alone, and hears a signal', async () => {
    using made = tinyModel({ units: 64 });
    // With no end in sight.
    const bias = made.model.getWeights()['output.bias']!;
    bias.data[END] = -1e4;
    made.model.setWeights({ 'output.bias': bias });
    const sources = Array.from({ length: 64 }, (_value, i) => [i % 4, 1, 2, 3]);
    const abort = new AbortController();
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 1);
    const options = { maxLength: 2 ** 20, beamWidth: 8, signal: abort.signal };
    const failure = rejectionOf(() => made.decode(sources, options));
    // A loop that is not left alone would never get there.
    while (ticks < 10) await sleep(1);
    abort.abort(new Error('enough'));
    expect((await failure).message).toBe('enough');
    clearInterval(ticking);
    const early = await rejectionOf(() => made.decode(sources, options));
    expect(early.message).toBe('enough');
    const [cut] = await made.decode([[1]], { maxLength: 3, returnScores: true });
    expect(cut).toMatchObject({ ended: false, tokens: { length: 3 } });
  });

  test('refuses wrong options and sources', async () => {
    using made = tinyModel();
    const refusal = (sources: unknown, options?: object) =>
      rejectionOf(() => made.decode(sources as number[][], options));
    expect(await refusal(SOURCES, { beamWidth: 0 })).toEqual(
      argumentError('RangeError', /beamWidth/),
    );
    expect(await refusal(SOURCES, { beamWith: 3 })).toEqual(
      argumentError('TypeError', /did you mean "beamWidth"/),
    );
    expect(await refusal(SOURCES, { nBest: 3, beamWidth: 2 })).toEqual(
      argumentError('RangeError', /at most beamWidth, 2/),
    );
    expect(await refusal(SOURCES, { maxLength: 0 })).toEqual(
      argumentError('RangeError', /maxLength/),
    );
    expect(await refusal(SOURCES, { lengthPenalty: -1 })).toEqual(
      argumentError('RangeError', /lengthPenalty/),
    );
    expect(await refusal([[0, 1], []])).toEqual(
      argumentError('RangeError', /at least one token for "sources\[1\]"/),
    );
    expect(await refusal([[0, 4]])).toEqual(
      argumentError('RangeError', /from 0 to 3 for "sources\[0\]\[1\]"/),
    );
    expect(await refusal([[0, 0.5]])).toEqual(argumentError('RangeError', /sources\[0\]\[1\]/));
    expect(await refusal([])).toEqual(argumentError('RangeError', /at least one sequence/));
    expect(await refusal('abc')).toEqual(argumentError('TypeError', /sources/));
    expect(await refusal(['abc'])).toEqual(argumentError('TypeError', /sources\[0\]/));
    made.dispose();
    expect(await refusal(SOURCES)).toMatchObject({ code: 'ERR_DISPOSED' });
  });

  test('says so when the weights are not numbers any more', async () => {
    using made = tinyModel();
    const bias = { data: new Float32Array(5).fill(NaN), shape: [5] };
    made.model.setWeights({ 'output.bias': bias });
    const failure = await rejectionOf(() => made.decode(SOURCES));
    expect(failure).toMatchObject({ code: 'ERR_DIVERGED' });
  });
});
