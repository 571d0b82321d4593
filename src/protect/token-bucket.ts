/**
 * Token bucket: `permits` per interval on the long run, `burst` more at once. No timer: it refills when asked.
 * One per connection on the message path (19 M/s, libraries reference section 4).
 */
export interface BucketRate {
  permits: number;
  intervalMs: number;
  burst: number;
}

export class TokenBucket {
  #tokens: number;
  #refilledAtMs: number;

  /** Starts full. */
  constructor(rate: BucketRate, nowMs: number) {
    this.#tokens = rate.permits + rate.burst;
    this.#refilledAtMs = nowMs;
  }

  /** 0 when a permit was taken, else the milliseconds until there will be one. */
  take(rate: BucketRate, nowMs: number): number {
    this.#refill(rate, nowMs);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) * rate.intervalMs) / rate.permits);
  }

  isFull(rate: BucketRate, nowMs: number): boolean {
    this.#refill(rate, nowMs);
    return this.#tokens >= rate.permits + rate.burst;
  }

  #refill(rate: BucketRate, nowMs: number): void {
    const gained = ((nowMs - this.#refilledAtMs) * rate.permits) / rate.intervalMs;
    this.#tokens = Math.min(rate.permits + rate.burst, this.#tokens + gained);
    this.#refilledAtMs = nowMs;
  }
}
