import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { jsonLines, ostinato, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const model = 'whale.safetensors';

/** Runs an example, which must end well, and returns what it printed. */
function example(name: string, ...args: string[]): Promise<string> {
  const path = join(__dirname, '../../examples', name);
  const child = spawn(process.execPath, [path, ...args], { cwd: folder });
  let printed = '';
  const collect = (chunk: string): void => {
    printed += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(printed) : reject(new Error(`exit code ${code}:\n${printed}`)),
    );
  });
}

describe('examples', () => {
  beforeAll(async () => {
    const printed = await example('quickstart.mjs', '--seconds', '2', '--out', model);
    const last = /quickstart: val_bpc=([\d.]+) chars_per_s=\d+ seconds=([\d.]+)\n$/.exec(printed)!;
    // Guessing costs 6.5 bits; two seconds are enough to learn which letters are common.
    expect(Number(last[1])).toBeLessThan(5.5);
    expect(Number(last[2])).toBeGreaterThanOrEqual(2);
    const [, sample] = /---\nCall me ([^]*?)\n---\n/.exec(printed)!;
    expect([...sample!]).toHaveLength(300);
  }, 60_000);

  it('quickstart.mjs saves a model that the command line takes', async () => {
    expect(existsSync(join(folder, model))).toBe(true);
    const args = ['generate', model, '--prompt', 'The whale ', '--length', '40', '--json'];
    const { code, stdout } = await ostinato(folder, args);
    expect(code).toBe(0);
    expect(jsonLines(stdout)[0]!['characters']).toBe(40);
  });

  it('streaming-server.mjs keeps the states of its clients apart', async () => {
    const printed = await example('streaming-server.mjs', model, '--demo', '12');
    expect(printed).toContain('count=12 ');
    expect(printed).toContain('answers_agree=true');
    expect(printed).toContain('sessions_left=0');
  });

  it('custom-cell.mjs learns to add with a cell that is defined in it', async () => {
    const printed = await example('custom-cell.mjs', '--length', '16', '--samples', '2000');
    expect(printed).toContain("h' = (1 - t1) * h + t1 * tanh(inputs.n + t1 * recurrent.n)");
    const [, error] = /minimalGatedUnit: parameters=2337 val_mse=([\d.]+)/.exec(printed)!;
    // Always to answer 1 has an error of 0.167.
    expect(Number(error)).toBeLessThan(0.02);
  });

  it('dates.mjs learns to write most dates that it has not seen', async () => {
    const printed = await example('dates.mjs', '--epochs', '6', '--samples', '3000');
    expect(printed).toMatch(/March 3, 2021 +\d{4}-/);
    const [, whole, characters] = /dates: whole_dates=([\d.]+) characters=([\d.]+)/.exec(printed)!;
    expect(Number(whole)).toBeGreaterThan(0.5);
    expect(Number(characters)).toBeGreaterThan(0.9);
  });

  it('syllables.mjs learns more than the most common count', async () => {
    const printed = await example('syllables.mjs', '--epochs', '2', '--words', '10000');
    const [, accuracy] = /syllables: accuracy=([\d.]+)/.exec(printed)!;
    // Two syllables, the most common count, make up less than half of the words.
    expect(Number(accuracy)).toBeGreaterThan(0.65);
  });
});
