/**
 * One token bucket per key (an address, a user), bounded: full buckets are forgotten first, since a new one is the same.
 * When every one of `keysMax` is in use, the oldest is forgotten and gets a fresh start: never an unbounded map.
 */
import { type BucketRate, TokenBucket } from './token-bucket.ts';

/** Every so many takes, so many buckets are looked at: faster than new ones can come. */
const takesPerSweep = 64;
const examinedPerSweep = 256;

export class KeyedBuckets {
  readonly #rate: BucketRate;
  readonly #keysMax: number;
  readonly #buckets = new Map<string, TokenBucket>();
  #takes = 0;

  constructor(rate: BucketRate, keysMax = 100_000) {
    this.#rate = rate;
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** 0 when a permit was taken, else the milliseconds until there will be one. */
  take(key: string, nowMs: number): number {
    if (++this.#takes % takesPerSweep === 0) this.#sweep(nowMs);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#keysMax) this.#evictOldest();
      bucket = new TokenBucket(this.#rate, nowMs);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(this.#rate, nowMs);
  }

  /** Forgets full buckets. */
  #sweep(nowMs: number): void {
    let examined = 0;
    for (const [key, bucket] of this.#buckets) {
      if (++examined > examinedPerSweep) return;
      this.#buckets.delete(key);
      // Back to the end of the line, so that the next sweep looks at others.
      if (!bucket.isFull(this.#rate, nowMs)) this.#buckets.set(key, bucket);
    }
  }

  #evictOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      return;
    }
  }
}
