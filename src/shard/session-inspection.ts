/**
 * The sessions of this process, for administrators: which there are, how one is, and their end.
 * Thread: shard. Every shard answers for its own sessions, and asks the others. Called by the HTTP routes and ring-intake.ts.
 */
import type { Clock } from '#kit/clock.ts';
import type { SessionId, ShardId, Tenant, UserId } from '#proto/names.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { AnswerReceiver, Requested } from '../session/ports.ts';
import type { Session } from '../session/session.ts';
import { packObject } from '../wire/codec.ts';
import type { Answer } from '../wire/message.ts';
import type { PendingRequests } from './pending-requests.ts';
import type { SessionTable } from './session-table.ts';
import type { UserTable } from './user-table.ts';

/** What may be asked, by name. */
export interface SessionQueries {
  list: { request: SessionFilter; result: SessionLine[] };
  show: { request: SessionFilter; result: SessionDump[] };
  close: { request: SessionFilter; result: SessionId[] };
}
export type SessionQueryName = keyof SessionQueries;

/** Which sessions; all that is given must fit. */
export interface SessionFilter {
  tenant: Tenant;
  session?: SessionId | undefined;
  user?: UserId | undefined;
  /** Behind this one. */
  after?: SessionId | undefined;
  limit: number;
}

/** One session in a list. */
export interface SessionLine {
  sessionId: SessionId;
  userId: UserId;
  shard: ShardId;
  encoding: string;
  subscriptions: number;
  /** Milliseconds since the client last said something. */
  idleMs: number;
  outboxBytes: number;
}

/** One session with all that it has. */
export interface SessionDump extends SessionLine {
  mailbox: number;
  presence: object;
  tokenExpiresAt: number;
  topics: { topic: string; filter?: unknown; presence: boolean; recovering: boolean }[];
  watching: string[];
}

export interface InspectionContext {
  self: ShardId;
  shardCount: number;
  clock: Clock;
  sessions: SessionTable;
  users: UserTable;
  links: ThreadLinks;
  pending: PendingRequests;
}

export class SessionInspection {
  readonly #ctx: InspectionContext;

  constructor(ctx: InspectionContext) {
    this.#ctx = ctx;
  }

  /** Of all shards, by session id; a shard that is away has none. Answered with a `result`. */
  ask<Name extends SessionQueryName>(
    name: Name,
    request: SessionQueries[Name]['request'],
    receiver: AnswerReceiver,
  ): Requested {
    const { self, shardCount, pending } = this.#ctx;
    return pending.answerHere(self, receiver, (onAnswer) => {
      const found: unknown[] = [];
      let missing = shardCount;
      const collect = (answer: Answer) => {
        if (answer.ok) found.push(...(answer.result as unknown[]));
        missing--;
        if (missing === 0) onAnswer({ ok: true, result: found });
      };
      for (let shard = 0; shard < shardCount; shard++)
        this.#askShard(shard as ShardId, name, request, collect);
    });
  }

  /** Of this shard. */
  answer(name: SessionQueryName, request: object, onAnswer: (answer: Answer) => void): void {
    const asked = request as SessionFilter;
    const sessions = this.#found(asked);
    if (name === 'close') return onAnswer({ ok: true, result: this.#close(sessions, asked) });
    const result = sessions.map((session) => (name === 'list' ? this.#line(session) : this.#dump(session)));
    onAnswer({ ok: true, result });
  }

  /** Also one that has lost its connection, where its user lives. */
  #close(sessions: Session[], { tenant, session }: SessionFilter): SessionId[] {
    for (const open of sessions) open.close('disconnected');
    const isLost = session !== undefined && this.#ctx.users.forgetSession(tenant, session);
    return isLost ? [session] : sessions.map(({ id }) => id);
  }

  #askShard(
    shard: ShardId,
    name: SessionQueryName,
    request: object,
    collect: (answer: Answer) => void,
  ): void {
    const { self, links, pending } = this.#ctx;
    if (shard === self) return this.answer(name, request, collect);
    const receiver = { onAnswer: (_correlation: number, answer: Answer) => collect(answer) };
    const correlation = pending.open(receiver, shard);
    const sent = links.send(shard, 'shardQuery', correlation, [name, packObject(request)]);
    if (sent !== 'taken') collect(pending.notSent(correlation, sent));
  }

  #found({ tenant, session, user, after, limit }: SessionFilter): Session[] {
    const candidates = session === undefined ? [...this.#ctx.sessions] : [this.#ctx.sessions.get(session)];
    return candidates
      .filter((candidate): candidate is Session => {
        const identity = candidate?.live?.phase.identity;
        if (candidate === undefined || identity?.tenant !== tenant) return false;
        return (
          (user === undefined || identity.userId === user) && (after === undefined || candidate.id > after)
        );
      })
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
      .slice(0, limit);
  }

  #line(session: Session): SessionLine {
    const { phase } = session.live!;
    return {
      ...{ sessionId: session.id, userId: phase.identity.userId, shard: this.#ctx.self },
      ...{ encoding: session.encoding, subscriptions: phase.subscriptions.size },
      idleMs: Math.round(this.#ctx.clock.monotonicMs() - session.activity.lastMs),
      outboxBytes: session.outboxBytes,
    };
  }

  #dump(session: Session): SessionDump {
    const { phase } = session.live!;
    return {
      ...this.#line(session),
      ...{ mailbox: session.activity.waitingCount, presence: phase.presence },
      tokenExpiresAt: phase.identity.expiresAtMs,
      topics: phase.subscriptions.topics().map((topic) => {
        const { lane, members, recovery } = phase.subscriptions.get(topic)!;
        const filter = lane[1] === '' ? {} : { filter: JSON.parse(lane[1]) as unknown };
        return { topic, ...filter, presence: members !== undefined, recovering: recovery !== undefined };
      }),
      watching: [...(phase.watching ?? [])],
    };
  }
}
