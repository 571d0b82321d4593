/**
 * Both directions between this shard and one other: a ring out with its backlog, a ring in, a doorbell.
 * Thread: shard. Owned by thread-links.ts; a restart of the peer gets a new link with new rings, never the old ones.
 * When the ring is full records wait in the backlog, in order. When that is full too, the kind decides: requests are
 * refused, deliveries are dropped and counted; answers, goodbyes and news of lanes always wait, since there are never more
 * of them than accepted requests, sessions and lanes.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '#kit/clock.ts';
import type { ShardId } from '#proto/names.ts';
import {
  flagContinues,
  type RecordHeader,
  type RecordKind,
  recordHeader,
  recordKinds,
} from '#proto/record.ts';
import type { MetricsRow } from '../observe/metrics-table.ts';
import { openRing } from '../ring/ring-layout.ts';
import { RingReader } from '../ring/ring-reader.ts';
import { RingWriter } from '../ring/ring-writer.ts';

/** Backlog in rings: long enough for a pause of the peer's garbage collector, short enough to notice trouble. */
const backlogRings = 8;

type Fullness = 'refused' | 'dropped' | 'waits';
const whenFull: Record<RecordKind, Fullness> = {
  answer: 'waits',
  topicSubscribe: 'refused',
  topicUnsubscribe: 'waits',
  topicResubscribe: 'waits',
  topicPublish: 'refused',
  topicDeliver: 'dropped',
  userAttach: 'refused',
  userDetach: 'waits',
  userDirect: 'refused',
  userCopy: 'dropped',
  storeHello: 'waits',
  storeAppend: 'refused',
  storeReappend: 'waits',
  storeAppended: 'waits',
  storeQuery: 'refused',
  storeResult: 'waits',
  storeCopied: 'waits',
  storeHealth: 'waits',
  storeHeard: 'waits',
  logsForget: 'waits',
  topicLost: 'waits',
  topicAmend: 'refused',
  userAmend: 'refused',
  topicMark: 'refused',
  userMark: 'refused',
  userReceipt: 'dropped',
  sessionDeliver: 'dropped',
  sessionLost: 'waits',
  userResume: 'refused',
  userPark: 'waits',
  userTell: 'waits',
  sessionReplace: 'waits',
  topicEnter: 'refused',
  topicLeave: 'waits',
  topicMembers: 'refused',
  userPresences: 'refused',
  topicTyping: 'dropped',
  userTyping: 'dropped',
  shardQuery: 'refused',
  topicMember: 'waits',
  sessionHide: 'waits',
  userForget: 'waits',
};

export interface LinkMemory {
  inbound: SharedArrayBuffer;
  outbound: SharedArrayBuffer;
  doorbell: MessagePort;
}

export interface LinkContext {
  self: ShardId;
  clock: Clock;
  metrics: MetricsRow;
}

interface Waiting {
  head: Uint8Array;
  body: Uint8Array;
}

const kindNames = Object.fromEntries(
  Object.entries(recordKinds).map(([name, number]) => [number, name]),
) as Record<number, RecordKind>;

export class ThreadLink {
  readonly #ctx: LinkContext;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #doorbell: MessagePort;
  readonly #backlogBytesMax: number;
  #backlog: Waiting[] = [];
  #backlogBytes = 0;
  /** Something was written since the last doorbell. */
  #hasNews = false;
  /** Parts of a record that came in pieces. */
  #parts: Uint8Array[] = [];
  #isClosed = false;

  /** `onDoorbell` is called when the peer wrote while this shard slept. */
  constructor({ inbound, outbound, doorbell }: LinkMemory, ctx: LinkContext, onDoorbell: () => void) {
    this.#ctx = ctx;
    this.#writer = new RingWriter(openRing(outbound));
    this.#reader = new RingReader(openRing(inbound));
    this.#backlogBytesMax = backlogRings * outbound.byteLength;
    this.#doorbell = doorbell;
    doorbell.on('message', onDoorbell);
  }

  /** 'refused' and 'dropped' say that the record was not taken. */
  send(kind: RecordKind, correlation: number, body: Uint8Array): 'taken' | 'refused' | 'dropped' {
    const fullness = whenFull[kind];
    if (this.#isClosed) return fullness === 'refused' ? 'refused' : 'dropped'; // nobody reads it any more
    if (fullness !== 'waits' && this.#backlogBytes >= this.#backlogBytesMax) {
      this.#ctx.metrics.addTo('ringShed', fullness);
      return fullness;
    }
    const partBytesMax = this.#writer.contentBytesMax - recordHeader.bytes;
    for (let start = 0; start < body.length || start === 0; start += partBytesMax) {
      const part = body.subarray(start, start + partBytesMax);
      const flags = start + part.length < body.length ? flagContinues : 0;
      this.#write({ head: this.#encodeHeader(kind, flags, correlation), body: part });
    }
    this.#hasNews = true;
    return 'taken';
  }

  /** Hands over up to `recordsMax` records; the handler may keep the body. */
  read(handler: (header: RecordHeader, ownedBody: Uint8Array) => void, recordsMax: number): number {
    return this.#reader.read((content) => this.#onContent(content, handler), recordsMax);
  }

  /** The end of a turn: what waited for room goes out, and the peer is woken when it sleeps. */
  flush(): void {
    this.#drainBacklog();
    if (!this.#hasNews) return;
    this.#hasNews = this.#backlog.length > 0;
    if (!this.#writer.takeDoorbell()) return;
    this.#ctx.metrics.add('ringDoorbells');
    this.#doorbell.postMessage(0);
  }

  get hasBacklog(): boolean {
    return this.#backlog.length > 0;
  }

  /** Before this shard sleeps; false: there is something to read. */
  tryArm(): boolean {
    return this.#reader.tryArm();
  }

  close(): void {
    this.#isClosed = true;
    this.#ctx.metrics.add('ringBacklogBytes', -this.#backlogBytes);
    this.#doorbell.close();
  }

  #write(record: Waiting): void {
    const bytes = record.head.length + record.body.length;
    this.#ctx.metrics.add('ringRecords');
    this.#ctx.metrics.add('ringBytes', bytes);
    if (this.#backlog.length === 0 && this.#writer.tryWrite(record.head, record.body) === 'written') return;
    this.#backlog.push(record);
    this.#backlogBytes += bytes;
    this.#ctx.metrics.add('ringBacklogBytes', bytes);
  }

  #drainBacklog(): void {
    let drained = 0;
    for (const { head, body } of this.#backlog) {
      if (this.#writer.tryWrite(head, body) === 'full') break;
      drained++;
      this.#backlogBytes -= head.length + body.length;
      this.#ctx.metrics.add('ringBacklogBytes', -(head.length + body.length));
      this.#hasNews = true;
    }
    if (drained > 0) this.#backlog = this.#backlog.slice(drained);
  }

  #onContent(
    borrowedContent: Uint8Array,
    handler: (header: RecordHeader, ownedBody: Uint8Array) => void,
  ): void {
    const header = decodeHeader(borrowedContent);
    // Copied out of shared memory: the writer may overwrite it as soon as this returns.
    const part = Buffer.from(borrowedContent.subarray(recordHeader.bytes));
    if (header.flags & flagContinues) {
      this.#parts.push(part);
      return;
    }
    const body = this.#parts.length === 0 ? part : Buffer.concat([...this.#parts, part]);
    this.#parts = [];
    this.#ctx.metrics.observe(
      'ringDelay',
      Math.max(0, sharedNowMs(this.#ctx.clock) - header.writtenAtMs) / 1000,
    );
    handler(header, body);
  }

  #encodeHeader(kind: RecordKind, flags: number, correlation: number): Uint8Array {
    const head = Buffer.allocUnsafe(recordHeader.bytes);
    head[recordHeader.kindOffset] = recordKinds[kind];
    head[recordHeader.flagsOffset] = flags;
    head.writeUInt16LE(this.#ctx.self, recordHeader.fromShardOffset);
    head.writeUInt32LE(correlation, recordHeader.correlationOffset);
    head.writeDoubleLE(sharedNowMs(this.#ctx.clock), recordHeader.writtenAtMsOffset);
    return head;
  }
}

function decodeHeader(content: Uint8Array): RecordHeader {
  const view = new DataView(content.buffer, content.byteOffset, recordHeader.bytes);
  return {
    kind: kindNames[view.getUint8(recordHeader.kindOffset)] as RecordKind,
    flags: view.getUint8(recordHeader.flagsOffset),
    fromShard: view.getUint16(recordHeader.fromShardOffset, true) as ShardId,
    correlation: view.getUint32(recordHeader.correlationOffset, true),
    writtenAtMs: view.getFloat64(recordHeader.writtenAtMsOffset, true),
  };
}

/** Monotonic within the process: each thread's clock starts at its own origin, so the origin is added. */
function sharedNowMs(clock: Clock): number {
  return performance.timeOrigin + clock.monotonicMs();
}
