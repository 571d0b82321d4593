/**
 * All links of this shard, by peer.
 * Thread: shard. Links come and go by control messages of the primary; the duty cycle reads and flushes them.
 */

import type { ShardId } from '#proto/names.ts';
import type { RecordBodies, RecordHeader, RecordKind } from '#proto/record.ts';
import { packMsgpack } from '../wire/codec.ts';
import { type LinkContext, type LinkMemory, ThreadLink } from './thread-link.ts';

export type RecordHandler = (header: RecordHeader, ownedBody: Uint8Array) => void;

export class ThreadLinks {
  readonly #ctx: LinkContext;
  readonly #links = new Map<ShardId, ThreadLink>();
  readonly #wake: () => void;

  /** `wake` asks for a turn of the duty cycle. */
  constructor(ctx: LinkContext, wake: () => void) {
    this.#ctx = ctx;
    this.#wake = wake;
  }

  /** The link of now; undefined when the peer's thread is gone. */
  to(peer: ShardId): ThreadLink | undefined {
    return this.#links.get(peer);
  }

  /** A new link to `peer`; the old one, if any, is dropped. */
  connect(peer: ShardId, memory: LinkMemory): void {
    this.disconnect(peer);
    this.#links.set(peer, new ThreadLink(memory, this.#ctx, this.#wake));
    this.#wake();
  }

  /** All that `peer` wrote before its thread ended: its answers count, and what its sessions asked for is done. */
  readToEnd(peer: ShardId, handler: RecordHandler): void {
    this.#links.get(peer)?.read(handler, Number.POSITIVE_INFINITY);
  }

  disconnect(peer: ShardId): void {
    this.#links.get(peer)?.close();
    this.#links.delete(peer);
  }

  /** Records for `peer` wait for room in the ring: what may be dropped need not join them. */
  isCongested(peer: ShardId): boolean {
    return this.#links.get(peer)?.hasBacklog ?? false;
  }

  /** 'down' when the peer's thread is gone; otherwise see ThreadLink.send. */
  send<Kind extends RecordKind>(
    peer: ShardId,
    kind: Kind,
    correlation: number,
    body: RecordBodies[Kind],
  ): 'taken' | 'refused' | 'dropped' | 'down' {
    const link = this.#links.get(peer);
    if (link === undefined) return 'down';
    this.#wake();
    return link.send(kind, correlation, packMsgpack(body));
  }

  /** Reads up to `recordsMax` records of each peer; true when there may be more. */
  read(handler: RecordHandler, recordsMax: number): boolean {
    let hasMore = false;
    for (const link of this.#links.values()) {
      if (link.read(handler, recordsMax) === recordsMax) hasMore = true;
    }
    return hasMore;
  }

  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  get hasBacklog(): boolean {
    for (const link of this.#links.values()) if (link.hasBacklog) return true;
    return false;
  }

  /** False: something arrived while going to sleep. */
  tryArm(): boolean {
    let isArmed = true;
    for (const link of this.#links.values()) isArmed = link.tryArm() && isArmed;
    return isArmed;
  }
}
