/** A message on its way from a sender's shard to the home that accepts it, and the answer on its way back. */
import type { Priority } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { MessageId, UserId } from '#proto/names.ts';
import type { PublicationBody, RecordBodies } from '#proto/record.ts';
import { Payload } from './payload.ts';

/** What a sender wants delivered. Made with all its fields, so that all messages have one shape. */
export interface Message {
  from: UserId;
  payload: Payload;
  event?: string | undefined;
  priority?: Priority | undefined;
  ttlMs?: number | undefined;
  key?: string | undefined;
}

/** The fields of a client's command or request that a message takes; everything else that it carries is ignored. */
export function messageOf(
  from: UserId,
  { payload, event, priority, ttlMs, key }: { payload: unknown } & Omit<Partial<Message>, 'payload' | 'from'>,
): Message {
  return { from, payload: Payload.ofValue(payload), event, priority, ttlMs, key };
}

/** What a home answers to a request. */
export type Answer =
  | { ok: true; messageId?: MessageId; isDuplicate?: boolean }
  | { ok: false; refusal: Refusal };

export function refused(reason: Refusal): Answer {
  return { ok: false, refusal: reason };
}

export function messageToBody({ from, payload, event, priority, ttlMs, key }: Message): PublicationBody {
  return [from, payload.msgpack, event ?? null, priority ?? null, ttlMs ?? null, key ?? null];
}

export function messageFromBody([from, payload, event, priority, ttlMs, key]: PublicationBody): Message {
  return {
    from,
    payload: Payload.ofMsgpack(payload),
    event: event ?? undefined,
    priority: priority ?? undefined,
    ttlMs: ttlMs ?? undefined,
    key: key ?? undefined,
  };
}

export function answerToBody(answer: Answer): RecordBodies['answer'] {
  if (!answer.ok)
    return [false, answer.refusal.code, answer.refusal.message, answer.refusal.retryAfterMs ?? null];
  return answer.messageId === undefined ? [true] : [true, answer.messageId, answer.isDuplicate === true];
}

export function answerFromBody(body: RecordBodies['answer']): Answer {
  if (!body[0]) return refused(refusal(body[1], body[2], body[3] ?? undefined));
  return body.length === 1 ? { ok: true } : { ok: true, messageId: body[1], isDuplicate: body[2] };
}
