import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonLines, ostinato, temporaryFolder, writeText } from './helpers';

const folder = temporaryFolder();
const text = writeText(folder, 2_000);

/** Runs a command that is wrong use and returns its one line on standard error. */
async function wrongUse(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ostinato(folder, args);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^ostinato: [^\n]+\n$/);
  expect(code).toBe(2);
  return stderr;
}

describe('wrong use', () => {
  it.each<[string, string[], RegExp]>([
    ['an unknown option', ['train', '--unitz', '5'], /--unitz.*--units.*see ostinato train --help/],
    ['an unknown command', ['trian'], /trian.*train.*see ostinato --help/],
    ['a text for a number', ['train', '--units', 'many'], /integer from 1.*"--units".*"many"/],
    ['an integer that is none', ['train', '--units', '2.5'], /"--units" but received 2\.5/],
    [
      'a number out of range',
      ['train', '--dropout', '1'],
      /below 1.*"--dropout".*see ostinato train/,
    ],
    ['a negative number', ['train', '--seed', '-1'], /"--seed" but received -1/],
    ['an empty number', ['train', '--epochs', ''], /"--epochs"/],
    ['an unknown cell', ['train', '--cell', 'lstn'], /"--cell".*did you mean "lstm"/],
    ['an option without its value', ['train', '--text'], /--text <file>.*missing/],
    ['train without a text', ['train'], /--text is required.*see ostinato train --help/],
    [
      'train with both lengths',
      ['train', '--text', 't', '--epochs', '1', '--seconds', '1'],
      /--seconds.*--epochs/,
    ],
    [
      'layers with --resume',
      ['train', '--text', 't', '--resume', 'm', '--units', '8'],
      /--units.*--resume/,
    ],
    ['generate without a file', ['generate'], /argument 'file'.*see ostinato generate --help/],
    [
      'too many arguments',
      ['inspect', 'a', 'b'],
      /too many arguments.*see ostinato inspect --help/,
    ],
    ['a share above 1', ['generate', 'm', '--top-p', '1.5'], /"--top-p" but received 1\.5/],
    [
      'eval without a text',
      ['eval', 'model.safetensors'],
      /Give --text for a language model, or --data/,
    ],
    ['an unknown option of info', ['info', '--jsno'], /--jsno.*--json/],
  ])('%s', async (_name, args, expected) => {
    expect(await wrongUse(args)).toMatch(expected);
  });

  it('is told to machines too', async () => {
    const { code, stdout } = await ostinato(folder, ['train', '--unitz', '5', '--json']);
    expect(code).toBe(2);
    expect(jsonLines(stdout)).toEqual([
      { error: { code: 'ERR_USAGE', message: expect.stringContaining('--unitz') as string } },
    ]);
  });
});

describe('configuration files', () => {
  const config = (name: string, source: string): string => {
    writeFileSync(join(folder, name), source);
    return name;
  };

  it.each<[string, string, string, RegExp]>([
    [
      'an unknown key',
      'a.yaml',
      `text: ${text}\nunitz: 5\n`,
      /a\.yaml:2: .*"unitz".*did you mean "units"/,
    ],
    ['a flag as a key', 'b.yaml', 'learning-rate: 1\n', /learning-rate/],
    [
      'a wrong kind',
      'c.json',
      '{"text": "t", "units": "8"}',
      /c\.json:1: .*units" but received "8" \(string\)/,
    ],
    ['a wrong value', 'd.yml', 'text: t\ndropout: 2\n', /d\.yml:2: .*dropout" but received 2/],
    ['broken JSON', 'e.json', '{"text": ', /e\.json cannot be read as a configuration file/],
    ['broken YAML', 'f.yaml', 'text: [a\n', /f\.yaml cannot be read as a configuration file/],
    ['a list', 'g.yaml', '- text\n', /keys and values in g\.yaml/],
    ['an empty file', 'h.yaml', '', /keys and values in h\.yaml/],
    ['another kind of file', 'i.txt', 'text', /\.json, \.yaml or \.yml.*--text/],
  ])('%s', async (_name, file, source, expected) => {
    expect(await wrongUse(['train', config(file, source)])).toMatch(expected);
  });

  it('that is not there is a failure', async () => {
    const { code, stderr } = await ostinato(folder, ['train', 'nowhere.yaml']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ostinato: Cannot read nowhere\.yaml: there is no such file[^\n]*\n$/);
  });
});
