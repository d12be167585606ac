import { writeAtomically } from '../../atomic-file';
import { setThreads } from '../../index';
import { predictFlags } from '../commands/predict';
import { Output } from '../output';
import { labelsFor, readSamples } from '../sequence/labelling';
import type { LabelSpec } from '../sequence/labelling';
import { requireModel } from '../sequence/model';
import { settle } from '../settings';
import { EXIT } from '../usage-error';

/** Labels the sequences of a file. */
export async function predict(
  path: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { data, out, threads, json } = settle(predictFlags, flags);
  if (threads !== undefined) setThreads(threads);
  const { model, spec: any } = await requireModel(path, ['classify', 'tag']);
  const spec = any as LabelSpec;
  try {
    const samples = await readSamples(data, spec);
    const labelled = await labelsFor(model, samples, spec);
    const lines = labelled.map((own) =>
      spec.kind === 'classify'
        ? own[0]!
        : {
            labels: own.map(({ label }) => label),
            probabilities: own.map(({ probability }) => probability),
          },
    );
    const output = new Output(json);
    for (const line of lines) {
      output.object(line);
      const text =
        'labels' in line ? line.labels.join(' ') : `${line.label}  ${line.probability.toFixed(3)}`;
      if (out === undefined) output.line(text);
    }
    if (out !== undefined) {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      await writeAtomically(out, [Buffer.from(text)]);
      output.line(`Wrote ${out}`);
    }
    return EXIT.done;
  } finally {
    model.dispose();
  }
}
