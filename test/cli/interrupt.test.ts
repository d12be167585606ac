import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TINY, jsonLines, ostinato, start, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder, 20_000);
const endless = (out: string): string[] => [
  ...['train', '--text', text, '--out', out, '--epochs', '1000000', '--json'],
  ...TINY,
];

describe('Ctrl-C during training', () => {
  it.each<[NodeJS.Signals, number]>([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('saves a whole model and ends: %s', async (signal, expected) => {
    const out = `${signal}.safetensors`;
    const running = start(folder, endless(out));
    await running.printed('"event":"epoch"');
    running.child.kill(signal);
    const { code, stdout } = await running.ended;
    expect(code).toBe(expected);
    const done = jsonLines(stdout).at(-1)!;
    expect(done).toMatchObject({ event: 'done', out, interrupted: true });
    expect(done['steps']).toBeGreaterThan(0);
    const generated = await ostinato(folder, ['generate', out, '--length', '20', '--json']);
    expect(generated.code).toBe(0);
  });

  it('tells people what it did', async () => {
    const args = endless('people.safetensors').filter((arg) => arg !== '--json');
    const running = start(folder, args);
    await running.printed('epoch 1 of');
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stdout + stderr).toMatch(/finish[^]*Ctrl-C again/);
    expect(stdout).toMatch(/[Ss]topped[^]*Saved people\.safetensors/);
  });

  it('ends at once the second time', async () => {
    const out = 'twice.safetensors';
    const running = start(folder, endless(out));
    await running.printed('"event":"start"');
    // Both are sent before the first can be answered by an orderly end.
    const begin = performance.now();
    running.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 1));
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect(code).toBe(130);
    expect(performance.now() - begin).toBeLessThan(3_000);
    // Whatever was on its way, no half-written file stands under the model's name.
    if (existsSync(join(folder, out))) {
      expect((await ostinato(folder, ['inspect', out])).code).toBe(0);
    }
  });
});
