/** A curve in a dozen characters. */

const BARS = '▁▂▃▄▅▆▇█';
const WIDTH = 12;

/** Values as bars between their least and their largest. */
export function sparkline(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  const least = Math.min(...finite);
  const range = Math.max(...finite) - least;
  return values
    .map((value) => {
      if (!Number.isFinite(value)) return '·';
      return BARS[range === 0 ? 0 : Math.round(((value - least) / range) * (BARS.length - 1))];
    })
    .join('');
}

/** The sparkline of a whole run: it gets coarser as the run gets longer. */
export class Sparkline {
  #values: number[] = [];
  #stride = 1;
  #seen = 0;
  #shown = '';

  /** Takes a value in; returns the line. */
  add(value: number): string {
    if (this.#seen++ % this.#stride !== 0) return this.#shown;
    this.#values.push(value);
    if (this.#values.length === 2 * WIDTH) {
      this.#values = this.#values.filter((_value, i) => i % 2 === 0);
      this.#stride *= 2;
    }
    this.#shown = sparkline(this.#values);
    return this.#shown;
  }
}
