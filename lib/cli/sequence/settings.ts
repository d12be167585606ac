/** What the configuration of a run over data says, beside language models. */
import {
  MAX_DIMENSION,
  checkText,
  custom,
  integer,
  isRecord,
  number,
  oneOf,
  optional,
} from '../../validate';
import { wrongKind, wrongValue } from '../../errors';
import { layers } from '../../index';
import type { LossOptions } from '../../index';
import type { LayerConfig } from '../../layers';
import { jsonSwitch, numeric, settle, textual } from '../settings';
import type { Settings, Values } from '../settings';
import { placed } from '../config-file';
import type { ConfigFile } from '../config-file';

/** The tasks of `train`; `text` is a language model. */
export const TASKS = ['text', 'forecast', 'classify', 'tag'] as const;

/** One name or several. */
const names = custom<string[]>((value, label) => {
  const list: unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.length === 0) throw wrongValue('at least one name', label, value);
  return list.map((item, i) => checkText(item, Array.isArray(value) ? `${label}[${i}]` : label));
});

/** Layers by their options; sizes that follow from the data are filled in later. */
const layerList = custom<LayerConfig[]>((value, label) => {
  if (!Array.isArray(value) || value.length === 0) {
    throw wrongKind('a list of layers', label, value);
  }
  return value.map((item: unknown, i) =>
    placed([i], () => {
      const at = `${label}[${i}]`;
      if (!isRecord(item)) throw wrongKind('a layer: its "type" and options', at, item);
      const given: Record<string, unknown> = { ...item };
      // What the data decides is no error to leave out.
      if (given['type'] === 'embedding') given['inputDim'] ??= 1;
      layers.fromConfig(given);
      return item as unknown as LayerConfig;
    }),
  );
});

const loss = custom<LossOptions>((value, label) => {
  if (isRecord(value)) return value as unknown as LossOptions;
  return { kind: checkText(value, label) } as LossOptions;
});

const list = custom<unknown[]>((value, label) => {
  if (!Array.isArray(value)) throw wrongKind('a list of metrics', label, value);
  return value as unknown[];
});

const common = {
  task: textual('task', 'what is learnt', oneOf(TASKS)),
  data: textual('data', 'the file to learn from', custom(checkText)),
  layers: textual(
    'layers',
    'layers before the last, which follows from the task',
    optional(layerList),
  ),
  metrics: textual('metrics', 'metrics by name', optional(list)),
  out: textual('--out', 'where to save the model', optional(custom(checkText))),
  dir: textual('--dir', 'run directory', optional(custom(checkText))),
  batch: numeric('--batch', 'samples of a step', integer(1, 65_536, 32)),
  epochs: numeric('--epochs', 'passes over the data', integer(1, 1_000_000, 20)),
  learningRate: numeric('--learning-rate', 'first rate', number({ above: 0 }, 3e-3)),
  clip: numeric('--clip', 'largest norm of the gradients', number({ min: 0 }, 1)),
  validation: numeric('--validation', 'share held out', number({ min: 0, max: 0.5 }, 0.2)),
  seed: numeric('--seed', 'seed', integer(0, Number.MAX_SAFE_INTEGER, 0)),
  threads: numeric('--threads', 'threads to use', optional(integer(1, 1024))),
  json: jsonSwitch('JSON lines'),
} satisfies Settings;

/** What `task: forecast` can be told. */
export const forecastSettings = {
  ...common,
  target: textual('target', 'columns to predict', names),
  features: textual('features', 'further columns to read', optional(names)),
  time: textual('time', 'a column that names the rows', optional(custom(checkText))),
  context: numeric('context', 'rows that are read', integer(1, MAX_DIMENSION)),
  horizon: numeric('horizon', 'rows that are predicted', integer(1, MAX_DIMENSION)),
  season: numeric('season', 'rows of a season', integer(1, MAX_DIMENSION, 1)),
  scaling: textual(
    'scaling',
    'of the columns',
    oneOf(['standard', 'minmax', 'none'] as const, 'standard'),
  ),
  loss: textual('loss', 'a point loss or a likelihood', optional(loss)),
} satisfies Settings;

/** What `task: classify` and `task: tag` can be told. */
export const labelSettings = {
  ...common,
  input: textual('input', 'column or field of the sequence', custom(checkText, 'input')),
  label: textual('label', 'column or field of the labels', custom(checkText, 'label')),
  features: textual('features', 'columns of numbers', optional(names)),
  group: textual('group', 'the column that tells sequences apart', optional(custom(checkText))),
  tokens: textual(
    'tokens',
    'what strings are made of',
    oneOf(['characters', 'words'] as const, 'characters'),
  ),
} satisfies Settings;

export type ForecastValues = Values<typeof forecastSettings>;
export type LabelValues = Values<typeof labelSettings>;
export type SequenceValues = ForecastValues | LabelValues;

/**
 * The settings of the task that a configuration names.
 *
 * @throws UsageError for an unknown task, which is told of before its keys are
 */
export function settingsOfTask(config: ConfigFile): Settings {
  const { task } = settle(
    { task: common.task },
    {},
    {
      ...config,
      values: { task: config.values['task'] },
    },
  );
  return task === 'classify' || task === 'tag' ? labelSettings : forecastSettings;
}
