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
    ...plan.inputs.map(({ name, shape }) => [
      name,
      shape.tokens ? 'tokens' : 'numbers',
      shapeText(shape),
      '',
    ]),
    ...plan.nodes.map(({ name, layer, output }) => [
      name,
      plan.layers[layer]!.layer.type,
      shapeText(output),
      // A shared layer's weights are counted once.
      name === plan.layers[layer]!.name ? count(description.layers[layer]!.parameters) : 'shared',
    ]),
  ];
  const totals = ['Total', '', '', count(total)];
  if (plan.kind === 'graph') {
    const names = [...plan.inputs, ...plan.nodes].map(({ name }) => name);
    const from = plan.nodes.map(({ inputs }) => inputs.map((value) => names[value]!).join(', '));
    const column = ['From', ...plan.inputs.map(() => ''), ...from];
    rows.forEach((row, i) => row.splice(3, 0, column[i]!));
    totals.splice(3, 0, '');
  }
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
