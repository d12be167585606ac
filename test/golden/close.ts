/** How far computed numbers may be from the golden ones. */

/** Absolute, and relative to golden numbers above 1. */
export const TOLERANCE = 1e-5;

interface Shaped {
  data: ArrayLike<number>;
  shape?: readonly number[];
}

/**
 * Fails unless all numbers are there and within `tolerance` of the golden ones.
 *
 * @param name what they are, for the message
 */
export function expectClose(
  actual: Shaped | null | undefined,
  golden: Shaped,
  name: string,
  tolerance = TOLERANCE,
): void {
  if (actual === null || actual === undefined) throw new Error(`There is no ${name}`);
  if (actual.shape !== undefined && golden.shape !== undefined) {
    expect({ name, shape: [...actual.shape] }).toEqual({ name, shape: [...golden.shape] });
  }
  expect({ name, length: actual.data.length }).toEqual({ name, length: golden.data.length });
  let worst = 0;
  let at = -1;
  for (let i = 0; i < golden.data.length; i++) {
    const [a, b] = [actual.data[i]!, golden.data[i]!];
    const error = a === b ? 0 : Math.abs(a - b) / Math.max(1, Math.abs(b));
    // Written so that NaN is the worst of all.
    if (!(error <= worst)) [worst, at] = [error, i];
    if (Number.isNaN(worst)) break;
  }
  if (worst <= tolerance) return;
  throw new Error(
    `${name}: ${actual.data[at]} at ${at} is ${worst} away from ${golden.data[at]}; ` +
      `${tolerance} is allowed`,
  );
}

/** Checks one number; see {@link expectClose}. */
export function expectNumberClose(
  actual: number,
  golden: number,
  name: string,
  tolerance = TOLERANCE,
): void {
  expectClose({ data: [actual] }, { data: [golden] }, name, tolerance);
}

/** Checks named tensors against all the golden ones; none may be left over on either side. */
export function expectAllClose(
  actual: Record<string, Shaped>,
  golden: Record<string, Shaped>,
  name: string,
  tolerance = TOLERANCE,
): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(golden).sort());
  for (const key of Object.keys(golden)) {
    expectClose(actual[key], golden[key]!, `${name}.${key}`, tolerance);
  }
}
