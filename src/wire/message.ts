/** A message on its way from a sender's shard to the home that accepts it, and the answer on its way back. */
import type { Priority } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { MessageId, UserId } from '#proto/names.ts';
import type { AmendmentBody, JoinedBody, PublicationBody, RecordBodies, SinceBody } from '#proto/record.ts';
import { packObject, unpackObject } from './codec.ts';
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

/** What a client wants changed of a message. */
export interface Amendment {
  kind: 'edited' | 'deleted';
  target: MessageId;
  from: UserId;
  /** The permission to change messages of others. */
  mayAmendAny: boolean;
  /** Of an edit. */
  payload?: Payload;
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

/** What a subscriber has already; `upTo` bounds what it misses, where that is not all. */
export interface Since extends Position {
  upTo?: number | undefined;
}

/** What became of a subscription to a log. */
export interface Joined {
  /** The end of the log at that moment. */
  position: Position;
  /** Everything behind `position` follows by itself. Otherwise the subscriber is not there yet: it goes on from the replay. */
  isLive: boolean;
  /** Whether all that was missed can be had; undefined where nothing was asked. */
  recovered?: boolean | undefined;
  /** Nothing, when what is missing next is not at hand at the home. */
  replay?: Replay | undefined;
}

/** Complete frames of what was missed, without a hole up to `upTo`. */
export interface Replay {
  upTo: number;
  frameCount: number;
  frames: Uint8Array;
}

/** What a home, or the store, answers to a request. */
export type Answer =
  | {
      ok: true;
      messageId?: MessageId;
      isDuplicate?: boolean;
      position?: Position | undefined;
      /** When the message was edited or deleted, wall clock, milliseconds. */
      atMs?: number;
      joined?: Joined;
      /** Of a question: whoever asked knows its type. */
      result?: unknown;
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

export function amendmentToBody({ target, from, mayAmendAny, payload }: Amendment): AmendmentBody {
  return [target, from, mayAmendAny, payload?.msgpack ?? null];
}

export function amendmentFromBody([target, from, mayAmendAny, payload]: AmendmentBody): Amendment {
  return payload === null
    ? { kind: 'deleted', target, from, mayAmendAny }
    : { kind: 'edited', target, from, mayAmendAny, payload: Payload.ofMsgpack(payload) };
}

export function sinceToBody(since: Since | undefined): SinceBody | null {
  return since === undefined ? null : [since.offset, since.epoch, since.upTo ?? null];
}

export function sinceFromBody(body: SinceBody | null): Since | undefined {
  if (body === null) return undefined;
  const [offset, epoch, upTo] = body;
  return { offset, epoch, upTo: upTo ?? undefined };
}

export function answerToBody(answer: Answer): RecordBodies['answer'] {
  if (!answer.ok)
    return [false, answer.refusal.code, answer.refusal.message, answer.refusal.retryAfterMs ?? null];
  const { messageId, isDuplicate = false, position, joined, atMs, result } = answer;
  if (joined !== undefined) return joinedToBody(joined);
  if (result !== undefined) return [true, packObject(result)];
  if (messageId === undefined) return [true];
  return [true, messageId, isDuplicate, position?.offset ?? null, position?.epoch ?? null, atMs ?? null];
}

export function answerFromBody(body: RecordBodies['answer']): Answer {
  if (!body[0]) return refused(refusal(body[1], body[2], body[3] ?? undefined));
  if (body.length === 1) return { ok: true };
  if (body.length === 2) return { ok: true, result: unpackObject(body[1]) };
  if (body.length === 8) return { ok: true, joined: joinedFromBody(body) };
  const [, messageId, isDuplicate, offset, epoch, atMs] = body;
  const position = offset === null || epoch === null ? {} : { position: { offset, epoch } };
  return { ok: true, messageId, isDuplicate, ...position, ...(atMs === null ? {} : { atMs }) };
}

function joinedToBody({ position, isLive, recovered, replay }: Joined): JoinedBody {
  const { upTo, frameCount, frames } = replay ?? noReplay;
  return [true, isLive, position.offset, position.epoch, recovered ?? null, upTo, frameCount, frames];
}

const noReplay: Replay = { upTo: 0, frameCount: 0, frames: new Uint8Array() };

function joinedFromBody([, isLive, offset, epoch, recovered, upTo, frameCount, frames]: JoinedBody): Joined {
  return {
    position: { offset, epoch },
    isLive,
    recovered: recovered ?? undefined,
    // A replay of messages that its filter left out has no frames, but goes on up to somewhere.
    replay: upTo === 0 ? undefined : { upTo, frameCount, frames },
  };
}
