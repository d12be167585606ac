import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sparkline, Sparkline } from '../../lib/cli/sparkline';
import { TINY, jsonLines, ostinato, start, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder);
const at = (...parts: string[]): string => join(folder, ...parts);
const train = (dir: string, ...more: string[]) => [
  ...['train', '--text', text, '--dir', dir, '--epochs', '400', '--dropout', '0.1', ...TINY],
  ...more,
];
const hash = (...parts: string[]): string =>
  createHash('sha256')
    .update(readFileSync(at(...parts)))
    .digest('hex');

/** The steps of a log, without times. */
const steps = (dir: string) =>
  jsonLines(readFileSync(at(dir, 'log.jsonl'), 'utf8')).map(
    ({ seconds: _seconds, ...event }) => event,
  );

const hasCheckpoint = (dir: string): boolean =>
  existsSync(at(dir, 'checkpoints')) &&
  readdirSync(at(dir, 'checkpoints')).some((name) => name.endsWith('.safetensors'));

describe('run directories', () => {
  beforeAll(async () => {
    const { code, stderr } = await ostinato(folder, train('whole'));
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }, 120_000);

  it('hold the run, its checkpoints, logs and model', () => {
    expect(readdirSync(at('whole')).sort()).toEqual([
      'checkpoints',
      'log.jsonl',
      'model.safetensors',
      'run.json',
      'tensorboard',
    ]);
    const run = JSON.parse(readFileSync(at('whole/run.json'), 'utf8')) as Record<string, unknown>;
    expect(run).toMatchObject({
      format: 1,
      settings: { epochs: 400, units: 24, text: at(text) },
      sha256: hash(text),
    });
    expect(steps('whole').filter(({ event }) => event === 'epoch')).toHaveLength(400);
  });

  it('go on after Ctrl-C and after kill -9, with the same bits and the same log', async () => {
    const first = start(folder, train('parts'));
    await first.printed('epoch ');
    first.child.kill('SIGINT');
    const stopped = await first.ended;
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain('ostinato resume parts');
    const second = start(folder, ['resume', 'parts']);
    await second.printed('Going on from');
    await new Promise((resolve) => setTimeout(resolve, 400));
    second.child.kill('SIGKILL');
    expect((await second.ended).signal).toBe('SIGKILL');
    const third = await ostinato(folder, ['resume', 'parts', '--threads', '1', '--json']);
    expect(third.stderr).toBe('');
    expect(third.code).toBe(0);
    expect(hash('parts/model.safetensors')).toBe(hash('whole/model.safetensors'));
    expect(steps('parts')).toEqual(steps('whole'));
  }, 120_000);

  it('begin anew when there is no checkpoint yet', async () => {
    const running = start(folder, train('early'));
    while (!existsSync(at('early/run.json'))) await new Promise((r) => setTimeout(r, 2));
    running.child.kill('SIGKILL');
    await running.ended;
    expect(hasCheckpoint('early')).toBe(false);
    const { code } = await ostinato(folder, ['resume', 'early']);
    expect(code).toBe(0);
    expect(hash('early/model.safetensors')).toBe(hash('whole/model.safetensors'));
  }, 120_000);

  async function failure(args: readonly string[], code: number): Promise<string> {
    const ended = await ostinato(folder, args);
    expect(ended.stderr).toMatch(/^ostinato: [^\n]+\n$/);
    expect(ended.code).toBe(code);
    return ended.stderr;
  }

  it('are not overwritten by another run', async () => {
    const before = hash('whole/model.safetensors');
    expect(await failure(train('whole'), 1)).toMatch(/whole holds a run already.*ostinato resume/);
    expect(hash('whole/model.safetensors')).toBe(before);
  });

  it.each<[string, (dir: string) => void, RegExp]>([
    [
      'a run of another model',
      (dir) => edit(dir, (run) => (run.settings['units'] = 25)),
      /step-\d+\.safetensors.*"model.layers\[1\].units" was 24 there but is 25 here/,
    ],
    [
      'a run of another version',
      (dir) => edit(dir, (run) => Object.assign(run, { format: 2, version: '9.0.0' })),
      /run\.json is of format 2, by ostinato 9\.0\.0/,
    ],
    [
      'another text',
      (dir) => {
        writeFileSync(at('other.txt'), readFileSync(at(text), 'utf8').replace('sea', 'bay'));
        edit(dir, (run) => (run.settings['text'] = at('other.txt')));
      },
      /other\.txt has changed since the run began/,
    ],
    [
      'a setting of a wrong kind',
      (dir) => edit(dir, (run) => (run.settings['batch'] = 'many')),
      /run\.json: Expected an integer.*batch" but received "many"/,
    ],
    ['no JSON', (dir) => writeFileSync(at(dir, 'run.json'), '{'), /run\.json is not JSON/],
  ])('%s is an error that loses nothing', async (_name, change, message) => {
    const dir = `broken-${Math.abs(hashCode(_name))}`;
    cpSync(at('whole'), at(dir), { recursive: true });
    change(dir);
    const before = readdirSync(at(dir, 'checkpoints')).map((name) =>
      hash(dir, 'checkpoints', name),
    );
    expect(await failure(['resume', dir], 1)).toMatch(message);
    const after = readdirSync(at(dir, 'checkpoints')).map((name) => hash(dir, 'checkpoints', name));
    expect(after).toEqual(before);
    expect(hash(dir, 'model.safetensors')).toBe(hash('whole/model.safetensors'));
  });

  it('take the default epochs when none are given', async () => {
    const args = ['train', '--text', text, '--dir', 'default', '--units', '4', '--length', '16'];
    const { code, stdout } = await ostinato(folder, args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/epoch 5 of 5/);
    edit('default', ({ settings }) => expect(settings['epochs']).toBe(5));
  });

  it('a folder that is none', async () => {
    expect(await failure(['resume', '.'], 1)).toMatch(/is no run directory.*train --dir/);
    const args = ['train', '--text', text, '--dir', 'x', '--seconds', '1'];
    expect(await failure(args, 2)).toMatch(/--dir needs --epochs/);
  });
});

interface Run {
  settings: Record<string, unknown>;
}

function edit(dir: string, change: (run: Run) => void): void {
  const path = at(dir, 'run.json');
  const run = JSON.parse(readFileSync(path, 'utf8')) as Run;
  change(run);
  writeFileSync(path, JSON.stringify(run));
}

function hashCode(name: string): number {
  return [...name].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) | 0, 7);
}

describe('configuration files', () => {
  it.each([
    ['run.yaml', `text: ${text}\n\nunits: 8\nunitz: 5\n`, /run\.yaml:4: .*"unitz".*mean "units"/],
    ['run.yaml', `text: ${text}\nunits: many\n`, /run\.yaml:2: Expected an integer.*"many"/],
    ['run.json', '{\n "text": "t",\n "epochs": 0\n}', /run\.json:3: Expected an integer from 1/],
    ['run.json', '{\n "text": "t",\n oops\n}', /run\.json cannot be read.*line 3/],
    ['run.yaml', 'text: [\nunits: 5', /run\.yaml cannot be read.*line 2/],
  ])('%s: %j names the line', async (name, content, message) => {
    writeFileSync(at(name), content);
    const { code, stderr } = await ostinato(folder, ['train', name]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('sparklines', () => {
  it('show a curve between its least and its largest value', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([5, 5])).toBe('▁▁');
    expect(sparkline([1, NaN, 2])).toBe('▁·█');
    expect(sparkline([])).toBe('');
  });

  it('get coarser with time, and never long', () => {
    const line = new Sparkline();
    let shown = '';
    for (let i = 1000; i > 0; i--) {
      shown = line.add(i);
      expect([...shown].length).toBeLessThan(24);
    }
    expect([...shown].length).toBeGreaterThanOrEqual(12);
    expect(shown).toMatch(/^█.*▁/);
  });
});
