import { access } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { writeAtomically } from '../../atomic-file';
import { BEST } from '../../callbacks/model-checkpoint';
import { callbacks, text } from '../../index';
import { beginning, describeLayers, openLanguageModel } from '../language-model';
import { Output, bytesText, durationText, grouped } from '../output';
import { makePage } from '../report/page';
import type { Section } from '../report/page';
import { chartsOf, heldOutName, readLog, scoreNames } from '../report/series';
import type { Row } from '../report/series';
import { checkpointsOf, readRun } from '../run-directory';
import type { RunDirectory } from '../run-directory';
import { EXIT } from '../usage-error';

const SAMPLE = { length: 500, temperature: 0.7, seed: 1 };

/** A value of a table: short, and without more digits than mean something. */
export function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value);
  return Number.isInteger(value) ? grouped(value) : String(Number(value.toPrecision(5)));
}

/** The epoch with the lowest held-out loss, or the lowest loss where nothing is held out. */
export function bestEpoch(epochs: readonly Row[]): Row | undefined {
  const name = epochs[0]?.['valLoss'] === undefined ? 'loss' : 'valLoss';
  return epochs.reduce<Row | undefined>(
    (best, row) => (best === undefined || row[name]! < best[name]! ? row : best),
    undefined,
  );
}

/** Where the best weights of a run are; undefined when nothing was saved yet. */
async function weightsOf(directory: string): Promise<string | undefined> {
  const best = join(checkpointsOf(directory), BEST);
  const there = await access(best).then(
    () => true,
    () => false,
  );
  return there ? best : callbacks.latestCheckpoint(checkpointsOf(directory));
}

/** What the best model of a run writes. */
async function sampleOf(directory: string): Promise<Section[]> {
  const path = await weightsOf(directory);
  if (path === undefined) return [];
  const { model, vocab } = await openLanguageModel(path);
  try {
    const session = model.session();
    let written = '';
    const options = { ...SAMPLE, prompt: beginning(vocab) };
    for await (const character of text.generate(session, vocab, options)) written += character;
    session.dispose();
    return [{ title: `A sample of ${basename(path)}, temperature 0.7`, text: written }];
  } finally {
    model.dispose();
  }
}

function tables(run: RunDirectory, epochs: readonly Row[]): Section[] {
  const sections: Section[] = [];
  const names = scoreNames(epochs).flatMap((name) => [name, heldOutName(name)]);
  const kept = names.filter((name) => epochs[0]?.[name] !== undefined);
  const rows = [
    ['last', epochs.at(-1)],
    ['best', bestEpoch(epochs)],
  ] as const;
  if (epochs.length > 0) {
    sections.push({
      title: 'Scores',
      heading: ['', 'epoch', ...kept],
      rows: rows.map(([label, row]) => [
        label,
        cell(row!['epoch']! + 1),
        ...kept.map((name) => cell(row![name])),
      ]),
    });
  }
  const settings = Object.entries(run.settings).filter(([, value]) => value !== undefined);
  sections.push({
    title: 'Configuration',
    rows: [
      ...settings.map(([key, value]) => [
        key,
        typeof value === 'number' ? String(value) : cell(value),
      ]),
      ['model', describeLayers(run.layers as { type: string }[])],
      ['parameters', grouped(run.parameters)],
      ['sha256 of the data', run.sha256],
    ],
  });
  const { memoryBytes, ...machine } = run.machine;
  sections.push({
    title: 'Machine',
    rows: [
      ...Object.entries(machine).map(([key, value]) => [key, String(value)]),
      ['memory', bytesText(Number(memoryBytes))],
    ],
  });
  return sections;
}

/** Writes the page of a run. */
export async function report(
  directory: string,
  { out, json = false }: { out?: string; json?: boolean },
): Promise<number> {
  const run = await readRun(directory);
  const log = await readLog(directory);
  const { epochs, steps } = log;
  const seconds = epochs.reduce((sum, row) => sum + (row['seconds'] ?? 0), 0);
  const subtitle =
    `${cell(epochs.length)} of ${cell(run.settings['epochs'])} epochs, ${grouped(steps.length)} steps, ` +
    `${durationText(seconds)}; begun ${run.begun}; ostinato ${run.version}`;
  const parts =
    'task' in run.settings
      ? await (await import('../sequence/report.js')).reportOnData(directory, run)
      : { charts: [], sections: await sampleOf(directory) };
  const sections = [...parts.sections, ...tables(run, epochs)];
  const charts = [...parts.charts, ...chartsOf(log)];
  const page = await makePage(basename(resolve(directory)), subtitle, charts, sections);
  const path = out ?? join(directory, 'report.html');
  await writeAtomically(path, [Buffer.from(page)]);
  const output = new Output(json);
  output.object({ out: path, epochs: epochs.length, steps: steps.length });
  output.line(`Wrote ${path} (${bytesText(Buffer.byteLength(page))})`);
  return EXIT.done;
}
