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

/** A place in a topic's log. */
export interface Position {
  offset: number;
  epoch: string;
}

export interface HistoryMessage {
  offset: number;
  messageId: MessageId;
  from: UserId;
  event: string | undefined;
  priority: Priority | undefined;
  /** When it was accepted, wall clock, milliseconds. */
  timestamp: number;
  payload: Payload;
}

/** A part of a topic's log, oldest first. */
export interface HistoryPage {
  epoch: string;
  /** Of the last message of the topic. */
  lastOffset: number;
  hasMore: boolean;
  messages: HistoryMessage[];
}

/** What a home, or the store, answers to a request. */
export type Answer =
  | {
      ok: true;
      messageId?: MessageId;
      isDuplicate?: boolean;
      position?: Position | undefined;
      page?: HistoryPage;
    }
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
  const { messageId, isDuplicate = false, position } = answer;
  if (messageId === undefined) return [true];
  return [true, messageId, isDuplicate, position?.offset ?? null, position?.epoch ?? null];
}

export function answerFromBody(body: RecordBodies['answer']): Answer {
  if (!body[0]) return refused(refusal(body[1], body[2], body[3] ?? undefined));
  if (body.length === 1) return { ok: true };
  const [, messageId, isDuplicate, offset, epoch] = body;
  const position = offset === null || epoch === null ? {} : { position: { offset, epoch } };
  return { ok: true, messageId, isDuplicate, ...position };
}
