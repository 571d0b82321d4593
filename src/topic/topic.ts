/**
 * The actor of one topic: takes publications in order, gives ids, and fans them out in batches.
 * Thread: its home shard, and only there. Called by shard/topic-table.ts (commands) and the flush schedule (flush).
 * Synchronous, no I/O: the world arrives as ports. Its mailbox is the batch waiting for a flush, which is bounded: past
 * the bound it is flushed at once, so it refuses nobody and never grows.
 */
import type { Priority } from '#proto/data.ts';
import { refusal } from '#proto/error-codes.ts';
import {
  everyoneTopic,
  type MessageId,
  membersOfTopic,
  type ShardId,
  type TopicKey,
  type TopicName,
  topicOfKey,
  type UserId,
} from '#proto/names.ts';
import type { LaneSpec, ReceiptKind } from '#proto/record.ts';
import { FlushBatch, type Notice } from '../fanout/flush-batch.ts';
import { type Lane, Lanes } from '../fanout/lanes.ts';
import type { FlushTarget, FlushWait } from '../fanout/ports.ts';
import { DurableLog } from '../log/durable-log.ts';
import { HotLog, type LogPublication } from '../log/hot-log.ts';
import { presenceOf } from '../presence/device-presence.ts';
import { PresenceBoard } from '../presence/presence-board.ts';
import { Typists } from '../presence/typists.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { Publication } from '../wire/encode-frame.ts';
import { type Amendment, type Answer, type Message, refused, type Since } from '../wire/message.ts';
import type { TopicContext } from './ports.ts';
import { Receipts } from './receipts.ts';

/** Publications of one flush. */
const batchMessagesMax = 1024;
/** Payload bytes of one flush: a quarter of the smallest outbox worth having, so that one batch never evicts a reader. */
const batchBytesMax = 128 * 1024;

/** A cached topic that nobody listens to any more keeps its epoch for so long, as it would a message. Milliseconds. */
const lingerMs = 4 * 60_000;
/** News of who is writing, in one flush. */
const typingMax = 128;

interface Waiting {
  publication: Publication;
  /** Monotonic; Infinity when it never gets stale. */
  staleAtMs: number;
}

/** A subscription that waits for the end of the log to be known. */
interface Join {
  shard: ShardId;
  lane: Lane;
  isOver: boolean;
}

export class Topic implements FlushTarget {
  readonly key: TopicKey;
  readonly #ctx: TopicContext;
  /** Name on the wire; absent on the topic of broadcasts to everyone. */
  readonly #name: TopicName | undefined;
  readonly #class: TopicClass;
  readonly #lanes = new Lanes();
  readonly #joins = new Set<Join>();
  /** Of a durable topic. */
  readonly #durable: DurableLog | undefined;
  /** Of a cached topic: all that there is of it, in memory. */
  readonly #cached: HotLog | undefined;
  readonly #receipts = new Receipts();
  /** Made with the first one who is to be seen, or wants to see. */
  #board: PresenceBoard | undefined;
  #typists: Typists | undefined;
  /** Typing to be told with the next flush. */
  #typing: Notice[] = [];
  readonly #onIdle: () => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Monotonic, milliseconds. */
  #lingersUntilMs = 0;

  /** `onIdle` is called when time made it so; after a command its caller looks by itself. */
  constructor(key: TopicKey, ctx: TopicContext, onIdle: () => void) {
    this.key = key;
    this.#ctx = ctx;
    const name = topicOfKey(key);
    this.#name = name === everyoneTopic ? undefined : name;
    this.#class = ctx.classOf(name);
    this.#onIdle = () => {
      if (this.isIdle) onIdle();
    };
    const onCold = this.#onIdle;
    if (this.#class === 'durable') {
      const emit = (publication: LogPublication) => this.#deliver(publication, undefined);
      this.#durable = new DurableLog(key, ctx, { emit, onCold });
    } else if (this.#class === 'cached') {
      const epoch = ctx.messageIds.next().slice(-12);
      const log = { epoch, firstOffset: 1, lastOffset: 0, isStored: false };
      this.#cached = new HotLog(log, ctx.windows, onCold);
    }
  }

  /** Nobody listens, nothing waits, nothing is at hand, the store owes no answer: the actor may be dropped. */
  get isIdle(): boolean {
    return (
      this.#lanes.size === 0 &&
      this.#waiting.length === 0 &&
      this.#joins.size === 0 &&
      (this.#board?.isIdle ?? true) &&
      (this.#typists?.isEmpty ?? true) &&
      (this.#durable?.isIdle ?? true) &&
      (this.#cached?.isCold ?? true) &&
      this.#lingersUntilMs <= this.#ctx.clock.monotonicMs()
    );
  }

  /** From the answer on `shard` gets this lane, unless it says that the subscriber is not live yet. Idempotent. */
  subscribe(
    shard: ShardId,
    spec: LaneSpec,
    since: Since | undefined,
    onAnswer: (answer: Answer) => void,
  ): void {
    const lane = this.#lanes.open(spec);
    if ('code' in lane) return onAnswer(refused(lane));
    const join: Join = { shard, lane, isOver: false };
    this.#joins.add(join); // keeps the actor, whatever a flush does to it
    if (this.#durable === undefined) return this.#join(join, this.#cached, since, onAnswer);
    this.#durable.whenKnown(since, (log, down) => {
      if (log !== undefined) return this.#join(join, log, since, onAnswer);
      this.#joins.delete(join);
      onAnswer(down);
    });
  }

  /** `shard` has no subscriber left on this lane, and none that waits for it. */
  unsubscribe(shard: ShardId, spec: LaneSpec): void {
    for (const join of this.#joins) {
      if (join.shard === shard && sameLane(join.lane.spec, spec)) join.isOver = true;
    }
    this.#lanes.leave(spec, shard);
    if (this.#lanes.size > 0) return;
    this.#forgetWaiting(); // nobody is left to get it
    if (this.#cached !== undefined) this.#linger();
  }

  /** The thread of `shard` died, and its subscribers with it. */
  dropShard(shard: ShardId): void {
    for (const join of this.#joins) if (join.shard === shard) join.isOver = true;
    for (const spec of this.#lanes.specs()) this.unsubscribe(shard, spec);
    this.#board?.dropShard(shard);
  }

  /** Who is there, for members to be entered and for those who watch. */
  get board(): PresenceBoard {
    const key = membersOfTopic(this.key);
    const about = { topic: topicOfKey(this.key) };
    this.#board ??= new PresenceBoard({ key, about, describe: presenceOf }, this.#ctx, this.#onIdle);
    return this.#board;
  }

  /** Somebody writes, or does not any more. Told while somebody listens, and not when too many do it at once. */
  typing(user: UserId, isActive: boolean): void {
    if (this.#lanes.size === 0) return;
    this.#typists ??= new Typists(this.#ctx, (ended) => {
      this.#tellTyping(ended, false);
      this.#onIdle();
    });
    const verdict = this.#typists.take(user, isActive);
    if (verdict === 'tell') this.#tellTyping(user, isActive);
    if (verdict === 'too_many') this.#ctx.counters.dropped('typing', 1);
  }

  /**
   * Accepts in the order of the calls; answers and deliveries follow in that order: at once, or after the commit when the
   * topic is durable. `onAnswer` is called once.
   */
  publish(message: Message, onAnswer: (answer: Answer) => void): void {
    if (this.#durable !== undefined) this.#durable.publish(message, onAnswer);
    else onAnswer(this.#accept(message));
  }

  /** Edits or deletes a message of a durable topic; `onAnswer` is called once, after the commit. */
  amend(amendment: Amendment, onAnswer: (answer: Answer) => void): void {
    if (this.#durable !== undefined) this.#durable.amend(amendment, onAnswer);
    else onAnswer(refused(refusal('not_found', `there is no message ${amendment.target}`)));
  }

  /** The entry at `offset` is there, whether its own word came here or not. */
  onHeard(offset: number): void {
    this.#durable?.onHeard(offset);
  }

  /** Whoever listens has waited for words that the store's thread took along. */
  onStoreRestarted(): void {
    if (this.#lanes.size > 0) this.#durable?.onStoreRestarted();
  }

  /** How far a user is; told to the subscribers while only a few say so. */
  mark(
    user: UserId,
    { kind, offset }: { kind: ReceiptKind; offset: number },
    onAnswer: (answer: Answer) => void,
  ): void {
    if (this.#durable === undefined)
      return onAnswer(refused(refusal('bad_request', 'the topic is not stored')));
    this.#durable.mark({ user, kind, offset }, (answer) => {
      if (answer.ok && this.#receipts.add(user, kind, offset)) this.#ctx.flushes.requestFlush(this, 'lazy');
      onAnswer(answer);
    });
  }

  /** Sends what waits. Called by the flush schedule, and by itself where the order demands it. */
  flush(): void {
    if (this.#waiting.length === 0 && this.#receipts.isEmpty && this.#typing.length === 0) return;
    const publications = this.#withoutStale(this.#forgetWaiting());
    const notices = [...this.#receipts.take(this.#name, this.#ctx.clock.wallMs()), ...this.#typing.splice(0)];
    if (publications.length + notices.length === 0) return;
    const batch = new FlushBatch(publications, notices);
    const isLogged = this.#class !== 'volatile' && publications.length > 0;
    for (const lane of [...this.#lanes]) {
      for (const part of batch.forLane(lane)) {
        for (const shard of lane.shards) {
          const sent = this.#ctx.subscribers.deliver(shard, this.key, lane.spec, part);
          if (sent === 'lost' && isLogged && part.delivery !== 'typing') this.#tellLost(shard, lane);
        }
      }
    }
  }

  /** Joins and answers in one call, behind what waits: whoever is live from here gets all that comes, and only that. */
  #join(
    join: Join,
    log: HotLog | undefined,
    since: Since | undefined,
    onAnswer: (answer: Answer) => void,
  ): void {
    const { shard, lane } = join;
    this.flush();
    this.#joins.delete(join);
    if (join.isOver)
      return onAnswer(refused(refusal('not_subscribed', 'the subscription was ended meanwhile')));
    const joined = log?.join(since, lane.spec[0], lane.filter);
    if (joined?.isLive ?? true) this.#lanes.join(lane, shard);
    onAnswer(joined === undefined ? { ok: true } : { ok: true, joined });
  }

  /** An empty log has nothing to keep it: whoever was lost comes back to the same epoch all the same. */
  #linger(): void {
    this.#lingersUntilMs = this.#ctx.clock.monotonicMs() + lingerMs;
    this.#ctx.timers.schedule(this.#lingersUntilMs, { onDeadline: this.#onIdle });
  }

  /** Before a message that comes behind it, as a rule. */
  #tellTyping(user: UserId, active: boolean): void {
    if (this.#typing.length >= typingMax) return this.#ctx.counters.dropped('typing', 1);
    const data = { topic: this.#name, user, active };
    const envelope = { type: 'Typing' as const, data, timestamp: this.#ctx.clock.wallMs() };
    this.#typing.push({ envelope, delivery: 'typing' });
    this.#ctx.flushes.requestFlush(this, 'window');
  }

  /** A hole must be told: [DUR5] */
  #tellLost(shard: ShardId, { spec }: Lane): void {
    this.#lanes.leave(spec, shard);
    this.#ctx.subscribers.tellLost(shard, this.key, spec);
  }

  #accept(message: Message): Answer {
    const { isNew, answer } = this.#ctx.recentKeys.accept('topic', this.key, message.from, message);
    if (!isNew) return answer;
    const { clock } = this.#ctx;
    const log = this.#cached;
    const offset = log === undefined ? undefined : log.position + 1;
    const publication = this.#publicationOf(message, answer.messageId, offset);
    if (log === undefined || offset === undefined) {
      this.#deliver(publication, message.ttlMs);
      return answer;
    }
    log.push({ ...publication, offset }, clock.monotonicMs());
    this.#deliver(publication, undefined);
    return { ...answer, position: { offset, epoch: log.epoch } };
  }

  #publicationOf({ from, payload, event, priority }: Message, id: MessageId, offset?: number): Publication {
    const timestamp = this.#ctx.clock.wallMs();
    return {
      type: 'Broadcast',
      id,
      topic: this.#name,
      offset,
      from,
      to: undefined,
      target: undefined,
      event,
      priority,
      payload,
      timestamp,
    };
  }

  /** What has an offset is never too old: without it there would be a hole. */
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

function sameLane(one: LaneSpec, other: LaneSpec): boolean {
  return one[0] === other[0] && one[1] === other[1];
}

/** A whole topic is flushed at once, so an urgent message takes the lazy ones before it along, in order. */
function waitOf(priority: Priority | undefined): FlushWait {
  if (priority === 'critical' || priority === 'high') return 'now';
  return priority === 'low' ? 'lazy' : 'window';
}
