/** The table of a model's layers. */
import type { ModelCore } from './model-core';
import { shapeText } from './shapes';

const count = (n: number): string => n.toLocaleString('en-US');

/**
 * Layers with their types, output shapes and parameter counts, and the total; then what else there
 * is to say of a layer.
 */
export function summary({ plan, description }: ModelCore): string {
  const total = description.layers.reduce((sum, { parameters }) => sum + parameters, 0);
  const rows = [
    ['Layer', 'Type', 'Output', 'Parameters'],
    ['input', plan.input.tokens ? 'tokens' : 'numbers', shapeText(plan.input), ''],
    ...plan.layers.map(({ name, layer, output }, i) => [
      name,
      layer.type,
      shapeText(output),
      count(description.layers[i]!.parameters),
    ]),
  ];
  const totals = ['Total', '', '', count(total)];
  const widths = totals.map((_cell, column) =>
    Math.max(...[...rows, totals].map((row) => row[column]!.length)),
  );
  const line = (row: string[]): string =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  const [head, ...body] = rows.map(line);
  const details = plan.layers.flatMap(({ name, layer }) => {
    const [first, ...more] = layer.details;
    return first === undefined ? [] : ['', `${name}: ${first}`, ...more];
  });
  return [head!, rule, ...body, rule, line(totals), ...details].join('\n');
}
