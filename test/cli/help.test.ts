import { ostinato, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const COMMANDS = [
  ...[
    'train',
    'resume',
    'search',
    'report',
    'compare',
    'generate',
    'forecast',
    'predict',
    'eval',
    'inspect',
  ],
  'info',
];

describe('help', () => {
  it('lists all commands and an example, and exits with 0', async () => {
    const { code, stdout, stderr } = await ostinato(folder, ['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(stdout).toContain('$ ostinato train --text');
    expect(stdout).toContain('Exit codes');
  });

  it.each(COMMANDS)('of %s has examples that call it', async (command) => {
    const { code, stdout, stderr } = await ostinato(folder, [command, '--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain(`Usage: ostinato ${command}`);
    expect(stdout).toMatch(new RegExp(`Examples?:[^]*\\$ .*ostinato ${command} `));
    expect(stdout).toContain('--json');
  });

  it('tells defaults', async () => {
    const { stdout } = await ostinato(folder, ['train', '--help']);
    expect(stdout).toMatch(/--units <n>[^]*?\(default: 256\)/);
    expect(stdout).toMatch(/--learning-rate <x>[^]*?\(default: 0\.005\)/);
  });

  it('goes to standard error with exit code 2 when no command is given', async () => {
    const { code, stdout, stderr } = await ostinato(folder, []);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: ostinato');
  });

  it('does not need the addon', async () => {
    const { code } = await ostinato(folder, ['train', '--help'], { OSTINATO_NATIVE: '/nowhere' });
    expect(code).toBe(0);
  });

  it('prints the version', async () => {
    const { code, stdout } = await ostinato(folder, ['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
