import { teacherForcing } from '../../lib';
import type { EncoderDecoder } from '../../lib';
import type { OpenData } from '../../lib/data/source';
import { Model } from '../../lib/model';
import { ScheduledSampling } from '../../lib/seq2seq/scheduled-sampling';
import type { Guess } from '../../lib/seq2seq/scheduled-sampling';
import { Steps } from '../../lib/seq2seq/steps';
import { argumentError, thrownBy } from '../helpers/errors';
import { END, START, tinyModel } from '../helpers/seq2seq';

const SOURCES = [[0, 1, 2, 3], [2], [3, 3, 1], [1, 0]].map((row) => Int32Array.from(row));
const TRUTH = [[0, 1, 2], [], [2, 2, 2, 2, 2], [1]].map((row) => Int32Array.of(START, ...row));
const SAMPLES = Int32Array.of(2, 0, 1, 3);

/** What the decoder would read in a step, by sample. */
async function drawn(
  { model }: EncoderDecoder,
  probability: number,
  { guess = 'greedy', seed = 1, step = 0 }: { guess?: Guess; seed?: number; step?: number } = {},
): Promise<number[][]> {
  const steps = new Steps(Model.coreOf(model));
  const written: number[][] = [];
  const data = {
    native: {
      writeInput: (input: number, sample: number, tokens: Int32Array) => {
        expect(input).toBe(1);
        written[sample] = [...tokens];
      },
    },
  } as unknown as OpenData;
  const options = {
    teacherForcing: () => probability,
    guess,
    seed,
    sources: SOURCES,
    truth: TRUTH,
  };
  const sampling = new ScheduledSampling(steps, options, { signal: undefined, threads: 1 });
  await sampling.beforeStep(data, SAMPLES, step);
  steps.dispose();
  return written;
}

const truth = TRUTH.map((row) => [...row]);

describe('scheduled sampling', () => {
  test('feeds the true tokens at a probability of 1', async () => {
    using made = tinyModel();
    expect(await drawn(made, 1)).toEqual(truth);
  });

  test('feeds what greedy decoding gives at 0, as long as that goes on', async () => {
    using made = tinyModel();
    const decoded = await made.decode(SOURCES, { maxLength: 5 });
    const got = await drawn(made, 0);
    got.forEach((tokens, i) => {
      expect(tokens).toHaveLength(TRUTH[i]!.length);
      const wanted = [START, ...decoded[i]!, END].slice(0, tokens.length);
      expect(tokens.slice(0, wanted.length)).toEqual(wanted);
    });
    expect(got).not.toEqual(truth);
  });

  test('mixes both, the same for the same seed and step', async () => {
    using made = tinyModel();
    const guess = 'sample';
    const once = await drawn(made, 0.5, { guess });
    expect(await drawn(made, 0.5, { guess })).toEqual(once);
    const others = await Promise.all([
      drawn(made, 0.5, { guess, seed: 2 }),
      drawn(made, 0.5, { guess, step: 1 }),
    ]);
    for (const other of others) expect(other).not.toEqual(once);
    expect(once.flat()).not.toContain(undefined);
    once.forEach((tokens) => {
      expect(tokens[0]).toBe(START);
      expect(tokens.slice(1)).not.toContain(START);
    });
  });

  test('draws guesses by the probabilities of the model', async () => {
    using made = tinyModel();
    const counts = new Map<number, number>();
    const draws = 400;
    for (let step = 0; step < draws; step++) {
      const first = (await drawn(made, 0, { guess: 'sample', step }))[0]![1]!;
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    const prediction = await made.model.predict({ source: [SOURCES[0]!], target: [[START]] });
    const weights = [0, 1, 2, START, END].map((token) =>
      token === START ? 0 : Math.exp(prediction.data[token]!),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, token) => {
      const p = weight / total;
      const deviation = Math.sqrt((p * (1 - p)) / draws);
      expect(Math.abs((counts.get(token) ?? 0) / draws - p)).toBeLessThan(4 * deviation + 1e-9);
    });
  });

  test('changes nothing in training while true tokens are fed', async () => {
    const weights = async (options: object): Promise<string> => {
      using made = tinyModel({ dropout: 0.2 });
      await made.fit(
        SOURCES,
        TRUTH.map((row) => row.slice(1)),
        { epochs: 4, batchSize: 2, ...options },
      );
      return JSON.stringify(made.model.getWeights());
    };
    const plain = await weights({});
    expect(await weights({ teacherForcing: () => 1 })).toBe(plain);
    const mixed = await weights({ teacherForcing: 0.3 });
    expect(mixed).not.toBe(plain);
    expect(await weights({ teacherForcing: 0.3 })).toBe(mixed);
    expect(await weights({ teacherForcing: 0.3, threads: 1 })).toBe(mixed);
    // What was fed before is forgotten where the truth is fed again.
    const late = await weights({ teacherForcing: (step: number) => (step === 0 ? 0 : 1) });
    expect(late).not.toBe(plain);
  });

  test('ends with its signal', async () => {
    using made = tinyModel();
    const abort = new AbortController();
    const running = made.fit(
      SOURCES,
      TRUTH.map((row) => row.slice(1)),
      {
        epochs: 1000,
        teacherForcing: 0,
        signal: abort.signal,
        onEpoch: ({ epoch }) => {
          if (epoch === 3) abort.abort(new Error('enough'));
        },
      },
    );
    await expect(running).rejects.toThrow('enough');
    expect(await made.decode([[1]], { maxLength: 2 })).toHaveLength(1);
  });
});

describe('teacherForcing', () => {
  test('has the schedules of the paper', () => {
    const { constant, linear, exponential, inverseSigmoid } = teacherForcing;
    expect(constant(0.5)(7)).toBe(0.5);
    expect([0, 5, 10, 20].map(linear({ steps: 10, to: 0.2 }))).toEqual([1, 0.6, 0.2, 0.2]);
    expect(exponential({ k: 0.9 })(2)).toBeCloseTo(0.81, 12);
    const sigmoid = inverseSigmoid({ k: 10 });
    expect(sigmoid(0)).toBeCloseTo(10 / 11, 12);
    expect(sigmoid(10 * Math.log(10))).toBeCloseTo(0.5, 12);
    expect(sigmoid(1e6)).toBe(0);
  });

  test('refuses what is no probability', () => {
    const { constant, linear, exponential, inverseSigmoid } = teacherForcing;
    const wrong = (message: RegExp) => argumentError('RangeError', message);
    expect(thrownBy(() => constant(2))).toEqual(wrong(/probability/));
    expect(thrownBy(() => linear({ steps: 0 }))).toEqual(wrong(/steps/));
    expect(thrownBy(() => linear({ steps: 5, from: 0.2, to: 0.5 }))).toEqual(wrong(/at most from/));
    expect(thrownBy(() => exponential({ k: 1 }))).toEqual(wrong(/below 1/));
    expect(thrownBy(() => inverseSigmoid({ k: 0.5 }))).toEqual(wrong(/at least 1/));
    expect(thrownBy(() => linear({ stepz: 5 } as never))).toEqual(
      argumentError('TypeError', /did you mean "steps"/),
    );
  });
});
