/**
 * A session that goes on where another one ended: its subscriptions, its inbox, the users it follows.
 * Thread: shard. Made by handlers/resume.ts; over when everything is asked for.
 * One command at a time, as its client would have sent it. What they bring is held back until the reply, which says what
 * is back, has gone before it; of more than half an outbox the first may go before the reply. [RES2]
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import { presenceUsersPerCommandMax } from '#proto/limits.ts';
import type { TopicName } from '#proto/names.ts';
import type { SessionTold, ToldSubscription } from '../presence/session-told.ts';
import type { Position } from '../wire/message.ts';
import type { LiveSession, Outcome } from './outcome.ts';
import type { SessionContext } from './ports.ts';

/** How soon a client that has not taken what it was sent is looked at again, milliseconds. */
const paceMs = 50;

export interface Resumed {
  told: SessionTold;
  /** What the client has, by topic. */
  positions: Record<string, Position>;
  inbox: TopicName;
}

interface ResumedTopic {
  topic: TopicName;
  recovered: boolean;
}

export class Resumption implements TimerEntry {
  readonly #live: LiveSession;
  readonly #envelope: ClientEnvelope;
  readonly #resumed: Resumed;
  readonly #ctx: SessionContext;
  readonly #steps: (() => void)[];
  readonly #topics: ResumedTopic[] = [];
  /** What is told behind the reply. */
  readonly #ended: { topic: TopicName; reason: string }[] = [];
  readonly #presences: object[] = [];

  constructor(live: LiveSession, envelope: ClientEnvelope, resumed: Resumed, ctx: SessionContext) {
    this.#live = live;
    this.#envelope = envelope;
    this.#resumed = resumed;
    this.#ctx = ctx;
    const { told } = resumed;
    this.#steps = [
      () => this.#recoverInbox(),
      ...told.subscriptions.map((subscription) => () => this.#subscribe(subscription)),
      ...chunks(told.watching).map((users) => () => this.#watch(users)),
    ];
  }

  begin(): void {
    this.#live.session.holdFrames();
    this.#step();
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    this.#step();
  }

  #step(): void {
    const { session } = this.#live;
    if (!session.isOpen) return;
    const { clock, limits, timers } = this.#ctx;
    if (session.outboxBytes > limits.outboxBytesMax / 4)
      return void timers.schedule(clock.monotonicMs() + paceMs, this);
    const next = this.#steps.shift();
    if (next === undefined) this.#finish();
    else next();
  }

  #recoverInbox(): void {
    const { positions, inbox, told } = this.#resumed;
    if (this.#ctx.classOf(inbox) === 'volatile') return this.#step();
    const since = positions[inbox] ?? told.inbox;
    if (since === undefined) {
      this.#topics.push({ topic: inbox, recovered: false });
      return this.#step();
    }
    this.#run({ type: 'Subscribe', data: { topic: inbox, since } }, (outcome) =>
      this.#onTopic(inbox, outcome),
    );
  }

  #subscribe({ topic, filter, isMember, position }: ToldSubscription): void {
    if (this.#live.phase.subscriptions.has(topic)) return this.#step(); // by this connection itself, before
    const since = this.#resumed.positions[topic] ?? position;
    const data = {
      topic,
      ...(since === undefined ? {} : { since }),
      ...(filter === '' ? {} : { filter: JSON.parse(filter) as object }),
      ...(isMember ? { presence: true } : {}),
    };
    this.#run({ type: 'Subscribe', data }, (outcome) => this.#onTopic(topic, outcome));
  }

  #watch(users: string[]): void {
    this.#run({ type: 'PresenceSubscribe', data: { users } }, (outcome) => {
      if (outcome.do === 'reply') this.#presences.push(...(outcome.data as { users: object[] }).users);
      this.#step();
    });
  }

  #run(command: ClientEnvelope, onOutcome: (outcome: Outcome) => void): void {
    this.#live.session.run(command, onOutcome);
  }

  #onTopic(topic: TopicName, outcome: Outcome): void {
    if (outcome.do === 'refuse') this.#ended.push({ topic, reason: outcome.refusal.message });
    if (outcome.do === 'reply') {
      const { offset, epoch, recovered, members, memberCount } = outcome.data as Record<string, unknown>;
      const entry = { topic, offset, epoch, members, memberCount, recovered: recovered === true };
      this.#topics.push(
        Object.fromEntries(Object.entries(entry).filter(isPresent)) as unknown as ResumedTopic,
      );
      outcome.after?.();
    }
    this.#step();
  }

  #finish(): void {
    const { session } = this.#live;
    session.releaseFrames(this.#envelope, { resumed: true, sessionId: session.id, topics: this.#topics });
    for (const { topic, reason } of this.#ended) session.replies.subscriptionEnded(topic, reason);
    for (const presence of this.#presences) session.replies.presence(presence);
    session.tellSoon();
  }
}

function isPresent([, value]: [string, unknown]): boolean {
  return value !== undefined;
}

function chunks(users: readonly string[]): string[][] {
  const parts: string[][] = [];
  for (let start = 0; start < users.length; start += presenceUsersPerCommandMax)
    parts.push(users.slice(start, start + presenceUsersPerCommandMax));
  return parts;
}
