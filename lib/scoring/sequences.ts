/** Metrics of label sequences (CTC), decoded by the best path. */
import { greedy } from '../ctc';
import { distance } from '../measures/text';
import type { Scorer } from './scorer';

/** Parts of a sequence between separators, as text: labels joined by spaces. */
function words(labels: readonly number[], separator: number): string[] {
  const parts: number[][] = [[]];
  for (const label of labels) {
    if (label === separator) parts.push([]);
    else parts.at(-1)!.push(label);
  }
  return parts.filter((part) => part.length > 0).map((part) => part.join(' '));
}

/**
 * Edits over what `per` says.
 *
 * @param separator the label between words: words are compared instead of labels
 * @param per `item`: labels or words of the references; `sample`: sequences
 */
export function editScorer(per: 'item' | 'sample', separator?: number): Scorer {
  let [edits, count] = [0, 0];
  return {
    add({ loss, output, features, steps, samples, targets }) {
      const { blank } = loss.native;
      const lengths = Int32Array.from(samples, (sample) => targets.lengths[sample]!);
      const decoded = greedy(
        { data: output, shape: [samples.length, steps, features] },
        { blank, lengths },
      );
      samples.forEach((sample, i) => {
        const from = targets.offsets[sample]!;
        const own = Array.from(targets.values.subarray(from, from + lengths[i]!));
        // Blanks fill what the labels leave of their sample's steps.
        const end = own.indexOf(blank);
        const wanted = end < 0 ? own : own.slice(0, end);
        const [a, b] =
          separator === undefined
            ? [wanted, decoded[i]!]
            : [words(wanted, separator), words(decoded[i]!, separator)];
        edits += distance(a, b);
        count += per === 'sample' ? 1 : a.length;
      });
    },
    result: () => edits / count,
  };
}
