/** What a report shows of a run on data: forecasts beside what came, or a confusion matrix. */
import { readFile } from 'node:fs/promises';
import type { Section } from '../report/page';
import type { Chart } from '../report/series';
import { checkText } from '../run-directory';
import type { RunDirectory } from '../run-directory';
import { settle } from '../settings';
import { heldStarts, splitSamples } from './data';
import { readSeries } from './forecasting';
import type { ForecastSpec } from './forecasting';
import { readSamples } from './labelling';
import { measureForecasts, measureLabels } from './measure';
import type { ForecastMeasure, LabelMeasure } from './measure';
import { openSequenceModel } from './model';
import { forecastSettings, labelSettings } from './settings';

/** Most rows of a chart; more would not be seen. */
const MOST_ROWS = 1000;
/** Most classes of a matrix that is shown. */
const MOST_CLASSES = 50;

/** Parts of a page. */
export interface DataReport {
  charts: Chart[];
  sections: Section[];
}

const short = (value: number): string => String(Number(value.toPrecision(5)));

function scoresSection(title: string, scores: Record<string, number>): Section {
  return { title, rows: Object.entries(scores).map(([name, value]) => [name, short(value)]) };
}

/** The held-out rows and their forecasts, a chart for each target. */
function forecastCharts(measure: ForecastMeasure, { target, horizon }: ForecastSpec): Chart[] {
  const { series, starts, steps } = measure;
  const shown = Math.max(1, Math.floor(MOST_ROWS / horizon));
  const from = Math.max(0, starts.length - shown);
  const begin = starts[from]!;
  const end = starts.at(-1)! + horizon;
  const x = Array.from({ length: end - begin }, (_v, i) => begin + i + 1);
  return target.map((name, j) => {
    const own = steps
      .slice(from)
      .flatMap((all) => all.filter(({ target: other }) => other === name));
    const curves = [
      { label: name, y: x.map((row) => series.values[row - 1]![j]!) },
      { label: 'forecast', y: own.map(({ value }) => value) },
    ];
    const chart: Chart = {
      title: `${name}: forecasts of ${horizon} rows beside what came`,
      axis: 'row',
      x,
      curves,
    };
    if (own[0]!.low === undefined) return chart;
    curves.push({ label: 'high', y: own.map(({ high }) => high!) });
    curves.push({ label: 'low', y: own.map(({ low }) => low!) });
    return { ...chart, bands: [[2, 3]] };
  });
}

/** Rows are what the labels are, columns what the model says. */
function matrixSection({ matrix, byClass }: LabelMeasure, classes: readonly string[]): Section[] {
  const perClass: Section = {
    title: 'Labels',
    heading: ['label', 'precision', 'recall', 'f1', 'targets'],
    rows: byClass.map(({ precision, recall, f1, support }, k) => [
      classes[k]!,
      ...[precision, recall, f1].map((value) => value.toFixed(3)),
      String(support),
    ]),
  };
  if (classes.length > MOST_CLASSES) return [perClass];
  const totals = matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  return [
    {
      title: 'Confusion matrix: labels down, predictions across',
      heading: ['', ...classes],
      rows: matrix.map((row, k) => [classes[k]!, ...row.map(String)]),
      heat: matrix.map((row, k) => [
        undefined,
        ...row.map((count) => (totals[k] === 0 ? 0 : count / totals[k]!)),
      ]),
    },
    perClass,
  ];
}

/** What the best model of a run makes of its held-out data. */
export async function reportOnData(directory: string, run: RunDirectory): Promise<DataReport> {
  const opened = await openSequenceModel(directory).catch(() => undefined);
  if (opened === undefined) return { charts: [], sections: [] };
  const { model, spec } = opened;
  const config = { values: run.settings, place: () => `${directory}/run.json` };
  try {
    if (spec.kind === 'forecast') {
      const values = settle(forecastSettings, {}, config);
      checkText(run, values.data, await readFile(values.data, 'utf8'));
      const series = await readSeries(values.data, spec);
      const starts = heldStarts(series, spec, values.validation);
      if (starts.length === 0) return { charts: [], sections: [] };
      const measure = await measureForecasts(model, spec, series, starts);
      return {
        charts: forecastCharts(measure, spec),
        sections: [scoresSection('Held-out forecasts, in the unit of the data', measure.scores)],
      };
    }
    const values = settle(labelSettings, {}, config);
    checkText(run, values.data, await readFile(values.data, 'utf8'));
    const { held } = splitSamples(await readSamples(values.data, spec), values);
    if (held.length === 0) return { charts: [], sections: [] };
    const measure = await measureLabels(model, spec, held);
    return {
      charts: [],
      sections: [
        scoresSection('Held-out sequences', measure.scores),
        ...matrixSection(measure, spec.classes),
      ],
    };
  } catch (error) {
    // The curves are worth a page all the same.
    return { charts: [], sections: [{ title: 'Held-out data', text: (error as Error).message }] };
  } finally {
    model.dispose();
  }
}
