/**
 * A session that goes on where another one ended: its subscriptions, its inbox, the users it follows.
 * Thread: shard. Made by handlers/resume.ts; over when everything is asked for.
 * One command at a time, as its client would have sent it. What they bring is held back until the reply, which says what
 * is back, has gone before it; of more than the outbox holds back the first go before the reply. Until then the session is
 * told to be what it took over: it may be lost again in the midst. [RES2]
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import { errorCodes, type Refusal } from '#proto/error-codes.ts';
import { presenceUsersPerCommandMax } from '#proto/limits.ts';
import type { TopicName, UserId } from '#proto/names.ts';
import type { SessionTold, ToldSubscription } from '../presence/session-told.ts';
import type { Position } from '../wire/message.ts';
import type { LiveSession, Outcome } from './outcome.ts';
import type { SessionContext } from './ports.ts';

/** How soon a client that has not taken what it was sent is looked at again, milliseconds. */
const paceMs = 50;
/** A home that is being restarted is asked again this often and for so long, milliseconds. */
const retryMs = 500;
const patienceMs = 5_000;

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

/** `done` when it was answered in the call, `later` when `#goOn` will be called. */
type StepState = 'done' | 'later';
type Step = () => StepState;

export class Resumption implements TimerEntry {
  readonly #live: LiveSession;
  readonly #envelope: ClientEnvelope;
  readonly #ctx: SessionContext;
  readonly #inbox: TopicName;
  /** With the positions that the client says to have. */
  readonly #taken: Pick<SessionTold, 'subscriptions' | 'watching' | 'inbox'>;
  /** What is still to be asked for, the next first. */
  #inboxLeft: Position | undefined;
  #isInboxAsked = false;
  #subscriptionsLeft: ToldSubscription[];
  #watchingLeft: UserId[];
  readonly #topics: ResumedTopic[] = [];
  /** What is told behind the reply. */
  readonly #ended: { topic: TopicName; reason: string }[] = [];
  readonly #presences: object[] = [];
  /** What may follow those. */
  readonly #behindPresences: (() => void)[] = [];
  readonly #givesUpAtMs: number;

  constructor(live: LiveSession, envelope: ClientEnvelope, resumed: Resumed, ctx: SessionContext) {
    const { told, positions, inbox } = resumed;
    const { identity } = live.phase;
    this.#live = live;
    this.#envelope = envelope;
    this.#ctx = ctx;
    this.#inbox = inbox;
    const inboxPosition = positionIn(positions, inbox) ?? told.inbox;
    const subscriptions = told.subscriptions.map((subscription) => ({
      ...subscription,
      position: positionIn(positions, subscription.topic) ?? subscription.position,
    }));
    const watching = told.watching.filter(
      (user) => user === identity.userId || identity.permissions.allows('presence', user),
    );
    this.#taken = { subscriptions, watching, inbox: inboxPosition };
    this.#inboxLeft = inboxPosition;
    this.#subscriptionsLeft = subscriptions;
    this.#watchingLeft = watching;
    this.#givesUpAtMs = ctx.clock.monotonicMs() + patienceMs;
  }

  begin(): void {
    this.#live.session.holdFrames();
    this.#goOn();
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    this.#live.session.commands.guarded(this.#envelope, () => this.#goOn());
  }

  /**
   * What the session is until the reply has gone: what it took over, as it was then, since nothing of it has surely reached
   * the client; and what this connection has by itself.
   */
  asItWas(told: SessionTold): SessionTold {
    const { subscriptions, watching, inbox } = this.#taken;
    const names = new Set(subscriptions.map(({ topic }) => topic));
    return {
      ...told,
      subscriptions: [...subscriptions, ...told.subscriptions.filter(({ topic }) => !names.has(topic))],
      watching: [...new Set([...watching, ...told.watching])],
      inbox,
    };
  }

  #goOn(): void {
    const { session, phase } = this.#live;
    const { clock, limits, timers } = this.#ctx;
    for (;;) {
      if (!session.isOpen) return;
      if (session.outboxBytes > limits.outboxBytesMax / 4)
        return void timers.schedule(clock.monotonicMs() + paceMs, this);
      const step = this.#nextStep();
      if (step === undefined) break;
      if (step() === 'later') return;
    }
    phase.resumption = undefined;
    this.#finish();
  }

  #nextStep(): Step | undefined {
    if (!this.#isInboxAsked) return () => this.#recoverInbox();
    const [subscription] = this.#subscriptionsLeft;
    if (subscription !== undefined) return () => this.#subscribe(subscription);
    const users = this.#watchingLeft.slice(0, presenceUsersPerCommandMax);
    return users.length === 0 ? undefined : () => this.#watch(users);
  }

  #recoverInbox(): StepState {
    const inbox = this.#inbox;
    const since = this.#inboxLeft;
    const isStored = this.#ctx.classOf(inbox) !== 'volatile';
    this.#isInboxAsked = !isStored || since === undefined;
    if (!isStored) return 'done';
    if (since === undefined) {
      this.#topics.push({ topic: inbox, recovered: false });
      return 'done';
    }
    return this.#run({ type: 'Subscribe', data: { topic: inbox, since } }, (outcome) => {
      this.#isInboxAsked = true;
      this.#inboxLeft = undefined;
      this.#onTopic(inbox, outcome);
    });
  }

  #subscribe({ topic, filter, isMember, position }: ToldSubscription): StepState {
    const done = () => {
      this.#subscriptionsLeft = this.#subscriptionsLeft.filter((left) => left.topic !== topic);
    };
    if (this.#live.phase.subscriptions.has(topic)) {
      done(); // by this connection itself, before
      return 'done';
    }
    const data = {
      topic,
      ...(position === undefined ? {} : { since: position }),
      ...(filter === '' ? {} : { filter: JSON.parse(filter) as object }),
      ...(isMember ? { presence: true } : {}),
    };
    return this.#run({ type: 'Subscribe', data }, (outcome) => {
      done();
      this.#onTopic(topic, outcome);
    });
  }

  #watch(users: UserId[]): StepState {
    return this.#run({ type: 'PresenceSubscribe', data: { users } }, (outcome) => {
      this.#watchingLeft = this.#watchingLeft.slice(users.length);
      if (outcome.do === 'reply') {
        this.#presences.push(...(outcome.data as { users: object[] }).users);
        if (outcome.after !== undefined) this.#behindPresences.push(outcome.after);
      }
      if (outcome.do === 'refuse')
        this.#live.session.replies.error({ op: 'PresenceSubscribe' }, outcome.refusal);
    });
  }

  /** A refusal that may pass is not told: the same is asked again, for as long as a restart may take. */
  #run(command: ClientEnvelope, onOutcome: (outcome: Outcome) => void): StepState {
    let isInCall = true;
    let state: StepState = 'later';
    this.#live.session.commands.run(command, (outcome) => {
      const { clock, timers } = this.#ctx;
      if (outcome.do === 'refuse' && this.#mayPass(outcome.refusal)) {
        timers.schedule(clock.monotonicMs() + (outcome.refusal.retryAfterMs ?? retryMs), this);
        return;
      }
      onOutcome(outcome);
      if (isInCall) state = 'done';
      else this.#goOn();
    });
    isInCall = false;
    return state;
  }

  #mayPass({ code }: Refusal): boolean {
    return errorCodes[code].retryable && this.#ctx.clock.monotonicMs() < this.#givesUpAtMs;
  }

  #onTopic(topic: TopicName, outcome: Outcome): void {
    if (outcome.do === 'refuse') this.#ended.push({ topic, reason: outcome.refusal.message });
    if (outcome.do !== 'reply') return;
    const { offset, epoch, recovered, members, memberCount } = outcome.data as Record<string, unknown>;
    const entry = { topic, offset, epoch, members, memberCount, recovered: recovered === true };
    this.#topics.push(Object.fromEntries(Object.entries(entry).filter(isPresent)) as unknown as ResumedTopic);
    outcome.after?.();
  }

  #finish(): void {
    const { session } = this.#live;
    session.releaseFrames(this.#envelope, { resumed: true, sessionId: session.id, topics: this.#topics });
    for (const { topic, reason } of this.#ended) session.replies.subscriptionEnded(topic, reason);
    for (const presence of this.#presences) session.replies.presence(presence);
    for (const follow of this.#behindPresences) follow();
    session.tellSoon();
  }
}

/** Whatever a topic is called: not what every object has. */
function positionIn(positions: Record<string, Position>, topic: TopicName): Position | undefined {
  return Object.hasOwn(positions, topic) ? positions[topic] : undefined;
}

function isPresent([, value]: [string, unknown]): boolean {
  return value !== undefined;
}
