/** The losses and metrics of all outputs of a model, and the scores that are made of them. */
import { wrongKind, wrongValue } from './errors';
import { resolveLoss } from './losses';
import type { Loss, LossTargets } from './losses';
import { metricsOf, noTotals, resolveMetrics, scoreNames, scores, validationName } from './metrics';
import type { Metric, MetricName, Scores, Totals } from './metrics';
import type { ModelCore, NamedLayer } from './model-core';
import type { NativeOutputLoss } from './native';
import { checkNumber, isRecord, rejectUnknown } from './validate';

/** The loss of one output, and its factor in the total. */
export interface OutputLoss {
  name: string;
  loss: Loss;
  weight: number;
}

/** The losses of all outputs, in their order. */
export interface ModelLoss {
  outputs: OutputLoss[];
  native: NativeOutputLoss[];
  targets: LossTargets[];
}

function named(given: unknown, names: readonly string[], label: string): unknown[] {
  if (!isRecord(given)) throw wrongKind('{ output: … }', label, given);
  rejectUnknown(label, Object.keys(given), names);
  return names.map((name) => given[name]);
}

/**
 * Checks the losses of a call against the outputs of a model.
 *
 * @param given a loss (of every output), or with several outputs `{ output: loss }`
 * @param weights `{ output: factor }`, or undefined: all 1
 * @throws TypeError, RangeError, OstinatoError as {@link resolveLoss}
 */
export function resolveModelLoss(
  core: ModelCore,
  given: unknown,
  fromLogits: boolean | undefined,
  weights?: unknown,
): ModelLoss {
  const { outputs } = core.plan;
  const names = outputs.map(({ name }) => name);
  const several = outputs.length > 1;
  const perOutput = several && isRecord(given) && !('kind' in given);
  const losses = perOutput ? named(given, names, 'loss') : names.map(() => given);
  if (weights !== undefined && !several) {
    throw wrongKind('nothing for a model of one output', 'lossWeights', weights);
  }
  const factors = weights === undefined ? [] : named(weights, names, 'lossWeights');
  const list = outputs.map(({ name, owner }, i): OutputLoss => {
    if (perOutput && losses[i] === undefined) throw wrongKind('a loss', `loss.${name}`, losses[i]);
    const factor = factors[i] ?? 1;
    return {
      name,
      loss: resolveLoss(losses[i], fromLogits, owner),
      weight: checkNumber(factor, `lossWeights.${name}`, { min: 0 }),
    };
  });
  return {
    outputs: list,
    native: list.map(({ loss, weight }) => ({ ...loss.native, weight })),
    targets: list.map(({ loss, name }) => (several ? withName(loss.targets, name) : loss.targets)),
  };
}

function withName(targets: LossTargets, name: string): LossTargets {
  return { ...targets, name: `y.${name}` };
}

/** Whether two losses are the same in every option. */
export function isSameModelLoss(a: ModelLoss, b: ModelLoss): boolean {
  return JSON.stringify(a.native) === JSON.stringify(b.native);
}

/** What of it has to be the same when a run goes on. */
export function lossIdentity({ outputs, native }: ModelLoss): unknown {
  if (outputs.length === 1) return outputs[0]!.loss.native;
  return Object.fromEntries(outputs.map(({ name }, i) => [name, native[i]]));
}

/** `priceLoss` for the score `loss` of the output `price`. */
function scoreName(output: string, score: string): string {
  return `${output}${score[0]!.toUpperCase()}${score.slice(1)}`;
}

/** Metrics of one of several outputs: those that follow from the sums of the passes. */
function metricsOfOutput(given: unknown, { name, loss }: OutputLoss, output: NamedLayer): Metric[] {
  const metrics = resolveMetrics(given, loss, output.output.features);
  const other = metrics.find(({ scorer }) => scorer !== undefined);
  if (other === undefined) return metrics;
  throw wrongValue(
    'accuracy, perplexity or bits with several outputs',
    `metrics.${name}`,
    other.kind,
    'compare what predict() gives with the functions of "metrics"',
  );
}

/** Which scores a call reports, and how they follow from sums. */
export class Scoring {
  /** By output. */
  readonly metrics: Metric[][];
  readonly #outputs: readonly OutputLoss[];

  /**
   * @param given metrics, or with several outputs `{ output: metrics }`; a list then goes to each
   *     output that has them
   * @throws TypeError, RangeError for unknown metrics, and those that no output has
   */
  constructor(core: ModelCore, { outputs }: ModelLoss, given: unknown) {
    this.#outputs = outputs;
    const { plan } = core;
    if (outputs.length === 1) {
      const [{ loss }] = outputs as [OutputLoss];
      this.metrics = [resolveMetrics(given, loss, core.last.output.features)];
      return;
    }
    const names = outputs.map(({ name }) => name);
    const lists = Array.isArray(given)
      ? spread(given, outputs)
      : given === undefined
        ? []
        : named(given, names, 'metrics');
    this.metrics = outputs.map((output, i) =>
      metricsOfOutput(lists[i], output, plan.outputs[i]!.owner),
    );
  }

  /** The metrics that compare predictions with targets; there are none with several outputs. */
  get comparing(): Metric[] {
    return this.metrics[0]!.filter(({ scorer }) => scorer !== undefined);
  }

  /**
   * The names of the numbers that epochs of `fit` report.
   *
   * @throws RangeError for metrics that need validation where there is none
   */
  names(validates: boolean): string[] {
    if (this.#outputs.length === 1) return scoreNames(this.metrics[0]!, validates);
    const training = [
      'loss',
      ...this.#outputs.flatMap(({ name }, i) =>
        ['loss', ...this.metrics[i]!.map((metric) => metric.name)].map((score) =>
          scoreName(name, score),
        ),
      ),
    ];
    return validates ? [...training, ...training.map(validationName)] : training;
  }

  /** What of it has to be the same when a run goes on. */
  get identity(): unknown {
    const all = this.metrics.map((list) => list.map(({ identity }) => identity));
    return this.#outputs.length === 1 ? all[0] : all;
  }

  /** Sums over nothing. */
  zeros(): Totals {
    if (this.#outputs.length === 1) return noTotals();
    return { ...noTotals(), outputs: this.#outputs.map(noTotals) };
  }

  /** The sums of all outputs as one; `penalty` is what regularisers add to the mean loss. */
  totals(outputs: readonly Omit<Totals, 'penaltySum'>[], penalty: number): Totals {
    const count = outputs.reduce((sum, output) => sum + output.count, 0);
    const penaltySum = penalty * count;
    if (outputs.length === 1) return { ...outputs[0]!, penaltySum };
    const each = outputs.map((output) => ({ ...output, penaltySum: 0 }));
    return { lossSum: 0, penaltySum, count, correct: 0, outputs: each };
  }

  /** The mean losses, penalties included, and the metrics that follow from the sums. */
  scores(totals: Totals): Scores {
    if (totals.outputs === undefined) return scores(totals, this.metrics[0]!);
    const result = scores(totals, []);
    totals.outputs.forEach((sums, i) => {
      const { name, weight } = this.#outputs[i]!;
      const own = scores(sums, this.metrics[i]!);
      result.loss += weight * own.loss;
      for (const [score, value] of Object.entries(own)) result[scoreName(name, score)] = value;
    });
    return result;
  }
}

/** A list of metrics for each output, of those that its loss has. */
function spread(given: readonly unknown[], outputs: readonly OutputLoss[]): unknown[][] {
  const kindOf = (metric: unknown): unknown => (isRecord(metric) ? metric['kind'] : metric);
  const fits = ({ loss }: OutputLoss, metric: unknown): boolean =>
    metricsOf(loss).includes(kindOf(metric) as MetricName);
  given.forEach((metric, i) => {
    if (outputs.some((output) => fits(output, metric))) return;
    throw wrongValue('a metric that some output has', `metrics[${i}]`, kindOf(metric));
  });
  return outputs.map((output) => given.filter((metric) => fits(output, metric)));
}
