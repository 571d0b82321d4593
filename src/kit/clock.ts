/**
 * The only place that reads the time.
 * Everything else gets a Clock, so that a test can own the time.
 */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for timestamps and token expiry only. */
  wallMs(): number;
  /** Never goes back: for every timeout, rate and order. Milliseconds, fractional. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
