/** Runs that are killed at any moment and resumed give the bits of the run that never was. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { safetensors } from '../../lib';
import { builtLibrary } from '../helpers/library';

const KILLS = 50;
const KINDS = ['text', 'regression'];
const root = mkdtempSync(join(tmpdir(), 'ostinato-kill-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Other moments each time; the seed is printed when a run goes wrong. */
const seed = Date.now() % 2_147_483_647 || 1;
let state = seed;
function random(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}

/** When to kill: after so many milliseconds, or while the n-th checkpoint is written. */
type Moment = { after: number } | { write: number } | undefined;

/** Runs the program once; returns whether it was killed. */
async function attempt(folder: string, kind: string, moment: Moment): Promise<boolean> {
  const checkpoints = join(folder, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  const program = join(__dirname, 'killed-run.mjs');
  const child = spawn(process.execPath, [program, builtLibrary(), folder, kind], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const kill = (): boolean => child.kill('SIGKILL');
  let timer: NodeJS.Timeout | undefined;
  const seen = new Set<string>();
  const watcher = watch(checkpoints, (_event, name) => {
    if (moment === undefined || !('write' in moment) || !name?.endsWith('.tmp')) return;
    seen.add(name);
    if (seen.size >= moment.write) kill();
  });
  if (moment !== undefined && 'after' in moment) timer = setTimeout(kill, moment.after);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (...ended) => resolve(ended));
  });
  watcher.close();
  clearTimeout(timer);
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`seed ${seed}: ${errors}`);
  return signal === 'SIGKILL';
}

/** The bits of all tensors of a file, so that a test can compare them. */
async function bits(path: string): Promise<Record<string, string>> {
  const { tensors } = await safetensors.read(path);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer).toString('hex'),
    ]),
  );
}

/** What a finished run leaves; without times, which are never the same. */
async function result(folder: string) {
  const checkpoints = join(folder, 'checkpoints');
  return {
    weights: await bits(join(folder, 'weights.safetensors')),
    best: await bits(join(checkpoints, 'best.safetensors')),
    scores: readFileSync(join(folder, 'result.json'), 'utf8'),
    steps: readFileSync(join(folder, 'steps.csv'), 'utf8'),
    checkpoints: readdirSync(checkpoints).sort(),
  };
}

test(`${KILLS} kills, many of them while a checkpoint is written`, async () => {
  const expected = new Map<string, Awaited<ReturnType<typeof result>>>();
  let length = 0;
  for (const kind of KINDS) {
    const folder = join(root, `whole-${kind}`);
    const start = performance.now();
    expect(await attempt(folder, kind, undefined)).toBe(false);
    length = Math.max(length, performance.now() - start);
    expected.set(kind, await result(folder));
  }
  let kills = 0;
  let writes = 0;
  let runs = 0;
  while (kills < KILLS) {
    const kind = KINDS[runs % KINDS.length]!;
    const folder = join(root, `run-${runs++}`);
    for (;;) {
      const write = random() < 0.5;
      const moment: Moment =
        kills >= KILLS
          ? undefined
          : write
            ? { write: 1 + Math.floor(random() * 8) }
            : { after: random() * length };
      const killed = await attempt(folder, kind, moment);
      if (!killed) break;
      kills++;
      const names = readdirSync(join(folder, 'checkpoints'));
      if (names.some((name) => name.endsWith('.tmp'))) writes++;
    }
    expect({ seed, ...(await result(folder)) }).toEqual({ seed, ...expected.get(kind) });
  }
  // Half-written files were there, and none was taken for a whole one.
  expect(writes).toBeGreaterThan(5);
}, 170_000);
