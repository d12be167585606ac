import { writeAtomically } from '../../atomic-file';
import { setThreads } from '../../index';
import { forecastFlags } from '../commands/forecast';
import { Output, table } from '../output';
import { checkLength, forecasts, readSeries, windowsOf } from '../sequence/forecasting';
import type { ForecastSpec } from '../sequence/forecasting';
import { requireModel } from '../sequence/model';
import { settle } from '../settings';
import { EXIT } from '../usage-error';

const short = (value: number): string => String(Number(value.toPrecision(6)));

/** A cell of a CSV file. */
const cell = (text: string): string =>
  /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;

/** Forecasts what follows a CSV file. */
export async function forecast(
  path: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { data, out, threads, json } = settle(forecastFlags, flags);
  if (threads !== undefined) setThreads(threads);
  const { model, spec: any } = await requireModel(path, ['forecast']);
  const spec = any as ForecastSpec;
  try {
    const series = await readSeries(data, spec);
    const { length } = series.values;
    checkLength(series, length, spec.context, 'the model reads');
    const windows = windowsOf(series, spec, [length]);
    const [steps] = await forecasts(model, spec, windows);
    const rows = steps!.map(({ step, target, value, low, high }) => ({
      step,
      target,
      value,
      ...(low === undefined ? {} : { low, high: high! }),
    }));
    const heading = Object.keys(rows[0]!);
    if (out !== undefined) {
      const lines = rows.map((row) => Object.values(row).map(String).map(cell).join(','));
      await writeAtomically(out, [Buffer.from(`${[heading.join(','), ...lines].join('\n')}\n`)]);
    }
    const output = new Output(json);
    output.object({ after: series.names.at(-1)!, forecast: rows, ...(out ? { out } : {}) });
    output.line(`After ${spec.time === null ? 'row ' : ''}${series.names.at(-1)}:`);
    const cells = rows.map((row) =>
      Object.values(row).map((value) => (typeof value === 'number' ? short(value) : value)),
    );
    output.line(table(heading, cells));
    if (out !== undefined) output.line(`Wrote ${out}`);
    return EXIT.done;
  } finally {
    model.dispose();
  }
}
