import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TINY, jsonLines, ostinato, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder);
const bytes = (name: string): Buffer => readFileSync(join(folder, name));

describe('train', () => {
  it('learns a text, saves the model and says how to go on', async () => {
    const args = ['train', '--text', text, '--out', 'a.safetensors', '--epochs', '6', ...TINY];
    const { code, stdout, stderr } = await ostinato(folder, args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('8,000 characters');
    expect(stdout).toMatch(/epoch 6 of 6: [\d.]+ bits per character, held out [\d.]+/);
    expect(stdout).toContain('Saved a.safetensors');
    expect(stdout).toContain('ostinato generate a.safetensors');
    expect(existsSync(join(folder, 'a.safetensors'))).toBe(true);
    // The language has five subjects and four verbs: far fewer bits than its letters could take.
    expect(
      Number(/held out ([\d.]+)[^]*?\nSaved/.exec(stdout.slice(stdout.indexOf('epoch 6')))![1]),
    ).toBeLessThan(2.5);
    expect(readdirSync(folder).filter((name) => name.includes('a.safetensors'))).toEqual([
      'a.safetensors',
    ]);
  });

  it('prints nothing but JSON lines with --json', async () => {
    const args = ['train', '--text', text, '--out', 'j.safetensors', '--epochs', '2', '--json'];
    const { code, stdout, stderr } = await ostinato(folder, [...args, ...TINY]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const events = jsonLines(stdout);
    expect(events[0]).toMatchObject({ event: 'start', characters: 8_000, epochs: 2 });
    const epochs = events.filter(({ event }) => event === 'epoch');
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(epochs[1]!['validationBits']).toBeLessThan(epochs[0]!['validationBits'] as number);
    expect(events.at(-1)).toMatchObject({
      event: 'done',
      out: 'j.safetensors',
      interrupted: false,
      validationBits: epochs[1]!['validationBits'],
    });
  });

  it('gives the same file for the same seed, for any number of threads', async () => {
    const run = (out: string, ...more: string[]) =>
      ostinato(folder, ['train', '--text', text, '--out', out, '--epochs', '2', ...TINY, ...more]);
    const ends = [
      await run('s1.safetensors', '--seed', '5', '--dropout', '0.2', '--threads', '1'),
      await run('s2.safetensors', '--seed', '5', '--dropout', '0.2', '--threads', '2'),
      await run('s3.safetensors', '--seed', '6', '--dropout', '0.2'),
    ];
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(bytes('s1.safetensors').equals(bytes('s2.safetensors'))).toBe(true);
    expect(bytes('s1.safetensors').equals(bytes('s3.safetensors'))).toBe(false);
  });

  it.each(['gru', 'rnn'])('trains a %s of two layers', async (cell) => {
    const out = `${cell}.safetensors`;
    const args = ['train', '--text', text, '--out', out, '--cell', cell, '--layers', '2', '--json'];
    const { code, stdout } = await ostinato(folder, [...args, '--epochs', '1', ...TINY]);
    expect(code).toBe(0);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: 'done' });
    const { stdout: inside } = await ostinato(folder, ['inspect', out, '--json']);
    const [{ tensors }] = jsonLines(inside) as [{ tensors: { name: string; shape: number[] }[] }];
    const names = tensors.map(({ name }) => name);
    expect(names.filter((name) => /weight_hh_l[01]$/.test(name))).toHaveLength(2);
    const gates = cell === 'gru' ? 3 : 1;
    expect(tensors.find(({ name }) => name.endsWith('weight_hh_l1'))!.shape).toEqual([
      gates * 24,
      24,
    ]);
  });

  it('takes a configuration file, whose paths begin at its folder, and flags before it', async () => {
    mkdirSync(join(folder, 'sub'), { recursive: true });
    writeText(join(folder, 'sub'), 4_000, 'near.txt');
    writeFileSync(
      join(folder, 'sub', 'config.yaml'),
      'text: near.txt\nout: near.safetensors\nunits: 12\nlearningRate: 1e-3\nepochs: 1\nlength: 16\nbatch: 4\n',
    );
    const args = ['train', 'sub/config.yaml', '--units', '20', '--json'];
    const { code, stdout } = await ostinato(folder, args);
    expect(code).toBe(0);
    expect(jsonLines(stdout)[0]).toMatchObject({ characters: 4_000, epochs: 1 });
    const { stdout: inside } = await ostinato(folder, [
      'inspect',
      'sub/near.safetensors',
      '--json',
    ]);
    expect(inside).toContain('[80,20]');
  });

  it('takes JSON too, and --seconds instead of the epochs of the file', async () => {
    writeFileSync(
      join(folder, 'c.json'),
      JSON.stringify({ text, out: 'c.safetensors', epochs: 1, units: 16, length: 16, batch: 8 }),
    );
    const args = ['train', 'c.json', '--seconds', '0.8', '--json'];
    const { code, stdout } = await ostinato(folder, args);
    expect(code).toBe(0);
    const done = jsonLines(stdout).at(-1)!;
    expect(done['seconds']).toBeGreaterThanOrEqual(0.8);
    expect(done['seconds']).toBeLessThan(3);
  });

  it('goes on with a saved model', async () => {
    const common = ['--text', text, '--json', '--length', '16', '--batch', '8'];
    const first = await ostinato(folder, [
      ...['train', ...common, '--out', 'r1.safetensors', '--epochs', '2', '--units', '24'],
    ]);
    const second = await ostinato(folder, [
      ...['train', ...common, '--out', 'r2.safetensors', '--epochs', '1'],
      ...['--resume', 'r1.safetensors', '--learning-rate', '0.001'],
    ]);
    expect([first.code, second.code]).toEqual([0, 0]);
    const before = jsonLines(first.stdout).at(-1)!['validationBits'] as number;
    const after = jsonLines(second.stdout).at(-1)!['validationBits'] as number;
    expect(after).toBeLessThan(before);
  });

  it('says which characters a resumed model does not know', async () => {
    writeFileSync(join(folder, 'new.txt'), 'the sea ★ '.repeat(50));
    const args = [
      'train',
      '--text',
      'new.txt',
      '--resume',
      'a.safetensors',
      '--out',
      'n.safetensors',
    ];
    const { code, stderr } = await ostinato(folder, args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ostinato: [^\n]*★[^\n]*\n$/);
    expect(existsSync(join(folder, 'n.safetensors'))).toBe(false);
  });

  it('reads fewer places at once where the text is short, and says so', async () => {
    writeText(folder, 300, 'short.txt');
    const args = ['train', '--text', 'short.txt', '--out', 'short.safetensors', '--epochs', '1'];
    const { code, stdout } = await ostinato(folder, [...args, '--units', '8']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/short.*--batch/i);
  });

  it.each<[string, Buffer | string | undefined, RegExp]>([
    ['missing', undefined, /Cannot read wrong\.txt: there is no such file/],
    ['empty', '', /wrong\.txt has fewer than 2/],
    ['too short', 'a', /wrong\.txt has fewer than 2/],
    ['not UTF-8', Buffer.from([0x61, 0xff, 0xfe, 0x62]), /wrong\.txt is not UTF-8/],
  ])('fails clearly on a text that is %s', async (_name, content, expected) => {
    const file = join(folder, 'wrong.txt');
    if (content !== undefined) writeFileSync(file, content);
    const { code, stdout, stderr } = await ostinato(folder, ['train', '--text', 'wrong.txt']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ostinato: [^\n]+\n$/);
    expect(stderr).toMatch(expected);
    expect(stdout).not.toContain('Saved');
  });

  it('finds out before training that it cannot save', async () => {
    const args = ['train', '--text', text, '--out', 'nowhere/model.safetensors'];
    const { code, stdout, stderr } = await ostinato(folder, args);
    expect(code).toBe(1);
    expect(stdout).not.toContain('epoch');
    expect(stderr).toMatch(/^ostinato: Cannot write nowhere\/model\.safetensors: [^\n]+\n$/);
  });

  it('shows a stack with OSTINATO_DEBUG=1 alone', async () => {
    const args = ['train', '--text', 'nowhere.txt'];
    const plain = await ostinato(folder, args);
    const debug = await ostinato(folder, args, { OSTINATO_DEBUG: '1' });
    expect(plain.stderr).not.toContain('    at ');
    expect(debug.stderr).toContain('    at ');
  });
});
