/** What a handler may answer: a closed set, so that session.ts can act on each of them in one place. */
import type { ClientType, EnvelopeOf } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { Identity } from '../auth/token-claims.ts';
import type { Answer } from '../wire/message.ts';
import type { Correlation, Requested, SessionContext } from './ports.ts';
import type { Session } from './session.ts';
import type { LivePhase, WaitingCommand } from './session-state.ts';

export type Outcome =
  | { do: 'nothing' }
  /** `Status` with these fields beside `op`, sent only when the command had an id; `after` it, what it announced. */
  | { do: 'reply'; data: object; after?: () => void }
  /** `Pong`, always sent. */
  | { do: 'pong'; data: object }
  | { do: 'refuse'; refusal: Refusal }
  /** The answer of this correlation finishes the command. */
  | { do: 'wait'; correlation: Correlation; command: WaitingCommand }
  /** The token is good: begin, or go on with it. */
  | { do: 'authenticate'; identity: Identity };

export function refuse(code: Refusal['code'], message: string): Outcome {
  return { do: 'refuse', refusal: refusal(code, message) };
}

/** A live session as handlers see it. */
export interface LiveSession {
  session: Session;
  phase: LivePhase;
}

/**
 * One command. `handle` runs to completion without waiting; where a home elsewhere must be asked it answers 'wait', and
 * `finish` turns the home's answer into the outcome, now or later.
 */
export interface Handler<Type extends ClientType> {
  handle(live: LiveSession, envelope: EnvelopeOf<Type>, ctx: SessionContext): Outcome;
  finish?(live: LiveSession, command: WaitingCommand, answer: Answer, ctx: SessionContext): Outcome;
}

/** The outcome of a request: finished at once where the home is in this thread. */
export function settle(
  requested: Requested,
  command: WaitingCommand,
  finish: (answer: Answer) => Outcome,
): Outcome {
  return requested.state === 'answered'
    ? finish(requested.answer)
    : { do: 'wait', correlation: requested.correlation, command };
}

/** The data of a message with its idempotency key: its own, or the envelope's id. */
export function withKey<Data extends { key?: string }>({ id, data }: { id?: string; data: Data }): Data {
  const key = data.key ?? id;
  return key === undefined ? data : { ...data, key };
}

/** The reply to an accepted message. */
export function acceptedReply(answer: Answer, fields: object): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  return {
    do: 'reply',
    data: {
      messageId: answer.messageId,
      ...fields,
      ...answer.position,
      ...(answer.isDuplicate ? { duplicate: true } : {}),
    },
  };
}
