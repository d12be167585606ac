/**
 * Run directories: `run.json` says what the run is, `checkpoints/` where it stands, `log.jsonl` what
 * happened at every step, `tensorboard/` the same for TensorBoard.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { writeAtomically } from '../atomic-file';
import { callbacks, info } from '../index';
import type { Callback, Model } from '../index';
import { isRecord } from '../validate';
import { Failure, fileError } from './failures';

/** The number that stands in files; a reader refuses others. */
const FORMAT = 1;
/** Seconds of work that a power cut can cost. */
const SAVE_EVERY = 10;

/** What `run.json` holds. */
export interface RunDirectory {
  format: number;
  version: string;
  begun: string;
  /** The settings of `ostinato train`, with absolute paths. */
  settings: Record<string, unknown>;
  /** Of the text or the data that is learnt. */
  sha256: string;
  parameters: number;
  layers: unknown[];
  machine: Record<string, string | number>;
}

export const checkpointsOf = (directory: string): string => join(directory, 'checkpoints');
export const logOf = (directory: string): string => join(directory, 'log.jsonl');
const runFileOf = (directory: string): string => join(directory, 'run.json');

function digestOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Whether a run has begun in the directory. */
export async function runExists(directory: string): Promise<boolean> {
  return (await stat(runFileOf(directory)).catch(() => undefined)) !== undefined;
}

/** @throws Failure when the directory holds a run */
export async function checkUnused(directory: string): Promise<void> {
  if (!(await runExists(directory))) return;
  throw new Failure(
    `${directory} holds a run already; go on with it by "ostinato resume ${directory}", or give another --dir`,
    'EEXIST',
  );
}

/** Makes the directory and says in it what the run is. */
export async function createRun(
  directory: string,
  settings: Readonly<Record<string, unknown>>,
  content: string,
  model: Model,
): Promise<void> {
  const { version, isa, threads, node, platform, arch } = info();
  const paths = Object.fromEntries(
    ['text', 'data', 'out', 'resume', 'dir'].flatMap((key) => {
      const value = settings[key];
      return typeof value === 'string' ? [[key, resolve(value)]] : [];
    }),
  );
  const run: RunDirectory = {
    format: FORMAT,
    version,
    begun: new Date().toISOString(),
    settings: { ...settings, ...paths },
    sha256: digestOf(content),
    parameters: model.parameterCount,
    layers: model.getConfig().layers,
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      processors: cpus().length,
      memoryBytes: totalmem(),
      platform: `${platform}-${arch}`,
      node,
      isa,
      threads,
    },
  };
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw fileError('write', directory, error);
  });
  await writeAtomically(runFileOf(directory), [Buffer.from(`${JSON.stringify(run, null, 2)}\n`)]);
}

/**
 * Reads what a run is.
 *
 * @throws Failure that names the file, for a folder without a run, or a file that is damaged or of
 *     another version
 */
export async function readRun(directory: string): Promise<RunDirectory> {
  const path = runFileOf(directory);
  const source = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileError('read', path, error);
    throw new Failure(
      `${directory} is no run directory: it holds no run.json, as "ostinato train --dir" makes it`,
      'ERR_FORMAT',
    );
  });
  let run: unknown;
  try {
    run = JSON.parse(source);
  } catch (error) {
    throw new Failure(`${path} is not JSON: ${(error as Error).message}`, 'ERR_FORMAT');
  }
  const { format, version, settings, sha256 } = isRecord(run) ? run : {};
  if (format !== FORMAT) {
    throw new Failure(
      `${path} is of format ${String(format)}, by ostinato ${String(version)}; this is ostinato ${info().version}, which reads format ${FORMAT}`,
      'ERR_CHECKPOINT',
    );
  }
  if (!isRecord(settings) || typeof sha256 !== 'string') {
    throw new Failure(`${path} lacks the settings of its run`, 'ERR_FORMAT');
  }
  return run as RunDirectory;
}

/** @throws Failure when the text is not the one that the run learns */
export function checkText(run: RunDirectory, path: string, content: string): void {
  if (digestOf(content) === run.sha256) return;
  throw new Failure(
    `${path} has changed since the run began: an exact resume needs the same ${'text' in run.settings ? 'text' : 'data'}`,
    'ERR_CHECKPOINT',
  );
}

/** What writes into the directory while the run goes on. */
export function runCallbacks(directory: string): Callback[] {
  return [
    callbacks.jsonLogger({ path: logOf(directory), frequency: 'both', name: 'log' }),
    callbacks.tensorBoard({ logDir: join(directory, 'tensorboard'), name: 'tensorboard' }),
    callbacks.modelCheckpoint({
      directory: checkpointsOf(directory),
      everySeconds: SAVE_EVERY,
      name: 'checkpoints',
    }),
  ];
}
