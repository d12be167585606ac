/** Targets of the CTC loss: label sequences that are shorter than their inputs. */
import { shapeMismatch, wrongValue } from '../errors';
import { readRows } from './rows';
import type { Rows } from './rows';

/**
 * Reads label sequences, [batch, labels], ragged or padded, and lays each at the begin of its
 * sample's steps, with blanks after it: the form that the core takes. What follows a blank or a
 * negative number in a sample is padding.
 *
 * @param input the samples; sample i of the result has as many rows
 * @param classes of the output, the blank among them
 * @throws RangeError for labels that are no classes, and after padding
 * @throws OstinatoError `ERR_SHAPE_MISMATCH` for a target that its steps cannot emit
 */
export function readLabelSequences(
  given: unknown,
  input: Rows,
  classes: number,
  blank: number,
  name: string,
): Rows {
  const rows = readRows(given, { timed: true, features: undefined, integers: true }, name);
  if (rows.samples !== input.samples) {
    throw shapeMismatch(
      `Expected ${input.samples} label sequences for "${name}", as many samples as "x" has, but received ${rows.samples}`,
    );
  }
  const ids = rows.data as Int32Array;
  const total = input.lengths.reduce((sum, length) => sum + length, 0);
  const data = new Int32Array(total).fill(blank);
  const offsets = new Float64Array(input.samples);
  let begin = 0;
  for (let i = 0; i < input.samples; i++) {
    const own = ids.subarray(rows.offsets[i], rows.offsets[i]! + rows.lengths[i]!);
    const end = own.findIndex((label) => label === blank || label < 0);
    const labels = end < 0 ? own : own.subarray(0, end);
    own.forEach((label, at) => {
      const padding = label === blank || label < 0;
      if (at < labels.length ? label < classes : padding) return;
      const wanted = at < labels.length ? `a label below ${classes}` : 'nothing after padding';
      throw wrongValue(wanted, `${name}[${i}][${at}]`, label);
    });
    const repeats = labels.reduce((sum, label, at) => sum + Number(label === labels[at - 1]), 0);
    const steps = input.lengths[i]!;
    if (labels.length + repeats > steps) {
      throw shapeMismatch(
        `Expected labels that ${steps} steps can emit for "${name}[${i}]" but received ` +
          `${labels.length} with ${repeats} equal to the one before, which need ` +
          `${labels.length + repeats} steps, as many as "x[${i}]" must have`,
      );
    }
    data.set(labels, begin);
    offsets[i] = begin;
    begin += steps;
  }
  return { ...rows, data, features: 1, lengths: input.lengths, offsets, steps: input.steps };
}
