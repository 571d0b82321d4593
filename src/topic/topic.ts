/**
 * The actor of one topic: takes publications in order, gives ids, and fans them out in batches.
 * Thread: its home shard, and only there. Called by shard/topic-table.ts (commands) and the flush schedule (flush).
 * Synchronous, no I/O: the world arrives as ports. Its mailbox is the batch waiting for a flush, which is bounded: past
 * the bound it is flushed at once, so it refuses nobody and never grows.
 */

import { assertNever } from '#kit/assert.ts';
import type { Priority } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import {
  everyoneTopic,
  type MessageId,
  type ShardId,
  type TopicKey,
  type TopicName,
  topicOfKey,
} from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import { digestOf, keyConflict } from '../protect/recent-keys.ts';
import { compileFilter } from '../routing/filter.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { AppendEntry } from '../store/history-store.ts';
import type { Publication } from '../wire/encode-frame.ts';
import { type Answer, type Message, refused } from '../wire/message.ts';
import { FlushBatch, type Lane } from './fanout.ts';
import type { AppendSettled, FlushTarget, FlushWait, TopicContext } from './ports.ts';

/** Publications of one flush. */
const batchMessagesMax = 1024;
/** Payload bytes of one flush: a quarter of the smallest outbox worth having, so that one batch never evicts a reader. */
const batchBytesMax = 128 * 1024;
/** Different filters (and encodings of them) of one topic: each is asked about every publication. */
const filteredLanesMax = 256;

interface Waiting {
  publication: Publication;
  /** Monotonic; Infinity when it never gets stale. */
  staleAtMs: number;
}

export class Topic implements FlushTarget {
  readonly key: TopicKey;
  readonly #ctx: TopicContext;
  /** Name on the wire; absent on the topic of broadcasts to everyone. */
  readonly #name: TopicName | undefined;
  readonly #class: TopicClass;
  /** By encoding and filter. */
  readonly #lanes = new Map<string, Lane>();
  #filteredLanes = 0;
  /** Appends that the store has not answered. */
  #unsettledCount = 0;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  constructor(key: TopicKey, ctx: TopicContext) {
    this.key = key;
    this.#ctx = ctx;
    const name = topicOfKey(key);
    this.#name = name === everyoneTopic ? undefined : name;
    this.#class = ctx.classOf(name);
  }

  /** Nobody listens, nothing waits, the store owes no answer: the actor may be dropped. */
  get isIdle(): boolean {
    return this.#lanes.size === 0 && this.#waiting.length === 0 && this.#unsettledCount === 0;
  }

  /** From now on `shard` gets this lane. Idempotent. */
  subscribe(shard: ShardId, spec: LaneSpec): Answer {
    // What waits was published before this subscription: it goes to those who were there, and lanes may go with them.
    this.flush();
    const laneKey = laneKeyOf(spec);
    const lane = this.#lanes.get(laneKey) ?? this.#openLane(laneKey, spec);
    if ('code' in lane) return refused(lane);
    lane.shards.add(shard);
    return { ok: true };
  }

  /** `shard` has no subscriber left on this lane. */
  unsubscribe(shard: ShardId, spec: LaneSpec): void {
    const laneKey = laneKeyOf(spec);
    const lane = this.#lanes.get(laneKey);
    lane?.shards.delete(shard);
    if (lane?.shards.size === 0) this.#closeLane(laneKey, lane);
    if (this.#lanes.size === 0) this.#forgetWaiting(); // nobody is left to get it
  }

  /** The thread of `shard` died, and its subscribers with it. */
  dropShard(shard: ShardId): void {
    for (const { spec } of [...this.#lanes.values()]) this.unsubscribe(shard, spec);
  }

  /**
   * Accepts in the order of the calls; answers and deliveries follow in that order: at once when the topic is volatile,
   * after the commit when it is durable. `onAnswer` is called once.
   */
  publish(message: Message, onAnswer: (answer: Answer) => void): void {
    if (this.#class === 'durable') this.#append(message, onAnswer);
    else onAnswer(this.#accept(message));
  }

  /** Sends what waits. Called by the flush schedule, and by itself where the order demands it. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#forgetWaiting();
    const publications = this.#withoutStale(waiting);
    if (publications.length === 0) return;
    const batch = new FlushBatch(publications);
    for (const lane of this.#lanes.values()) {
      for (const { frameCount, frames } of batch.forLane(lane)) {
        for (const shard of lane.shards) {
          this.#ctx.subscribers.deliver(shard, this.key, lane.spec, frameCount, frames);
        }
      }
    }
  }

  #closeLane(laneKey: string, lane: Lane): void {
    this.#lanes.delete(laneKey);
    if (lane.filter !== undefined) this.#filteredLanes--;
  }

  #accept(message: Message): Answer {
    const { isNew, answer } = this.#ctx.recentKeys.accept(`topic|${this.key}|${message.from}`, message);
    if (isNew)
      this.#deliver(this.#publicationOf(message, answer.messageId, this.#ctx.clock.wallMs()), message.ttlMs);
    return answer;
  }

  #append(message: Message, onAnswer: (answer: Answer) => void): void {
    const { from, key, event, priority, payload } = message;
    const entry: AppendEntry = {
      ...{ topic: this.key, messageId: this.#ctx.messageIds.next() as MessageId, from, key, event, priority },
      ...{ digest: digestOf(message), payload: payload.msgpack, timestampMs: this.#ctx.clock.wallMs() },
    };
    const sent = this.#ctx.store.append(entry, (settled) => {
      this.#unsettledCount--;
      onAnswer(this.#settle(message, entry, settled));
    });
    if (sent === 'sent') this.#unsettledCount++;
    else onAnswer(sent === 'full' ? storeBusy() : storeDown());
  }

  #settle(message: Message, { messageId, timestampMs }: AppendEntry, settled: AppendSettled): Answer {
    switch (settled.state) {
      case 'stored':
        this.#ctx.counters.accepted();
        this.#deliver(
          this.#publicationOf(message, messageId, timestampMs, settled.position.offset),
          message.ttlMs,
        );
        return { ok: true, messageId, isDuplicate: false, position: settled.position };
      case 'duplicate':
        this.#ctx.counters.duplicate();
        return { ok: true, messageId: settled.messageId, isDuplicate: true, position: settled.position };
      case 'conflict':
        return refused(keyConflict(message.key as string));
      case 'full':
        return storeBusy();
      case 'unavailable':
        return storeDown();
      default:
        return assertNever(settled);
    }
  }

  #deliver(publication: Publication, ttlMs: number | undefined): void {
    if (this.#lanes.size > 0) this.#enqueue(publication, ttlMs);
  }

  #forgetWaiting(): Waiting[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#ctx.counters.waiting(-waiting.length);
    return waiting;
  }

  #openLane(laneKey: string, spec: LaneSpec): Lane | Refusal {
    const isFiltered = spec[1] !== '';
    if (isFiltered && this.#filteredLanes >= filteredLanesMax) {
      return refusal('limit_exceeded', `the topic has ${filteredLanesMax} different filters already`);
    }
    const filter = isFiltered ? compileFilter(JSON.parse(spec[1]) as Record<string, unknown>) : undefined;
    if (typeof filter === 'string') return refusal('invalid_filter', filter);
    if (isFiltered) this.#filteredLanes++;
    const lane: Lane = { spec, filter, shards: new Set() };
    this.#lanes.set(laneKey, lane);
    return lane;
  }

  #publicationOf(
    { from, payload, event, priority }: Message,
    id: MessageId,
    timestamp: number,
    offset?: number,
  ): Publication {
    return {
      type: 'Broadcast',
      id,
      topic: this.#name,
      offset,
      from,
      to: undefined,
      event,
      priority,
      payload,
      timestamp,
    };
  }

  #enqueue(publication: Publication, ttlMs: number | undefined): void {
    const staleAtMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.#ctx.clock.monotonicMs() + ttlMs;
    this.#waiting.push({ publication, staleAtMs });
    this.#waitingBytes += publication.payload.msgpack.length;
    this.#ctx.counters.waiting(1);
    if (this.#waiting.length >= batchMessagesMax || this.#waitingBytes >= batchBytesMax) this.flush();
    else this.#ctx.flushes.requestFlush(this, waitOf(publication.priority));
  }

  #withoutStale(waiting: Waiting[]): Publication[] {
    if (waiting.every((entry) => entry.staleAtMs === Number.POSITIVE_INFINITY)) {
      return waiting.map((entry) => entry.publication);
    }
    const nowMs = this.#ctx.clock.monotonicMs();
    const fresh = waiting.filter((entry) => entry.staleAtMs > nowMs);
    this.#ctx.counters.expired(waiting.length - fresh.length);
    return fresh.map((entry) => entry.publication);
  }
}

/** Clients try again after about this long, milliseconds. */
const storeRetryMs = 1000;

function storeBusy(): Answer {
  return refused(refusal('busy', 'the store has too much to do', storeRetryMs));
}

function storeDown(): Answer {
  return refused(refusal('store_unavailable', 'the store is not there; nothing was stored', storeRetryMs));
}

/** A whole topic is flushed at once, so an urgent message takes the lazy ones before it along, in order. */
function waitOf(priority: Priority | undefined): FlushWait {
  if (priority === 'critical' || priority === 'high') return 'now';
  return priority === 'low' ? 'lazy' : 'window';
}

/** Without a filter no string is made: this is asked for every delivery. */
export function laneKeyOf([encoding, filter]: LaneSpec): string {
  return filter === '' ? encoding : encoding + filter;
}
