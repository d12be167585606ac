import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { safetensors } from '../../lib';
import { rejectionOf } from '../helpers/errors';
import { inTemporaryDirectory } from '../helpers/models';

/** A file with the given header text and bytes of data. */
function fileOf(header: string | Buffer, data = Buffer.alloc(0), length?: bigint): Buffer {
  const json = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([prefix, json, data]);
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

async function readBytes(bytes: Buffer) {
  return inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'file.safetensors');
    await fs.writeFile(path, bytes);
    return safetensors.read(path);
  });
}

describe('reading', () => {
  test('a padded header and data', async () => {
    const header = JSON.stringify({ attn0: entry(0, 24, [1, 1, 2, 3]) });
    const data = Buffer.from(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
    const { tensors } = await readBytes(fileOf(header + ' '.repeat(7), data));
    expect(tensors['attn0']!.shape).toEqual([1, 1, 2, 3]);
    expect([...tensors['attn0']!.data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('other float types, empty tensors and scalars', async () => {
    const data = Buffer.alloc(8 + 4 + 4 + 4);
    data.writeDoubleLE(0.1, 0);
    [0x3c00, 0xc500].forEach((bits, i) => data.writeUInt16LE(bits, 8 + 2 * i));
    [0x3f80, 0xbfc0].forEach((bits, i) => data.writeUInt16LE(bits, 12 + 2 * i));
    data.writeFloatLE(7, 16);
    const { tensors } = await readBytes(
      fileOf(
        JSON.stringify({
          double: entry(0, 8, [1], 'F64'),
          half: entry(8, 12, [2], 'F16'),
          brain: entry(12, 16, [2], 'BF16'),
          scalar: entry(16, 20, []),
          empty: entry(20, 20, [0, 3]),
        }),
        data,
      ),
    );
    expect(tensors['double']!.data[0]).toBe(Math.fround(0.1));
    expect([...tensors['half']!.data]).toEqual([1, -5]);
    expect([...tensors['brain']!.data]).toEqual([1, -1.5]);
    expect(tensors['scalar']).toMatchObject({ shape: [] });
    expect(tensors['empty']!.data).toHaveLength(0);
  });

  const four = Buffer.alloc(4);
  test.each<[string, Buffer, RegExp]>([
    ['empty file', Buffer.alloc(0), /has 0 bytes/],
    ['truncated length', Buffer.alloc(5), /has 5 bytes/],
    ['oversized header', fileOf('{}', four, 100_000_001n), /more than 100000000/],
    ['header of 2^63 bytes', fileOf('{}', four, 2n ** 63n), /more than 100000000/],
    ['truncated header', fileOf('{}', four, 50n), /truncated/],
    ['not UTF-8', fileOf(Buffer.from([0x7b, 0xff, 0x7d])), /not UTF-8/],
    ['byte order mark', fileOf('\uFEFF{}'), /does not begin with/],
    ['not JSON', fileOf('{"a":'), /not JSON/],
    ['an array', fileOf('[]'), /does not begin with/],
    [
      'same name twice',
      fileOf(
        '{"a":' + JSON.stringify(entry(0, 0)) + ',"a":' + JSON.stringify(entry(0, 4)) + '}',
        four,
      ),
      /same name twice/,
    ],
    [
      'overlap',
      fileOf(JSON.stringify({ a: entry(0, 8), b: entry(4, 12) }), Buffer.alloc(12)),
      /"b" overlaps/,
    ],
    [
      'hole',
      fileOf(JSON.stringify({ a: entry(0, 4), b: entry(8, 12) }), Buffer.alloc(12)),
      /"b" leaves a hole/,
    ],
    [
      'does not begin at 0',
      fileOf(JSON.stringify({ a: entry(4, 8) }), Buffer.alloc(8)),
      /leaves a hole/,
    ],
    ['truncated data', fileOf(JSON.stringify({ a: entry(0, 8) }), four), /truncated/],
    [
      'bytes left over',
      fileOf(JSON.stringify({ a: entry(0, 4) }), Buffer.alloc(9)),
      /5 bytes follow/,
    ],
    [
      'wrong size',
      fileOf(JSON.stringify({ a: entry(0, 4, [2]) }), four),
      /needs 8 bytes but has 4/,
    ],
    [
      'size overflow',
      fileOf(JSON.stringify({ a: entry(0, 4, [2 ** 40, 2 ** 40]) }), four),
      /needs \d+ bytes/,
    ],
    ['negative size', fileOf(JSON.stringify({ a: entry(0, 4, [-1]) }), four), /no valid shape/],
    [
      'unknown dtype',
      fileOf(JSON.stringify({ a: entry(0, 4, [1], 'F31') }), four),
      /unknown dtype/,
    ],
    ['integers', fileOf(JSON.stringify({ a: entry(0, 4, [1], 'I32') }), four), /not a float/],
    ['no offsets', fileOf('{"a":{"dtype":"F32","shape":[1]}}', four), /no valid data_offsets/],
    ['metadata of numbers', fileOf('{"__metadata__":{"a":1}}'), /metadata "a" is not a string/],
  ])('%s', async (_name, bytes, reason) => {
    const error = await rejectionOf(() => readBytes(bytes));
    expect(error).toMatchObject({ name: 'OstinatoError', code: 'ERR_FORMAT' });
    expect(error.message).toContain('file.safetensors');
    expect(error.message).toMatch(reason);
  });

  test('any cut of a valid file is refused', async () => {
    const whole = fileOf(
      JSON.stringify({ a: entry(0, 8), b: entry(8, 12) }),
      Buffer.from(new Float32Array([1, 2, 3]).buffer),
    );
    for (let length = 0; length < whole.length; length++) {
      const error = await rejectionOf(() => readBytes(whole.subarray(0, length)));
      expect(error.code).toBe('ERR_FORMAT');
    }
  });

  test('a file that is not there', async () => {
    const error = await rejectionOf(() => safetensors.inspect('/nowhere/at-all.safetensors'));
    expect(error).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOENT' } });
  });
});

describe('writing', () => {
  test('round trip of any names, shapes and values', async () => {
    const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
    const tensor = shape.chain((sizes) => {
      const count = sizes.reduce((product, size) => product * size, 1);
      return fc
        .array(fc.float(), { minLength: count, maxLength: count })
        .map((values) => ({ data: Float32Array.from(values), shape: sizes }));
    });
    const name = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => text !== '__metadata__');
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'a.safetensors');
      await fc.assert(
        fc.asyncProperty(
          fc.dictionary(name, tensor, { maxKeys: 4, noNullPrototype: true }),
          fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true }),
          async (tensors, metadata) => {
            await safetensors.write(path, tensors, metadata);
            const back = await safetensors.read(path);
            expect(back.metadata).toEqual(metadata);
            expect(Object.keys(back.tensors).sort()).toEqual(Object.keys(tensors).sort());
            for (const [key, { data, shape: sizes }] of Object.entries(tensors)) {
              expect(back.tensors[key]!.shape).toEqual(sizes);
              expect(back.tensors[key]!.data).toEqual(data);
            }
            const bytes = await fs.readFile(path);
            expect(Number(bytes.readBigUInt64LE(0)) % 8).toBe(0);
          },
        ),
        {
          numRuns: 40,
          examples: [
            [
              Object.fromEntries([['__proto__', { data: Float32Array.of(1, 2), shape: [2] }]]),
              Object.fromEntries([['__proto__', 'a name like any other']]),
            ],
          ],
        },
      );
    });
  });

  test('nothing but the file is left, and a link stays a link', async () => {
    await inTemporaryDirectory(async (directory) => {
      const target = join(directory, 'target.safetensors');
      const link = join(directory, 'link.safetensors');
      await safetensors.write(target, { a: [1] });
      await fs.symlink(target, link);
      await safetensors.write(link, { a: [2] });
      expect((await fs.lstat(link)).isSymbolicLink()).toBe(true);
      expect([...(await safetensors.read(target)).tensors['a']!.data]).toEqual([2]);
      expect((await fs.readdir(directory)).sort()).toEqual([
        'link.safetensors',
        'target.safetensors',
      ]);
    });
  });

  test('a full disk leaves the earlier file as it was', async () => {
    await inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'a.safetensors');
      await safetensors.write(path, { a: [1, 2] });
      const before = await fs.readFile(path);
      const { open } = fs;
      const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
      const spy = jest.spyOn(fs, 'open').mockImplementation(async (...args) => {
        const file = await open(...args);
        file.writeFile = () => Promise.reject(full);
        return file;
      });
      try {
        const error = await rejectionOf(() => safetensors.write(path, { a: [3, 4] }));
        expect(error).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOSPC' } });
        expect(error.message).toContain('no space left');
        expect(error.message).toContain('nothing that was saved before is changed');
      } finally {
        spy.mockRestore();
      }
      expect(await fs.readFile(path)).toEqual(before);
      expect(await fs.readdir(directory)).toEqual(['a.safetensors']);
    });
  });
});
