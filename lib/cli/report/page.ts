/** Pages that need nothing but a browser: charts, tables and texts in one file. */
import { readFile } from 'node:fs/promises';
import type { Chart } from './series';

/** A part of a page. */
export type Section = { title: string } & (
  | { text: string }
  | {
      heading?: readonly string[];
      rows: readonly (readonly string[])[];
      /** How strongly cells are coloured, 0 … 1, by row and column. */
      heat?: readonly (readonly (number | undefined)[])[];
    }
);

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]!);
}

/** JSON that may stand in a script element, whatever strings it holds. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --quiet: #667; --line: #d8dde4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --paper: #14181d; --quiet: #9aa3ae; --line: #353d47; }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1rem; margin: 1.6rem 0 0.4rem; }
p { color: var(--quiet); margin: 0.2rem 0; }
#charts { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(30rem, 1fr)); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 1.2rem 0.15rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 500; }
pre { white-space: pre-wrap; padding: 0.8rem 1rem; border: 1px solid var(--line); }
.u-legend { color: var(--ink); }
.u-legend th, .u-legend td { border: 0; }`;

/** Draws the charts; drag to zoom in, double-click to zoom out. */
const SCRIPT = `
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const ink = dark ? '#9aa3ae' : '#556', line = dark ? '#2b323b' : '#e8ebef';
const colours = ['#2f7ed8', '#e8743b', '#19a979', '#945ecf', '#d6336c', '#6c8893'];
const format = (value) => (value == null ? '' : Number(value.toPrecision(5)).toString());
const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
const labels = (_plot, ticks) => ticks.map(format);
const root = document.getElementById('charts');
const drawn = charts.map((chart) => {
  const { title, axis: label, x, curves, bands, points, logarithmic, names, highlight } = chart;
  const named = (value) => (names === undefined ? format(value) : (names[value] ?? ''));
  const quiet = (i) => highlight !== undefined && i !== highlight;
  const element = document.createElement('div');
  const heading = document.createElement('h2');
  heading.textContent = title;
  element.append(heading);
  root.append(element);
  const width = element.clientWidth;
  const plot = new uPlot({
    width, height: 260,
    scales: { x: { time: false, ...(logarithmic ? { distr: 3 } : {}),
      ...(names === undefined ? {} : { range: [-0.5, names.length - 0.5] }) } },
    axes: [names === undefined ? { ...axis, ...(logarithmic ? { values: labels } : {}) } : { ...axis, splits: () => names.map((_name, i) => i),
      values: (_plot, ticks) => ticks.map(named) }, { ...axis, size: 70, values: labels }],
    series: [{ label, value: (_plot, value) => named(value) }, ...curves.map((curve, i) => ({
      label: curve.label, width: quiet(i) ? 1 : highlight === i ? 2.5 : 1.5,
      stroke: quiet(i) ? 'rgb(120 130 150 / 55%)' : colours[highlight === i ? 0 : i % colours.length],
      ...(points ? { paths: () => null } : {}),
      points: { show: points || (x.length < 40 && !quiet(i)), ...(points ? { size: 8 } : {}) },
      value: (_plot, value) => format(value) }))],
    bands: (bands ?? []).map(([high, low]) => ({
      series: [high + 1, low + 1], fill: 'rgb(120 130 150 / 20%)' })),
  }, [x, ...curves.map(({ y }) => y)], element);
  return { element, plot };
});
addEventListener('resize', () => {
  for (const { element, plot } of drawn) plot.setSize({ width: element.clientWidth, height: 260 });
});
document.body.dataset.charts = String(drawn.length);`;

function sectionHtml(section: Section): string {
  const title = `<h2>${escapeHtml(section.title)}</h2>`;
  if ('text' in section) return `${title}<pre>${escapeHtml(section.text)}</pre>`;
  const row = (cells: readonly string[], tag: string, at = -1): string => {
    const style = (i: number): string => {
      const heat = section.heat?.[at]?.[i];
      return heat === undefined
        ? ''
        : ` style="background: rgb(56 132 255 / ${Math.round(80 * heat)}%)"`;
    };
    return `<tr>${cells.map((cell, i) => `<${tag}${style(i)}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  };
  const head = section.heading === undefined ? '' : row(section.heading, 'th');
  return `${title}<table>${head}${section.rows.map((cells, i) => row(cells, 'td', i)).join('')}</table>`;
}

/** A page with everything in it: uPlot, its style, and the data. */
export async function makePage(
  title: string,
  subtitle: string,
  charts: readonly Chart[],
  sections: readonly Section[],
): Promise<string> {
  const [library, style] = await Promise.all([
    readFile(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    readFile(require.resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  ]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(subtitle)}</p>
<p>Drag in a chart to zoom in; double-click to zoom out.</p>
<div id="charts"></div>
${sections.map(sectionHtml).join('\n')}
<!-- Charts: uPlot, Copyright (c) 2022 Leon Sorokin, MIT licence -->
<script>${library}</script>
<script>
const charts = ${scriptJson(charts)};${SCRIPT}
</script>
</body>
</html>
`;
}
