/** What a search found, for people: a table, and a page that shows it. */
import { join } from 'node:path';
import { table } from '../output';
import { makePage } from '../report/page';
import type { Section } from '../report/page';
import { compareChart, readLog } from '../report/series';
import type { Chart } from '../report/series';
import { lastResult, pointText, short } from './run';
import type { Standing } from './run';
import type { Parameter } from './space';
import type { SearchState, Trial } from './state';

/** A value of a parameter in a table or on an axis. */
function valueText(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The trials as rows, best first, with their heading. */
export function trialRows(
  { metric = 'score', ranked }: Standing,
  parameters: readonly Parameter[],
): { heading: string[]; rows: string[][] } {
  const heading = ['trial', ...parameters.map(({ name }) => name), 'epochs', metric, 'best epoch'];
  const rows = ranked.map((trial) => {
    const { epochs, score, bestEpoch } = lastResult(trial)!;
    return [
      trial.name,
      ...parameters.map(({ name }) => valueText(trial.point[name])),
      String(epochs),
      score === null ? 'diverged' : short(score),
      bestEpoch === null ? '' : String(bestEpoch),
    ];
  });
  return { heading, rows };
}

/** The table that ends a search on the terminal. */
export function trialTable(standing: Standing, parameters: readonly Parameter[]): string {
  const { heading, rows } = trialRows(standing, parameters);
  return table(heading, rows);
}

/** Scores over the values of one parameter: a point for each trial, told apart by epochs. */
export function scatterOf(
  { name, domain }: Parameter,
  metric: string,
  trials: readonly Trial[],
): Chart {
  const names = domain.kind === 'choice' ? domain.values.map(valueText) : undefined;
  const at = ({ point }: Trial): number =>
    names === undefined ? (point[name] as number) : names.indexOf(valueText(point[name]));
  const shown = trials
    .filter((trial) => typeof lastResult(trial)?.score === 'number')
    .sort((a, b) => at(a) - at(b));
  const budgets = [...new Set(shown.map((trial) => lastResult(trial)!.epochs))];
  budgets.sort((a, b) => b - a);
  return {
    title: `${metric} over ${name}`,
    axis: name,
    x: shown.map(at),
    curves: budgets.map((budget) => ({
      label: `after ${budget} ${budget === 1 ? 'epoch' : 'epochs'}`,
      y: shown.map((trial) => {
        const { epochs, score } = lastResult(trial)!;
        return epochs === budget ? score : null;
      }),
    })),
    points: true,
    ...(domain.kind === 'logUniform' || domain.kind === 'logInt' ? { logarithmic: true } : {}),
    ...(names === undefined ? {} : { names }),
  };
}

/** Curves of all trials over their epochs; the best one stands out. */
async function curvesOf(
  directory: string,
  metric: string,
  ranked: readonly Trial[],
): Promise<Chart[]> {
  const runs = await Promise.all(
    ranked.map(async (trial) => ({
      label: trial.name,
      // What a trial was trained beyond its last result is not told of yet.
      epochs: (await readLog(join(directory, trial.name))).epochs.slice(
        0,
        lastResult(trial)!.epochs,
      ),
    })),
  );
  const names = metric === 'loss' ? ['loss'] : [metric, 'loss'];
  return names.map((name) => ({ ...compareChart(name, runs), highlight: 0 }));
}

function sections(
  state: SearchState,
  standing: Standing,
  parameters: readonly Parameter[],
): Section[] {
  const { search, values } = state;
  const shown = Object.entries({ ...search, ...values }).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  const failures = standing.ranked.filter(({ failure }) => failure !== undefined);
  return [
    { title: 'Trials, best first', ...trialRows(standing, parameters) },
    ...(failures.length === 0
      ? []
      : [
          {
            title: 'Trials that ended early',
            rows: failures.map(({ name, failure }) => [name, failure!]),
          },
        ]),
    { title: 'Search', rows: shown.map(([key, value]) => [key, valueText(value)]) },
  ];
}

/** The page of a search that has a result. */
export async function searchPage(
  directory: string,
  title: string,
  state: SearchState,
  standing: Standing,
  parameters: readonly Parameter[],
): Promise<string> {
  const { metric = 'score', ranked } = standing;
  const best = ranked[0];
  const result = best && lastResult(best);
  const subtitle =
    best === undefined || typeof result?.score !== 'number'
      ? 'No trial has a score yet'
      : `Best: ${best.name}, ${metric} ${short(result.score)} at epoch ${result.bestEpoch} (${pointText(best.point)})`;
  const scatters = parameters.map((parameter) => scatterOf(parameter, metric, ranked));
  const charts = [...scatters, ...(await curvesOf(directory, metric, ranked))];
  return makePage(
    title,
    subtitle,
    charts.filter(({ x }) => x.length > 0),
    sections(state, standing, parameters),
  );
}
