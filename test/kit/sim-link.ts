/**
 * Links of a simulation: queues of records in one thread, instead of rings. Bodies are packed and unpacked as in a ring.
 * What a full link does with a record is asked of a real one, once. A thread that dies stops having effects in the middle
 * of its turn; what it had written into its ring is still read, what waited behind a full ring is lost with it.
 */
import type { Clock } from '#kit/clock.ts';
import type { ShardId } from '#proto/names.ts';
import { type RecordBodies, type RecordHeader, type RecordKind, recordKinds } from '#proto/record.ts';
import { type LinkContext, type LinkMemory, ThreadLink } from '../../src/links/thread-link.ts';
import { type RecordHandler, ThreadLinks } from '../../src/links/thread-links.ts';
import { allocateMetrics, MetricsRow } from '../../src/observe/metrics-table.ts';
import { allocateRing, ringBytesMin } from '../../src/ring/ring-layout.ts';
import { packMsgpack } from '../../src/wire/codec.ts';
import type { Dice } from './sim-random.ts';

type Sent = 'taken' | 'refused' | 'dropped';

/** What a thread may still do to the world: records sent, frames written. A dying one has a few left, a dead one none. */
export class Effects {
  #left = Number.POSITIVE_INFINITY;

  /** One effect; false when the thread is dead and nobody sees it. */
  take(): boolean {
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }

  limit(count: number): void {
    this.#left = Math.min(this.#left, count);
  }

  get areOver(): boolean {
    return this.#left <= 0;
  }
}

interface SimRecord {
  header: RecordHeader;
  body: Uint8Array;
}

/** One direction between two threads. */
export class SimPipe {
  #records: SimRecord[] = [];
  #front = 0;
  /** Takes what waits only. */
  isFull = false;
  /** Records beyond these wait in the writer's memory. */
  readonly ringRecordsMax: number;

  constructor(ringRecordsMax: number) {
    this.ringRecordsMax = ringRecordsMax;
  }

  get size(): number {
    return this.#records.length - this.#front;
  }

  push(record: SimRecord): void {
    this.#records.push(record);
  }

  shift(): SimRecord | undefined {
    const record = this.#records[this.#front];
    if (record === undefined) return undefined;
    this.#front++;
    if (this.#front === this.#records.length) {
      this.#records = [];
      this.#front = 0;
    }
    return record;
  }

  /** The writer's thread is dead; answers how many records went with it. */
  onWriterDead(): number {
    const lost = Math.max(0, this.size - this.ringRecordsMax);
    this.#records.length -= lost;
    return lost;
  }
}

/** One thread's end of both directions. */
export class SimLink {
  readonly #out: SimPipe;
  readonly #in: SimPipe;
  readonly #self: ShardId;
  readonly #clock: Clock;
  readonly #effects: Effects;
  readonly #onShed: (kind: RecordKind, outcome: Sent) => void;

  constructor(
    { outbound, inbound }: { outbound: SimPipe; inbound: SimPipe },
    { self, clock, effects, onShed }: SimLinkContext,
  ) {
    this.#out = outbound;
    this.#in = inbound;
    this.#self = self;
    this.#clock = clock;
    this.#effects = effects;
    this.#onShed = onShed;
  }

  send(kind: RecordKind, correlation: number, body: Uint8Array): Sent {
    if (this.#out.isFull && whenFull[kind] !== 'taken') {
      this.#onShed(kind, whenFull[kind]);
      return whenFull[kind];
    }
    if (!this.#effects.take()) return 'taken';
    const writtenAtMs = this.#clock.monotonicMs();
    this.#out.push({ header: { kind, flags: 0, fromShard: this.#self, correlation, writtenAtMs }, body });
    return 'taken';
  }

  read(handler: RecordHandler, recordsMax: number): number {
    let count = 0;
    for (; count < recordsMax; count++) {
      const record = this.#in.shift();
      if (record === undefined) break;
      handler(record.header, record.body);
    }
    return count;
  }

  get unreadCount(): number {
    return this.#in.size;
  }
}

export interface SimLinkContext {
  self: ShardId;
  clock: Clock;
  effects: Effects;
  onShed: (kind: RecordKind, outcome: Sent) => void;
}

/** All links of a simulated shard. */
export class SimLinks extends ThreadLinks {
  readonly #byPeer = new Map<ShardId, SimLink>();

  constructor(ctx: LinkContext) {
    super(ctx, () => {});
  }

  override to(peer: ShardId): ThreadLink | undefined {
    return this.#byPeer.get(peer) as ThreadLink | undefined;
  }

  attach(peer: ShardId, link: SimLink): void {
    this.#byPeer.set(peer, link);
  }

  override readToEnd(peer: ShardId, handler: RecordHandler): void {
    this.#byPeer.get(peer)?.read(handler, Number.POSITIVE_INFINITY);
  }

  override disconnect(peer: ShardId): void {
    this.#byPeer.delete(peer);
  }

  override send<Kind extends RecordKind>(
    peer: ShardId,
    kind: Kind,
    correlation: number,
    body: RecordBodies[Kind],
  ): Sent | 'down' {
    const link = this.#byPeer.get(peer);
    return link === undefined ? 'down' : link.send(kind, correlation, packMsgpack(body));
  }

  /** Of each link as many as the dice say: what is behind came a moment later. */
  readSome(handler: RecordHandler, dice: Dice): void {
    for (const link of this.#byPeer.values()) {
      if (link.unreadCount > 0)
        link.read(handler, dice.chance(0.7) ? 1024 : dice.between(0, link.unreadCount));
    }
  }
}

/** What a link does with each kind when its ring and backlog are full; `taken`: it waits all the same. */
const whenFull: Record<RecordKind, Sent> = askRealLink();

function askRealLink(): Record<RecordKind, Sent> {
  const doorbell = { on() {}, postMessage() {}, close() {} } as unknown as LinkMemory['doorbell'];
  const memory = {
    outbound: allocateRing(ringBytesMin, 1),
    inbound: allocateRing(ringBytesMin, 1),
    doorbell,
  };
  const clock = { wallMs: () => 0, monotonicMs: () => 0 };
  const ctx = { self: 0 as ShardId, clock, metrics: new MetricsRow(allocateMetrics(1), 0) };
  const link = new ThreadLink(memory, ctx, () => {});
  while (link.send('topicDeliver', 0, Buffer.alloc(400)) === 'taken');
  const kinds = Object.keys(recordKinds) as RecordKind[];
  return Object.fromEntries(
    kinds.map((kind) => [kind, link.send(kind, 1, Buffer.alloc(0))] as const),
  ) as Record<RecordKind, Sent>;
}
