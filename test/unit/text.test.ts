import fc from 'fast-check';
import { OstinatoError, layers, sequential, text } from '../../lib';
import { sample } from '../../lib/text/sampling';
import { RandomSequence } from '../../lib/rng';
import { rejectionOf, thrownBy } from '../helpers/errors';
import { characterModel } from '../helpers/models';

async function collect(parts: AsyncIterable<string>): Promise<string> {
  let whole = '';
  for await (const part of parts) whole += part;
  return whole;
}

describe('charVocab', () => {
  test('round trip of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (corpus) => {
        const vocab = text.charVocab(corpus);
        expect(vocab.decode(vocab.encode(corpus))).toBe(corpus);
        const copy = text.CharVocab.fromJSON(JSON.parse(JSON.stringify(vocab)));
        expect(copy.characters).toEqual(vocab.characters);
        expect([...copy.encode(corpus)]).toEqual([...vocab.encode(corpus)]);
      }),
    );
  });

  test('code points, in order', () => {
    const vocab = text.charVocab('ba😀');
    expect(vocab.characters).toEqual(['a', 'b', '😀']);
    expect([...vocab.encode('😀a')]).toEqual([2, 0]);
    expect(vocab.has('😀')).toBe(true);
  });

  test('unknown characters', () => {
    const error = thrownBy(() => text.charVocab('abc').encode('abx'));
    expect(error.name).toBe('RangeError');
    expect(error.message).toContain('"text[2]" but received "x"');
    expect([...text.charVocab('abc', { unknown: 'skip' }).encode('xaxb')]).toEqual([0, 1]);
    const replacing = text.charVocab('abc', { unknown: 'replace' });
    expect(replacing.decode(replacing.encode('xa'))).toBe('\uFFFDa');
    expect(thrownBy(() => text.charVocab('')).name).toBe('RangeError');
    expect(thrownBy(() => text.charVocab('abc').decode([3])).name).toBe('RangeError');
  });

  test.each([
    [null],
    [{ characters: 'abc', unknown: 'throw' }],
    [{ characters: ['a', 'a'], unknown: 'throw' }],
    [{ characters: ['ab'], unknown: 'throw' }],
    [{ characters: ['a'], unknown: 'maybe' }],
  ])('fromJSON refuses %j', (json) => {
    expect(thrownBy(() => text.CharVocab.fromJSON(json))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});

describe('windows', () => {
  const vocab = text.charVocab('0123456789');

  test('lanes cover the text once, window after window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 9 }),
        (size, length, lanes) => {
          const ids = Int32Array.from({ length: size }, (_value, i) => i);
          if (size - 1 < lanes) {
            expect(thrownBy(() => text.windows(ids, { length, batchSize: lanes })).name).toBe(
              'RangeError',
            );
            return;
          }
          const data = text.windows(ids, { length, batchSize: lanes });
          const { config } = data.prepare();
          const perLane = Math.floor((size - 1) / lanes);
          expect(data.tokens).toBe(perLane * lanes);
          expect(data.samples % lanes).toBe(0);
          const seen = new Set<number>();
          for (let i = 0; i < data.samples; i++) {
            const begin = config.inputOffsets[i]!;
            expect(config.lengths[i]).toBe(config.lengths[i - (i % lanes)]);
            expect(config.targetOffsets![i]).toBe(begin + 1);
            if (i >= lanes) {
              expect(begin).toBe(config.inputOffsets[i - lanes]! + config.lengths[i - lanes]!);
            }
            for (let t = 0; t < config.lengths[i]!; t++) seen.add(begin + t);
          }
          expect(seen.size).toBe(perLane * lanes);
        },
      ),
    );
  });

  test('independent windows with a stride', () => {
    const data = text.windows('0123456789', { vocab, length: 3, stride: 2 });
    expect([...data.prepare().config.inputOffsets]).toEqual([0, 2, 4, 6]);
    expect(data.stateful).toBe(false);
    expect(text.windows('01', { vocab, length: 5 }).length).toBe(1);
  });

  test('wrong options', () => {
    expect(thrownBy(() => text.windows('0', { vocab, length: 3 })).name).toBe('RangeError');
    expect(thrownBy(() => text.windows('01', { length: 3 })).message).toContain('"windows.vocab"');
    expect(thrownBy(() => text.windows('0x', { vocab, length: 3 })).name).toBe('RangeError');
    expect(thrownBy(() => text.windows('01', { vocab, length: 1, stateful: true })).name).toBe(
      'TypeError',
    );
  });
});

describe('sample', () => {
  const logits = Float32Array.from([1, 3, 2, -Infinity]);
  const all = { temperature: 1, topK: 0, topP: 1 };

  test('temperature 0 takes the most probable', () => {
    expect(sample(logits, { ...all, temperature: 0 }, 0.99)).toBe(1);
  });

  test('frequencies follow the softmax', () => {
    const random = new RandomSequence(1);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 20_000; i++) counts[sample(logits, all, random.next())]!++;
    const sum = Math.exp(1) + Math.exp(3) + Math.exp(2);
    expect(counts[0]! / 20_000).toBeCloseTo(Math.exp(1) / sum, 1.7);
    expect(counts[1]! / 20_000).toBeCloseTo(Math.exp(3) / sum, 1.7);
    expect(counts[3]).toBe(0);
  });

  test('top-k and top-p', () => {
    for (const random of [0, 0.3, 0.6, 0.999999]) {
      expect(sample(logits, { ...all, topK: 1 }, random)).toBe(1);
      expect(sample(logits, { ...all, topP: 0.1 }, random)).toBe(1);
      expect([1, 2]).toContain(sample(logits, { ...all, topK: 2 }, random));
      expect([1, 2]).toContain(sample(logits, { ...all, topP: 0.8 }, random));
    }
    expect(sample(logits, { ...all, topK: 2 }, 0.999)).toBe(2);
  });
});

describe('generate', () => {
  const vocab = text.charVocab('abcdefg');

  test('is the same for the same seed, and goes on from the state', async () => {
    using model = characterModel(vocab.size);
    const run = (seed: number) =>
      collect(text.generate(model.session(), vocab, { prompt: 'abc', length: 40, seed }));
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
    expect(await run(1)).toHaveLength(40);
  });

  test('does not fit', async () => {
    using model = characterModel(vocab.size);
    const first = (session: never, options: object) =>
      rejectionOf(() => collect(text.generate(session, vocab, options as never)));
    const session = model.session() as never;
    expect((await first(session, {})).name).toBe('TypeError');
    expect((await first(session, { prompt: '' })).name).toBe('RangeError');
    expect((await first(session, { prompt: 'x' })).name).toBe('RangeError');
    expect((await first({} as never, { prompt: 'a' })).name).toBe('TypeError');
    expect((await first(model.session({ streams: 2 }) as never, { prompt: 'a' })).code).toBe(
      'ERR_SHAPE_MISMATCH',
    );
    using small = characterModel(3);
    expect((await first(small.session() as never, { prompt: 'a' })).code).toBe(
      'ERR_SHAPE_MISMATCH',
    );
    const aborted = await first(session, { prompt: 'a', signal: AbortSignal.abort('enough') });
    expect(aborted).toBe('enough');
  });

  test('reads probabilities as well as logits', async () => {
    const build = (activation: 'linear' | 'softmax') =>
      sequential(
        [
          layers.embedding({ inputDim: vocab.size, units: 4 }),
          layers.gru({ units: 6, returnSequences: true }),
          layers.dense({ units: vocab.size, activation }),
        ],
        { seed: 5 },
      );
    const run = (activation: 'linear' | 'softmax') =>
      collect(
        text.generate(build(activation).session(), vocab, { prompt: 'a', length: 30, seed: 3 }),
      );
    expect(await run('softmax')).toBe(await run('linear'));
  });

  test('NaN is an error', async () => {
    using model = characterModel(vocab.size);
    model.setWeights({ 'dense.bias': Array(vocab.size).fill(NaN) as number[] });
    const error = await rejectionOf(() =>
      collect(text.generate(model.session(), vocab, { prompt: 'a' })),
    );
    expect(error).toBeInstanceOf(OstinatoError);
    expect(error.code).toBe('ERR_DIVERGED');
  });
});
