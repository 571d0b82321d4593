/** Bytes or values of a client that cannot be taken; the message says what and where. */
export class WireError extends Error {
  override readonly name = 'WireError';
}
