/**
 * One session catching up with one log: pages of the store, then what its home has at hand, then live, without a hole.
 * Thread: shard. Owned by a subscription or by the session's inbox (attachment.ts); a page at a time, and the next one only
 * when the client has taken the last: a long absence costs the server no memory. [REC3]
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { Encoding } from '#proto/envelope.ts';
import { errorCodes } from '#proto/error-codes.ts';
import { historyPageMax } from '#proto/limits.ts';
import { type TopicKey, topicOfKey } from '#proto/names.ts';
import type { DeliveryClass } from '#proto/record.ts';
import { replayOfPage } from '../log/replay.ts';
import type { Filter } from '../routing/filter.ts';
import type { Page } from '../store/history-store.ts';
import type { Answer, Joined, Replay, Since } from '../wire/message.ts';
import type { AnswerReceiver, Correlation, Requested, SessionContext } from './ports.ts';

/** How soon a client that has not taken the last page is looked at again, milliseconds. */
const paceMs = 50;
/** How soon a store or home that could not answer is asked again, when it does not say, milliseconds. */
const retryMs = 500;

export interface RecoveringSession {
  readonly encoding: Encoding;
  readonly isOpen: boolean;
  readonly outboxBytes: number;
  deliver: (frames: Uint8Array, frameCount: number, delivery: DeliveryClass) => void;
}

export type RecoveryContext = Pick<SessionContext, 'clock' | 'timers' | 'history' | 'limits'>;

/** What is caught up with. */
export interface RecoverySource {
  topic: TopicKey;
  filter: Filter | undefined;
  /** Asks to be live, or for what is at hand. */
  join: (since: Since, receiver: AnswerReceiver) => Requested;
  /** The session is live behind `offset`. */
  onLive: (offset: number) => void;
  /** What is missing is not kept any more. */
  onLost: () => void;
}

export class Recovery implements AnswerReceiver, TimerEntry {
  readonly #source: RecoverySource;
  readonly #session: RecoveringSession;
  readonly #ctx: RecoveryContext;
  /** What the client has, or is on its way to it. */
  #since: Since;
  /** What is missing next is in the store only. */
  #isCold = false;
  #isOver = false;

  constructor(since: Since, source: RecoverySource, session: RecoveringSession, ctx: RecoveryContext) {
    this.#since = since;
    this.#source = source;
    this.#session = session;
    this.#ctx = ctx;
  }

  /** Goes on from the first answer of the home, which was not that the session is live. */
  begin(joined: Joined): void {
    this.#onJoined(joined);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Of the last entry that is on its way to the client. */
  get offset(): number {
    return this.#since.offset;
  }

  onAnswer(_correlation: Correlation, answer: Answer): void {
    if (this.#isOver || !this.#session.isOpen) return;
    if (!answer.ok) return this.#onRefused(answer.refusal);
    if (answer.joined !== undefined) return this.#onJoined(answer.joined);
    this.#onPage(answer.result as Page);
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    this.#step();
  }

  #step(): void {
    if (this.#isOver || !this.#session.isOpen) return;
    // With more than this on its way to the client the next page waits.
    if (this.#session.outboxBytes > this.#ctx.limits.outboxBytesMax / 4) return this.#stepAfter(paceMs);
    const requested = this.#isCold ? this.#askStore() : this.#source.join(this.#since, this);
    if (requested.state === 'answered') this.onAnswer(0, requested.answer);
  }

  #askStore(): Requested {
    const { offset, upTo } = this.#since;
    const before = upTo === undefined ? undefined : upTo + 1;
    const request = {
      topic: this.#source.topic,
      view: 'log' as const,
      after: offset,
      before,
      limit: historyPageMax,
    };
    return this.#ctx.history.ask('page', request, this);
  }

  #onJoined({ position, isLive, recovered, replay }: Joined): void {
    if (recovered === false) return this.#lose();
    if (replay !== undefined) this.#deliver(replay);
    this.#isCold = replay === undefined;
    if (isLive) this.#finish(position.offset);
    else this.#step();
  }

  #onPage({ messages, hasMore, firstOffset }: Page): void {
    if (firstOffset > this.#since.offset + 1) return this.#lose();
    if (messages.length === 0) {
      this.#isCold = false;
      return this.#stepAfter(paceMs);
    }
    const { topic, filter } = this.#source;
    this.#deliver(replayOfPage(topicOfKey(topic), messages, this.#session.encoding, filter));
    this.#isCold = hasMore;
    this.#step();
  }

  #onRefused({ code, retryAfterMs }: { code: keyof typeof errorCodes; retryAfterMs?: number }): void {
    if (errorCodes[code].retryable) this.#stepAfter(retryAfterMs ?? retryMs);
    else this.#lose();
  }

  #deliver({ upTo, frameCount, frames }: Replay): void {
    this.#since = { ...this.#since, offset: upTo };
    if (frameCount > 0) this.#session.deliver(frames, frameCount, 'normal');
  }

  #finish(offset: number): void {
    this.#isOver = true;
    this.#source.onLive(offset);
  }

  #lose(): void {
    this.#isOver = true;
    this.#source.onLost();
  }

  #stepAfter(waitMs: number): void {
    this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + waitMs, this);
  }
}
