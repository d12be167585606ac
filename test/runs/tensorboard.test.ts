/** Event files, against TensorBoard's own writer and a reader that shares nothing with ours. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { callbacks } from '../../lib';
import type { Callback } from '../../lib';
import { EventEncoder } from '../../lib/tensorboard/events';
import type { SummaryValue } from '../../lib/tensorboard/events';
import { histogramOf } from '../../lib/tensorboard/histogram';
import { crc32c } from '../../lib/tensorboard/record';
import { inTemporaryDirectory, numbers, regressionModel } from '../helpers/models';

/** The messages as TensorFlow publishes them, without what is not written. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
  message Summary {
    message Value { string tag = 1; float simple_value = 2; HistogramProto histo = 5; }
    repeated Value value = 1;
  }
  message HistogramProto {
    double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
    repeated double bucket_limit = 6 [packed = true]; repeated double bucket = 7 [packed = true];
  }`);

interface Histo {
  num: number;
  sum: number;
  bucketLimit: number[];
  bucket: number[];
}

interface Event {
  step: number;
  fileVersion?: string;
  summary?: { value: { tag: string; simpleValue: number; histo?: Histo }[] };
}

/** The checksum bit by bit, as it is defined. */
function checksum(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  const value = BigInt((crc ^ -1) >>> 0);
  return Number((((value >> 15n) | (value << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

function readEvents(path: string): Event[] {
  const bytes = readFileSync(path);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(checksum(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(checksum(data));
    const type = root.lookupType('Event');
    events.push(type.toObject(type.decode(data), { longs: Number, defaults: false }) as Event);
    at += 16 + length;
  }
  return events;
}

const onlyFile = (folder: string): string => {
  const names = readdirSync(folder);
  expect(names).toHaveLength(1);
  expect(names[0]).toMatch(/^events\.out\.tfevents\.\d+\./);
  return join(folder, names[0]!);
};

test('the same bytes as TensorBoard writes', () => {
  const data = join(__dirname, 'data');
  const given = JSON.parse(readFileSync(join(data, 'events.json'), 'utf8')) as {
    wallTime: number;
    events: { wallTime: number; step: number; values: SummaryValue[] }[];
  };
  const encoder = EventEncoder.create();
  const records = given.events.map(({ wallTime, step, values }) => {
    const read = values.map((value) =>
      'scalar' in value ? { ...value, scalar: Number(value.scalar) } : value,
    );
    return encoder.summary(wallTime, step, read);
  });
  const written = Buffer.concat([encoder.fileVersion(given.wallTime), ...records]);
  expect(written.equals(readFileSync(join(data, 'expected.tfevents')))).toBe(true);
});

test('the checksum of the standard', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

test('histograms count every finite value in a bucket that holds it', () => {
  const values = Float32Array.of(-3, -1e-20, 0, 1e-20, 0.5, 0.5, 7, 3e38, NaN, Infinity);
  const { min, max, count, sum, limits, counts } = histogramOf(values);
  expect([min, count]).toEqual([-3, 8]);
  expect(max).toBeCloseTo(3e38, -32);
  expect(sum).toBeCloseTo(3e38, -32);
  expect(counts.reduce((total, n) => total + n, 0)).toBe(8);
  expect(limits).toEqual([...limits].sort((a, b) => a - b));
  // Each value lies below the end of its bucket, and not below the one before.
  for (const value of values.filter(Number.isFinite)) {
    const bucket = limits.findIndex((limit) => limit > value);
    expect(counts[bucket]).toBeGreaterThan(0);
    if (bucket > 0 && value !== -3) expect(limits[bucket - 1]).toBeLessThanOrEqual(value);
  }
  expect(counts[limits.findIndex((limit) => limit > 0.5)]).toBe(2);
  expect(histogramOf(new Float32Array(0))).toMatchObject({ count: 0, min: 0, max: 0 });
});

const x = { data: numbers(20 * 5 * 3), shape: [20, 5, 3] };
const y = { data: numbers(20 * 2, 9), shape: [20, 2] };
const options = { loss: 'meanSquaredError', batchSize: 4, validationSplit: 0.2 } as const;

test('a run: scalars, the validation beside, histograms of weights and gradients', async () => {
  await inTemporaryDirectory(async (logDir) => {
    using model = regressionModel();
    const norms: number[] = [];
    const board = callbacks.tensorBoard({ logDir, histogramFreq: 2, updateFreq: 3 });
    const history = await model.fit(x, y, {
      ...options,
      epochs: 3,
      callbacks: [board],
      onBatch: ({ gradientNorm }) => void norms.push(gradientNorm),
    });
    const train = readEvents(onlyFile(join(logDir, 'train')));
    const held = readEvents(onlyFile(join(logDir, 'validation')));
    expect([train[0]!.fileVersion, held[0]!.fileVersion]).toEqual([
      'brain.Event:2',
      'brain.Event:2',
    ]);
    const scalars = (events: Event[], tag: string) =>
      events.flatMap(({ step = 0, summary }) =>
        (summary?.value ?? [])
          .filter((value) => value.tag === tag)
          .map(({ simpleValue }) => [step, simpleValue]),
      );
    const float = (list: readonly number[], steps: (i: number) => number = (i) => i) =>
      list.map((value, i) => [steps(i), Math.fround(value)]);
    expect(scalars(train, 'epoch_loss')).toEqual(float(history.loss));
    expect(scalars(held, 'epoch_loss')).toEqual(float(history.valLoss!));
    expect(scalars(train, 'epoch_learning_rate')).toEqual(float(history.learningRate));
    const every = norms.filter((_norm, i) => i % 3 === 0);
    expect(scalars(train, 'batch_gradient_norm')).toEqual(float(every, (i) => i * 3));

    const histograms = train.flatMap(({ step = 0, summary }) =>
      (summary?.value ?? []).flatMap(({ tag, histo }) => (histo ? [{ tag, step, histo }] : [])),
    );
    const weights = model.getWeights();
    const names = Object.keys(weights).map((name) => name.replace('.', '/'));
    expect(histograms.map(({ tag }) => tag)).toEqual(
      [0, 2].flatMap(() => [...names, ...names.map((name) => `${name}/gradient`)]),
    );
    const { data } = weights['dense.weight']!;
    const last = histograms.filter(({ tag }) => tag === 'dense/weight').at(-1)!;
    expect(last.step).toBe(2);
    expect(last.histo.num).toBe(data.length);
    expect(last.histo.sum).toBeCloseTo(
      data.reduce((total, value) => total + value, 0),
      6,
    );
    const gradient = histograms.filter(({ tag }) => tag === 'dense/weight/gradient').at(-1)!;
    expect(gradient.histo.bucket.length).toBeGreaterThan(1);
  });
});

test('a resumed run goes on in the same files, and repeats nothing', async () => {
  await inTemporaryDirectory(async (folder) => {
    const run = async (name: string, parts: readonly number[]) => {
      const logDir = join(folder, name, 'log');
      const directory = join(folder, name, 'checkpoints');
      for (const [i, end] of parts.entries()) {
        using model = regressionModel();
        // All parts but the last go on after their checkpoint, as a process does until it is killed.
        const kill: Callback = {
          onBatchEnd: ({ step }) => {
            if (i < parts.length - 1 && step === end) throw new Error('killed');
          },
        };
        const list = [
          callbacks.tensorBoard({ logDir, updateFreq: 1 }),
          callbacks.modelCheckpoint({ directory, everySteps: 3 }),
          kill,
        ];
        const resume = await callbacks.latestCheckpoint(directory);
        await model
          .fit(x, y, { ...options, epochs: 3, callbacks: list, ...(resume ? { resume } : {}) })
          .catch((error: Error) => expect(error.message).toBe('killed'));
      }
      return readEvents(onlyFile(join(logDir, 'train'))).map(({ step = 0, summary }) => ({
        step,
        values: (summary?.value ?? []).filter(({ tag }) => tag !== 'epoch_seconds'),
      }));
    };
    const whole = await run('whole', [99]);
    expect(whole).toHaveLength(1 + 12 + 3);
    expect(await run('parts', [4, 7, 99])).toEqual(whole);
  });
});
