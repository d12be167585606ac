/** What flows between the layers of a model, and how messages write it. */
import { shapeMismatch } from './errors';

/** The kind of value between two layers. Batches are left out: every value has a batch axis. */
export interface ValueShape {
  /** Numbers in a row; 1 for tokens. */
  readonly features: number;
  /** Whether there is a time axis: [batch, time, features] or [batch, features]. */
  readonly timed: boolean;
  /** Integer ids instead of numbers: [batch, time]. */
  readonly tokens: boolean;
}

/** Where a layer stands in its model, for the messages of shape errors. */
export interface Place {
  /** The layer's name in the model. */
  readonly name: string;
  /** The name and kind of the layer before, if there is one. */
  readonly before: { readonly name: string; readonly recurrent: boolean } | null;
  /** In a graph: what makes its inputs, as messages call it. */
  readonly inputs?: readonly string[];
}

/** A shape as messages write it: `[batch, time, 64]`. */
export function shapeText({ features, timed, tokens }: ValueShape): string {
  if (tokens) return timed ? '[batch, time]' : '[batch]';
  return timed ? `[batch, time, ${features}]` : `[batch, ${features}]`;
}

/** Rejects an input without a time axis, and says which layer dropped it. */
export function requireSequence(input: ValueShape, { name, before }: Place): void {
  if (input.timed) return;
  const reason =
    before === null
      ? 'the model has no time axis'
      : before.recurrent
        ? `the layer before, "${before.name}", returns only its last step; set returnSequences: true on it`
        : `the layer before, "${before.name}", gives no sequence; put this layer before the one that takes the last step`;
  throw shapeMismatch(
    `${name}: expects a sequence [batch, time, features] but receives ${shapeText(input)}: ${reason}`,
  );
}

/** Rejects token ids where numbers are needed. */
export function requireNumbers(input: ValueShape, { name }: Place): void {
  if (input.tokens) {
    throw shapeMismatch(
      `${name}: expects numbers but receives token ids; put an embedding before it`,
    );
  }
}
