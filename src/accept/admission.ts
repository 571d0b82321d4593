/**
 * Who gets in: caps per process and per address, and a rate per address.
 * Thread: primary. Called by listener.ts; hears from the shards which sockets are gone.
 * Only the TCP peer is known here. What it decides is answered by the shard, as HTTP 429 or 503: a byte written here
 * would be wrong under TLS. Beyond the hard cap even that is too much, and the socket is destroyed.
 */
import type { Networks } from '#kit/address.ts';
import type { AdmissionVerdict } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';
import { KeyedBuckets } from '../protect/keyed-buckets.ts';
import type { BucketRate } from '../protect/token-bucket.ts';

export interface AdmissionLimits {
  connectionsMax: number;
  connectionsPerAddressMax: number;
  handshakeRate: BucketRate;
  /** Their clients are counted by the shards, which can read X-Forwarded-For. */
  trustedProxies: Networks;
}

/** Sockets above `connectionsMax` that still get an answer: refusals, health checks, metrics. */
export const spareConnections = 256;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #buckets: KeyedBuckets;
  /** Sockets by shard and peer address: a shard that dies takes its sockets along. */
  readonly #byShard = new Map<ShardId, Map<string, number>>();
  readonly #byAddress = new Map<string, number>();
  readonly #shardTotals = new Map<ShardId, number>();
  #total = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#buckets = new KeyedBuckets(limits.handshakeRate);
  }

  get total(): number {
    return this.#total;
  }

  countOf(shard: ShardId): number {
    return this.#shardTotals.get(shard) ?? 0;
  }

  /** 'destroy': not even an answer. */
  judge(address: string, nowMs: number): AdmissionVerdict | 'destroy' {
    const { connectionsMax, connectionsPerAddressMax, trustedProxies } = this.#limits;
    if (this.#total >= connectionsMax + spareConnections) return 'destroy';
    if (this.#total >= connectionsMax) return 'full';
    if (trustedProxies.has(address)) return 'admitted';
    if ((this.#byAddress.get(address) ?? 0) >= connectionsPerAddressMax) return 'too_many_from_address';
    return this.#buckets.take(address, nowMs) > 0 ? 'too_fast' : 'admitted';
  }

  onHandedOver(shard: ShardId, address: string): void {
    const sockets = this.#byShard.get(shard) ?? new Map<string, number>();
    this.#byShard.set(shard, sockets);
    sockets.set(address, (sockets.get(address) ?? 0) + 1);
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    this.#shardTotals.set(shard, this.countOf(shard) + 1);
    this.#total++;
  }

  onClosed(shard: ShardId, addresses: readonly string[]): void {
    for (const address of addresses) this.#forget(shard, address, 1);
  }

  /** The shard's thread died. */
  onShardGone(shard: ShardId): void {
    for (const [address, count] of [...(this.#byShard.get(shard) ?? [])]) this.#forget(shard, address, count);
  }

  #forget(shard: ShardId, address: string, count: number): void {
    const sockets = this.#byShard.get(shard);
    const here = sockets?.get(address) ?? 0;
    const gone = Math.min(count, here);
    if (sockets === undefined || gone === 0) return;
    decrease(sockets, address, gone);
    decrease(this.#byAddress, address, gone);
    this.#shardTotals.set(shard, this.countOf(shard) - gone);
    this.#total -= gone;
  }
}

function decrease(counts: Map<string, number>, key: string, by: number): void {
  const left = (counts.get(key) ?? 0) - by;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
