import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { getThreads, info, setThreads } from '../../lib';
import { thrownBy } from '../helpers/errors';
import { builtLibrary } from '../helpers/library';

const run = promisify(execFile);

/** What a fresh process prints for an expression on the library `o`. */
async function evaluated(expression: string, env: Record<string, string>): Promise<unknown> {
  const script = `const o = require(${JSON.stringify(builtLibrary())});
    try { console.log(JSON.stringify(${expression})); }
    catch ({ name, code, message }) { console.log(JSON.stringify({ name, code, message })); }`;
  const { stdout } = await run(process.execPath, ['-e', script], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout);
}

test('info says what this process runs on', () => {
  const { version, isa, isas, cells, threads } = info();
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect(isas).toContain(isa);
  expect(isas.at(-1)).toBe('scalar');
  expect(threads).toBe(getThreads());
  expect(cells).toContainEqual({ name: 'lstm', gates: 4, states: ['h', 'c'] });
});

test('threads', async () => {
  const before = getThreads();
  setThreads(3);
  expect(getThreads()).toBe(3);
  setThreads(before);
  expect(thrownBy(() => setThreads(0)).name).toBe('RangeError');
  expect(thrownBy(() => setThreads('2' as never)).name).toBe('TypeError');
  expect(await evaluated('o.getThreads()', { OSTINATO_NUM_THREADS: '5' })).toBe(5);
  expect(await evaluated('o.getThreads()', { OSTINATO_NUM_THREADS: 'many' })).toMatchObject({
    name: 'RangeError',
  });
});

test('OSTINATO_ISA forces an instruction set, and refuses what it does not know', async () => {
  expect(await evaluated('o.info().isa', { OSTINATO_ISA: 'scalar' })).toBe('scalar');
  expect(await evaluated('o.info().isa', { OSTINATO_ISA: 'mmx' })).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining('mmx') as string,
  });
});

test('an addon that cannot be loaded is explained, and only when it is needed', async () => {
  const env = { OSTINATO_NATIVE: '/nowhere/ostinato.node' };
  expect(await evaluated('typeof o.sequential', env)).toBe('function');
  expect(await evaluated('o.info()', env)).toMatchObject({
    name: 'OstinatoError',
    code: 'ERR_ADDON',
    message: expect.stringMatching(
      /\/nowhere\/ostinato\.node: no such file[^]*npm run build/,
    ) as string,
  });
});
