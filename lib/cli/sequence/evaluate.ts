/** `ostinato eval` for models that were trained on data. */
import { Output, columns, table } from '../output';
import { EXIT } from '../usage-error';
import { measureFile, measureSeries } from './measure';
import { requireModel } from './model';

const short = (value: number): string => String(Number(value.toPrecision(5)));

/** Measures a model on a file like the one that it learnt. */
export async function evaluateOnData(path: string, data: string, json: boolean): Promise<number> {
  const { model, spec } = await requireModel(path, ['forecast', 'classify', 'tag']);
  const output = new Output(json);
  const shown = (scores: Record<string, number>): void =>
    output.line(columns(Object.entries(scores).map(([name, value]) => [name, short(value)])));
  try {
    if (spec.kind === 'forecast') {
      const { scores, starts } = await measureSeries(model, spec, data);
      output.object({ ...scores, forecasts: starts.length });
      shown(scores);
      output.line(`over ${starts.length} forecasts of ${spec.horizon} rows`);
      return EXIT.done;
    }
    const { classes } = spec;
    const { scores, matrix, byClass } = await measureFile(model, spec, data);
    output.object({ ...scores, classes, confusionMatrix: matrix });
    shown(scores);
    const rows = byClass.map(({ precision, recall, f1, support }, k) => [
      classes[k]!,
      ...[precision, recall, f1].map((value) => value.toFixed(3)),
      String(support),
    ]);
    output.line(`\n${table(['label', 'precision', 'recall', 'f1', 'targets'], rows)}`);
    return EXIT.done;
  } finally {
    model.dispose();
  }
}
