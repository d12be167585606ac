/** Runs the command line in processes of its own, as users do. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const MAIN = join(__dirname, '../../dist/cli.js');

/** How a process ended and what it printed. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running command. */
export interface Running {
  child: ChildProcess;
  /** Resolves once standard output holds the text; rejects if the process ends before. */
  printed: (text: string) => Promise<void>;
  ended: Promise<Ended>;
}

/** Starts `ostinato` with the given arguments in a folder. */
export function start(
  cwd: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...process.env, OSTINATO_DEBUG: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const waiting: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
  const settle = (ended: boolean): void => {
    for (const entry of waiting.splice(0)) {
      if (stdout.includes(entry.text)) entry.resolve();
      else if (ended) entry.reject(new Error(`ended without "${entry.text}":\n${stdout}${stderr}`));
      else waiting.push(entry);
    }
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    settle(false);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      settle(true);
      resolve({ code, signal, stdout, stderr });
    });
  });
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ text, resolve, reject });
      settle(child.exitCode !== null);
    });
  return { child, printed, ended };
}

/** Runs `ostinato` to its end. */
export function ostinato(
  cwd: string,
  args: readonly string[],
  env?: Record<string, string>,
): Promise<Ended> {
  return start(cwd, args, env).ended;
}

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ostinato-cli-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A text that a small model learns in a second: sentences of few words. The same length gives the
 * same text.
 */
export function sentences(characters: number): string {
  const subjects = ['the sea', 'a ship', 'the captain', 'one whale', 'the crew'];
  const verbs = ['sees', 'hears', 'follows', 'forgets'];
  const ends = ['.\n', '!\n', '; ', ', and '];
  let text = '';
  let state = 1;
  const pick = (list: readonly string[]): string => {
    state = (state * 48_271) % 2_147_483_647;
    return list[state % list.length]!;
  };
  while (text.length < characters) {
    text += `${pick(subjects)} ${pick(verbs)} ${pick(subjects)}${pick(ends)}`;
  }
  return text.slice(0, characters);
}

/** Writes {@link sentences} into a folder and returns the file's name. */
export function writeText(folder: string, characters = 8_000, name = 'text.txt'): string {
  writeFileSync(join(folder, name), sentences(characters));
  return name;
}

/** Flags of a model that trains in a moment. */
export const TINY = [
  '--units',
  '24',
  '--embedding',
  '8',
  '--length',
  '16',
  '--batch',
  '8',
] as const;

/** The JSON objects of an output in JSON lines; fails on anything else. */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
