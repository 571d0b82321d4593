/** Programmer errors: an assertion that fails is a bug in Carillon, never the fault of a client. */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws AssertionError with `claim` (what was supposed to hold) when `condition` is false. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new AssertionError(claim);
}

/** The end of an exhaustive switch: does not compile while a case is missing. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value: ${JSON.stringify(value)}`);
}
