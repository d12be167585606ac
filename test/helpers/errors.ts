/** Catches what a call throws or rejects with. Compare names and codes: realms differ. */
export interface Caught {
  name: string;
  code?: string;
  message: string;
  cause?: unknown;
}

export function thrownBy(call: () => unknown): Caught {
  try {
    call();
  } catch (error) {
    return error as Caught;
  }
  throw new Error('Expected the call to throw');
}

export async function rejectionOf(call: () => Promise<unknown>): Promise<Caught> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    return error as Caught;
  }
  throw new Error(`Expected the call to reject but it gave ${JSON.stringify(value)}`);
}

/** An argument error as the API makes it. */
export function argumentError(name: 'TypeError' | 'RangeError', message: RegExp): object {
  return expect.objectContaining({
    name,
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringMatching(message) as string,
  }) as object;
}
