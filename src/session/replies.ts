/**
 * What a session itself says to its client: statuses, errors, notices. Encoded for this one connection.
 * Thread: shard. Owned by session.ts.
 */
import type { ClientEnvelope } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import { errorCodes, type Refusal } from '#proto/error-codes.ts';
import type { SessionId, TopicName } from '#proto/names.ts';
import type { ServerType } from '#proto/server-data.ts';
import type { Identity } from '../auth/token-claims.ts';
import { encodeEnvelope } from '../wire/encode-frame.ts';
import type { Position } from '../wire/message.ts';
import type { SessionContext, Subscriber } from './ports.ts';

/** What an error is about: an envelope, or what is left of one that could not be taken. */
export interface Subject {
  id?: string;
  type?: string;
  op?: string;
}

/** Clients try again after about this long while the store is away, milliseconds. */
const storeRetryMs = 2000;

type ReplyContext = Pick<SessionContext, 'clock' | 'counters' | 'limits' | 'node'>;

export class Replies {
  readonly #session: Subscriber & { encoding: Encoding };
  readonly #ctx: ReplyContext;

  constructor(session: Subscriber & { encoding: Encoding }, ctx: ReplyContext) {
    this.#session = session;
    this.#ctx = ctx;
  }

  /** It worked. Silent for a command without an id. */
  status({ type, id }: ClientEnvelope, data: object): void {
    if (id !== undefined) this.send('Status', id, { op: type, ...data });
  }

  /** The same, for whoever puts it before something else; undefined for a command without an id. */
  statusFrame({ type, id }: ClientEnvelope, data: object): Uint8Array | undefined {
    if (id === undefined) return undefined;
    const envelope = {
      type: 'Status' as const,
      id,
      data: { op: type, ...data },
      timestamp: this.#ctx.clock.wallMs(),
    };
    return encodeEnvelope(envelope, this.#session.encoding);
  }

  /** How a user is now, who may have changed while nobody told this client. */
  presence(presence: object): void {
    this.send('Presence', undefined, { ...presence, event: 'change' });
  }

  error(subject: Subject, { code, message, retryAfterMs }: Refusal): void {
    const op = subject.op ?? subject.type;
    this.#ctx.counters.errored(code);
    this.send('Error', subject.id, {
      code,
      message,
      retryable: errorCodes[code].retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(op === undefined ? {} : { op }),
    });
  }

  /** The first frame of a connection. */
  connected(
    session: { id: SessionId; resumeToken: string },
    { userId, tenant }: Identity,
    inbox: Position | undefined,
  ): void {
    const { limits, node } = this.#ctx;
    this.send('Status', undefined, {
      op: 'Connect',
      sessionId: session.id,
      resumeToken: session.resumeToken,
      resumeMs: limits.sessionTtlMs,
      userId,
      tenant,
      node: node.nodeId,
      shard: node.shard,
      heartbeatMs: limits.heartbeatIntervalMs,
      maxMessageBytes: limits.messageBytesMax,
      serverVersion: node.version,
      ...(inbox === undefined ? {} : { inbox }),
    });
  }

  subscriptionEnded(topic: TopicName, reason: string): void {
    this.send('Status', undefined, { op: 'Subscription', topic, active: false, reason });
  }

  /** What is durable is refused from now on, or taken again. */
  store(isUp: boolean): void {
    if (isUp) this.system('restored', { dependency: 'store' });
    else this.system('degraded', { dependency: 'store', retryAfterMs: storeRetryMs });
  }

  system(event: string, fields: object): void {
    this.send('System', undefined, { event, ...fields });
  }

  send(type: ServerType, id: string | undefined, data: object): void {
    const timestamp = this.#ctx.clock.wallMs();
    const envelope = id === undefined ? { type, data, timestamp } : { type, id, data, timestamp };
    this.#session.deliver(encodeEnvelope(envelope, this.#session.encoding), 1, 'urgent');
  }
}
