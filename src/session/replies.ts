/**
 * What a session itself says to its client: statuses, errors, notices. Encoded for this one connection.
 * Thread: shard. Owned by session.ts.
 */
import type { ClientEnvelope, ServerType } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import { errorCodes, type Refusal } from '#proto/error-codes.ts';
import { encodeEnvelope } from '../wire/encode-frame.ts';
import type { SessionContext, Subscriber } from './ports.ts';

/** What an error is about: an envelope, or what is left of one that could not be taken. */
export interface Subject {
  id?: string;
  type?: string;
  op?: string;
}

export class Replies {
  readonly #session: Subscriber & { encoding: Encoding };
  readonly #ctx: Pick<SessionContext, 'clock' | 'counters'>;

  constructor(session: Subscriber & { encoding: Encoding }, ctx: Pick<SessionContext, 'clock' | 'counters'>) {
    this.#session = session;
    this.#ctx = ctx;
  }

  /** It worked. Silent for a command without an id. */
  status({ type, id }: ClientEnvelope, data: object): void {
    if (id !== undefined) this.send('Status', id, { op: type, ...data });
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

  send(type: ServerType, id: string | undefined, data: object): void {
    const timestamp = this.#ctx.clock.wallMs();
    const envelope = id === undefined ? { type, data, timestamp } : { type, id, data, timestamp };
    this.#session.deliver(encodeEnvelope(envelope, this.#session.encoding), 1);
  }
}
