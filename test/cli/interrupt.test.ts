import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
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
    expect(stdout + stderr).toMatch(/Finishing the step[^]*Ctrl-C again/);
    expect(stdout).toMatch(/[Ss]topped[^]*Saved people\.safetensors/);
  });

  it('ends at once the second time, in the middle of a step', async () => {
    const out = 'twice.safetensors';
    const long = writeText(folder, 60_000, 'long.txt');
    // A single step of this model takes seconds.
    const running = start(folder, [
      ...['train', '--text', long, '--out', out, '--json'],
      ...['--units', '768', '--length', '400', '--batch', '96'],
    ]);
    await running.printed('"event":"start"');
    await sleep(300);
    running.child.kill('SIGINT');
    await sleep(300);
    expect(running.child.exitCode).toBeNull();
    const begin = performance.now();
    running.child.kill('SIGINT');
    const { signal, stderr } = await running.ended;
    // Ended by the system, which shells report as 130.
    expect(signal).toBe('SIGINT');
    expect(stderr).toContain('Ended at once');
    expect(performance.now() - begin).toBeLessThan(2_000);
    expect(readdirSync(folder).filter((name) => name.startsWith(out))).toEqual([]);
  });
});
