import { basename, resolve } from 'node:path';
import { writeAtomically } from '../../atomic-file';
import { Output, durationText, table } from '../output';
import type { Json } from '../output';
import { makePage } from '../report/page';
import { compareChart, heldOutName, readLog, scoreNames } from '../report/series';
import type { Row } from '../report/series';
import { readRun } from '../run-directory';
import { EXIT, UsageError } from '../usage-error';
import { bestEpoch, cell } from './report';

/** Settings that say where a run is and not what it is. */
const PLACES = ['dir', 'out', 'json'];

interface Compared {
  directory: string;
  label: string;
  settings: Record<string, unknown>;
  parameters: number;
  epochs: Row[];
  seconds: number;
}

async function read(directory: string): Promise<Compared> {
  const { settings, parameters } = await readRun(directory);
  const { epochs } = await readLog(directory);
  const seconds = epochs.reduce((sum, row) => sum + (row['seconds'] ?? 0), 0);
  const label = basename(resolve(directory));
  return { directory, label, settings, parameters, epochs, seconds };
}

/** Names of scores that any of the runs has. */
function namesOf(runs: readonly Compared[]): string[] {
  const names = new Set<string>();
  for (const { epochs } of runs) {
    for (const name of scoreNames(epochs)) {
      for (const one of [name, heldOutName(name)]) {
        if (epochs[0]![one] !== undefined) names.add(one);
      }
    }
  }
  return [...names];
}

/** Lays runs side by side. */
export async function compare(
  directories: readonly string[],
  { out, json = false }: { out?: string; json?: boolean },
): Promise<number> {
  if (directories.length < 2) throw new UsageError('Give at least two run directories to compare');
  const runs = await Promise.all(directories.map(read));
  const keys = new Set(runs.flatMap(({ settings }) => Object.keys(settings)));
  const differing = [...keys].filter(
    (key) =>
      !PLACES.includes(key) &&
      new Set(runs.map(({ settings }) => JSON.stringify(settings[key]))).size > 1,
  );
  const names = namesOf(runs);
  const output = new Output(json);
  output.object({
    runs: runs.map(({ directory, settings, parameters, epochs, seconds }) => ({
      directory,
      settings: settings as Record<string, Json>,
      parameters,
      epochs: epochs.length,
      seconds,
      best: bestEpoch(epochs) ?? null,
    })),
    differing,
  });
  const heading = ['', ...runs.map(({ directory }) => directory)];
  const line = (name: string, of: (run: Compared) => string): string[] => [name, ...runs.map(of)];
  const rows = [
    ...differing.map((key) => line(key, ({ settings }) => cell(settings[key]))),
    line('parameters', ({ parameters }) => cell(parameters)),
    line('epochs', ({ epochs }) => cell(epochs.length)),
    line('time', ({ seconds }) => durationText(seconds)),
    line('best epoch', ({ epochs }) => {
      const best = bestEpoch(epochs);
      return best === undefined ? '' : cell(best['epoch']! + 1);
    }),
    ...names.map((name) => line(`${name} there`, ({ epochs }) => cell(bestEpoch(epochs)?.[name]))),
  ];
  output.line(table(heading, rows));
  if (out !== undefined) {
    const charts = names.map((name) => compareChart(name, runs));
    const sections = [{ title: 'Side by side', heading, rows }];
    const page = await makePage('Comparison', directories.join(', '), charts, sections);
    await writeAtomically(out, [Buffer.from(page)]);
    output.line(`\nWrote ${out}`);
  }
  return EXIT.done;
}
