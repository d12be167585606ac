/** Where two JSON values differ first. */
import { isRecord } from '../validate';

/** A place, and what stands there in the two values; undefined where there is nothing. */
export interface Difference {
  path: string;
  saved: unknown;
  here: unknown;
}

/** The first difference in the order of the keys of `saved`, then of `here`; undefined if none. */
export function firstDifference(saved: unknown, here: unknown, path = ''): Difference | undefined {
  if (Array.isArray(saved) && Array.isArray(here)) {
    for (let i = 0; i < Math.max(saved.length, here.length); i++) {
      const found = firstDifference(saved[i], here[i], `${path}[${i}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isRecord(saved) && isRecord(here)) {
    for (const key of new Set([...Object.keys(saved), ...Object.keys(here)])) {
      const inner = path === '' ? key : `${path}.${key}`;
      const found = firstDifference(saved[key], here[key], inner);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return Object.is(saved, here) ? undefined : { path, saved, here };
}
