/**
 * Limits per address for clients behind a trusted proxy, whose addresses only a shard can read.
 * Thread: shard. Called by upgrade.ts. Sockets of one address land on all shards, so each shard allows its part.
 */
import type { Clock } from '#kit/clock.ts';
import type { Config } from '../config/load-config.ts';
import { KeyedBuckets } from '../protect/keyed-buckets.ts';

export class ForwardedClients {
  readonly #clock: Clock;
  readonly #buckets: KeyedBuckets;
  readonly #connectionsMax: number;
  readonly #connections = new Map<string, number>();

  constructor(config: Config, clock: Clock) {
    this.#clock = clock;
    const { permits, intervalMs } = config.handshakeRateAddress;
    this.#buckets = new KeyedBuckets({ permits: Math.ceil(permits / config.shards), intervalMs, burst: 0 });
    this.#connectionsMax = Math.ceil(config.connectionsPerAddressMax / config.shards);
  }

  judge(address: string): 'admitted' | 'too_many_from_address' | 'too_fast' {
    if ((this.#connections.get(address) ?? 0) >= this.#connectionsMax) return 'too_many_from_address';
    return this.#buckets.take(address, this.#clock.monotonicMs()) > 0 ? 'too_fast' : 'admitted';
  }

  onOpened(address: string): void {
    this.#connections.set(address, (this.#connections.get(address) ?? 0) + 1);
  }

  onClosed(address: string): void {
    const left = (this.#connections.get(address) ?? 0) - 1;
    if (left > 0) this.#connections.set(address, left);
    else this.#connections.delete(address);
  }
}
