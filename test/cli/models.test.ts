import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TINY, jsonLines, ostinato, sentences, start, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder);
const model = 'model.safetensors';

beforeAll(async () => {
  const args = ['train', '--text', text, '--out', model, '--epochs', '8', ...TINY];
  expect((await ostinato(folder, args)).code).toBe(0);
});

/** A safetensors file of the given header and bytes. */
function writeSafetensors(name: string, header: unknown, data = Buffer.alloc(0)): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(join(folder, name), Buffer.concat([size, json, data]));
  return name;
}

describe('generate', () => {
  it('writes as many characters as asked for, after the prompt', async () => {
    const args = ['generate', model, '--prompt', 'the ', '--length', '120', '--seed', '1'];
    const { code, stdout, stderr } = await ostinato(folder, args);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.startsWith('the ')).toBe(true);
    expect(stdout).toHaveLength('the '.length + 120 + 1);
    const known = new Set(sentences(8_000));
    expect([...stdout].every((character) => known.has(character))).toBe(true);
  });

  it('gives the same text for the same seed and another for another', async () => {
    const run = async (seed: string): Promise<string> => {
      const args = ['generate', model, '--length', '80', '--temperature', '1', '--seed', seed];
      return (await ostinato(folder, args)).stdout;
    };
    const [a, b, c] = [await run('3'), await run('3'), await run('4')];
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  it('prints one JSON object with the seed that it drew', async () => {
    const first = await ostinato(folder, ['generate', model, '--length', '50', '--json']);
    const [object, ...more] = jsonLines(first.stdout);
    expect(more).toEqual([]);
    expect(object).toMatchObject({ prompt: '', characters: 50 });
    expect(object!['text']).toHaveLength(50);
    const again = await ostinato(folder, [
      ...['generate', model, '--length', '50', '--json', '--seed', String(object!['seed'])],
    ]);
    expect(jsonLines(again.stdout)[0]!['text']).toBe(object!['text']);
  });

  it('takes the most probable character at temperature 0, with any seed', async () => {
    const run = async (...more: string[]): Promise<string> =>
      (await ostinato(folder, ['generate', model, '--length', '60', '--prompt', 'a', ...more]))
        .stdout;
    const [cold, colder, one] = [
      await run('--temperature', '0', '--seed', '1'),
      await run('--temperature', '0', '--seed', '2'),
      await run('--top-k', '1', '--seed', '3'),
    ];
    expect(cold).toBe(colder);
    expect(one).toBe(cold);
  });

  it('says which characters of the prompt are unknown', async () => {
    const { code, stderr } = await ostinato(folder, ['generate', model, '--prompt', 'the ☃']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ostinato: [^\n]*☃[^\n]*\n$/);
  });

  it('is quiet when its reader has gone', async () => {
    const running = start(folder, ['generate', model, '--prompt', 'the ', '--length', '1000000']);
    await running.printed('the ');
    running.child.stdout!.destroy();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('eval', () => {
  it('knows its own text better than a shuffled one', async () => {
    const letters = [...sentences(3_000)];
    const shuffled = letters.map((_c, i) => letters[(i * 1_009) % letters.length]).join('');
    writeFileSync(join(folder, 'shuffled.txt'), shuffled);
    const run = async (file: string): Promise<Record<string, unknown>> => {
      const { code, stdout } = await ostinato(folder, ['eval', model, '--text', file, '--json']);
      expect(code).toBe(0);
      const objects = jsonLines(stdout);
      expect(objects).toHaveLength(1);
      return objects[0]!;
    };
    const own = await run(text);
    const other = await run('shuffled.txt');
    expect(own['characters']).toBe(7_999);
    expect(other['characters']).toBe(2_999);
    expect(own['bitsPerCharacter']).toBeLessThan(2.5);
    expect(other['bitsPerCharacter']).toBeGreaterThan(4);
    expect(own['accuracy']).toBeGreaterThan(0.5);
    expect(other['accuracy']).toBeLessThan(0.3);
  });

  it('tells people', async () => {
    const { code, stdout } = await ostinato(folder, ['eval', model, '--text', text]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/bits per character +[\d.]+/);
    expect(stdout).toMatch(/right +[\d.]+ %/);
  });
});

describe('inspect', () => {
  it('shows layers, tensors and parameters', async () => {
    const { code, stdout } = await ostinato(folder, ['inspect', model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/embedding .*units/);
    expect(stdout).toContain('lstm.weight_ih_l0');
    expect(stdout).toMatch(/parameters +[\d,]+/);
  });

  it('counts as the tensors say', async () => {
    const { stdout } = await ostinato(folder, ['inspect', model, '--json']);
    const [object] = jsonLines(stdout) as [
      {
        parameters: number;
        tensors: { name: string; dtype: string; shape: number[] }[];
        layers: unknown[];
      },
    ];
    const vocabulary = new Set(sentences(8_000)).size;
    // Embedding, four gates with two biases each, and the output.
    const expected = vocabulary * 8 + 4 * 24 * (8 + 24 + 2) + vocabulary * (24 + 1);
    expect(object.parameters).toBe(expected);
    expect(object.layers).toHaveLength(3);
    expect(object.tensors.every(({ dtype }) => dtype === 'F32')).toBe(true);
  });

  it('shows files of other libraries, of any size, by their heads', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      'rnn.weight_ih_l0': { dtype: 'F32', shape: [8, 3], data_offsets: [0, 96] },
      'rnn.bias_ih_l0': { dtype: 'F16', shape: [8], data_offsets: [96, 112] },
      steps: { dtype: 'I64', shape: [], data_offsets: [112, 120] },
    };
    const name = writeSafetensors('torch.safetensors', header, Buffer.alloc(120));
    const { code, stdout } = await ostinato(folder, ['inspect', name, '--json']);
    expect(code).toBe(0);
    expect(jsonLines(stdout)[0]).toMatchObject({
      layers: null,
      metadata: { format: 'pt' },
      tensors: [
        { name: 'rnn.weight_ih_l0', dtype: 'F32', shape: [8, 3] },
        { name: 'rnn.bias_ih_l0', dtype: 'F16', shape: [8] },
        { name: 'steps', dtype: 'I64', shape: [] },
      ],
    });
    const people = await ostinato(folder, ['inspect', name]);
    expect(people.stdout).toContain('rnn.weight_ih_l0');
  });

  it('does not need the addon', async () => {
    const { code } = await ostinato(folder, ['inspect', model], { OSTINATO_NATIVE: '/nowhere' });
    expect(code).toBe(0);
  });
});

describe('files that are no models', () => {
  const files: [string, () => string][] = [
    ['missing', () => 'missing.safetensors'],
    ['a folder', () => '.'],
    ['text', () => text],
    [
      'empty',
      () => {
        writeFileSync(join(folder, 'empty.safetensors'), '');
        return 'empty.safetensors';
      },
    ],
    [
      'cut off',
      () => {
        writeFileSync(
          join(folder, 'cut.safetensors'),
          readFileSync(join(folder, model)).subarray(0, 5_000),
        );
        return 'cut.safetensors';
      },
    ],
    ['of a header that is no JSON', () => writeSafetensors('json.safetensors', '{"a": ')],
    [
      'of overlapping tensors',
      () =>
        writeSafetensors(
          'overlap.safetensors',
          {
            a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
            b: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
          },
          Buffer.alloc(12),
        ),
    ],
  ];
  const commands: [string, (file: string) => string[]][] = [
    ['inspect', (file) => ['inspect', file]],
    ['generate', (file) => ['generate', file]],
    ['eval', (file) => ['eval', file, '--text', text]],
    [
      'train --resume',
      (file) => ['train', '--text', text, '--resume', file, '--out', 'x.safetensors'],
    ],
  ];

  it.each(
    files.flatMap(([kind, make]) =>
      commands.map(([name, args]) => [name, kind, make, args] as const),
    ),
  )('%s of a file that is %s fails with one clear line', async (_name, _kind, make, args) => {
    const file = make();
    const { code, stdout, stderr } = await ostinato(folder, args(file));
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ostinato: [^\n]+\n$/);
    expect(stderr).toContain(file);
  });

  it('a model without a vocabulary is told apart', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    };
    const name = writeSafetensors('plain.safetensors', header, Buffer.alloc(4));
    const { code, stderr } = await ostinato(folder, ['generate', name]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ostinato: [^\n]*plain\.safetensors[^\n]*\n$/);
  });

  it('machines get the code', async () => {
    const { code, stdout } = await ostinato(folder, ['inspect', 'missing.safetensors', '--json']);
    expect(code).toBe(1);
    const [object] = jsonLines(stdout) as [{ error: { code: string; message: string } }];
    expect(object.error.code).toMatch(/^E/);
    expect(object.error.message).toContain('missing.safetensors');
  });
});

describe('info', () => {
  it('shows what the library runs on', async () => {
    const { code, stdout } = await ostinato(folder, ['info']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/instruction set +\w+/);
  });

  it('obeys the environment, and gives JSON', async () => {
    const env = { OSTINATO_ISA: 'scalar', OSTINATO_NUM_THREADS: '3' };
    const { code, stdout } = await ostinato(folder, ['info', '--json'], env);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      expect.objectContaining({ isa: 'scalar', threads: 3, node: process.version }),
    ]);
  });

  it('fails clearly where the addon is missing', async () => {
    const { code, stdout, stderr } = await ostinato(folder, ['info'], {
      OSTINATO_NATIVE: '/nowhere',
    });
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('/nowhere: no such file');
  });
});
