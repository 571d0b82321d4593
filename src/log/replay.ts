/**
 * Stored messages → what their receivers see.
 * Pure. Called by homes (what they fill a gap with), and by sessions that read what they missed from the store.
 */
import type { Encoding } from '#proto/envelope.ts';
import { type TopicName, type UserId, userOfInbox } from '#proto/names.ts';
import type { Filter } from '../routing/filter.ts';
import type { StoredMessage } from '../store/history-store.ts';
import { encodePublication, type Publication } from '../wire/encode-frame.ts';
import type { Replay } from '../wire/message.ts';
import { Payload } from '../wire/payload.ts';
import type { LogPublication } from './hot-log.ts';

const types = { message: 'Broadcast', edited: 'Edited', deleted: 'Deleted' } as const;

/** As it is delivered in `topic`. Of a message that was deleted meanwhile only that is told, at its own offset. */
export function publicationOf(
  topic: TopicName,
  message: StoredMessage,
  payload = Payload.ofMsgpack(message.payload),
): LogPublication {
  const owner = userOfInbox(topic);
  const isDirect = owner !== undefined && message.kind === 'message';
  const publication: LogPublication = {
    type: isDirect ? 'DirectMessage' : types[message.kind],
    id: message.messageId,
    topic,
    offset: message.offset,
    from: message.from,
    to: isDirect ? receiverOf(owner, message) : undefined,
    target: message.target,
    event: message.event,
    priority: message.priority,
    payload,
    timestamp: message.timestampMs,
  };
  return message.kind === 'message' && message.deletedAtMs !== undefined
    ? tombstone(publication)
    : publication;
}

/** What is left of a message: its place. */
export function tombstone(message: LogPublication): LogPublication {
  return {
    ...message,
    type: 'Deleted',
    target: message.id,
    to: undefined,
    event: undefined,
    payload: Payload.ofValue(null),
  };
}

/** The frames of a page, all of which somebody missed. */
export function replayOfPage(
  topic: TopicName,
  messages: StoredMessage[],
  encoding: Encoding,
  filter: Filter | undefined,
): Replay {
  const frames = messages
    .map((message) => publicationOf(topic, message))
    .filter((publication) => passes(publication, filter))
    .map((publication) => encodePublication(publication, encoding, true));
  return { upTo: messages.at(-1)?.offset ?? 0, frameCount: frames.length, frames: Buffer.concat(frames) };
}

/** Whether a filter lets it through; it speaks of messages, not of what becomes of them. */
export function passes(publication: Publication, filter: Filter | undefined): boolean {
  if (filter === undefined || publication.type === 'Edited' || publication.type === 'Deleted') return true;
  return filter(deliveredData(publication));
}

/** The `data` that a filter speaks about; a priority that was not given is the default one. */
function deliveredData({ topic, offset, from, event, priority = 'normal', payload }: Publication): object {
  return { topic, offset, from, event, priority, payload: payload.value };
}

/** Of a direct message in somebody's inbox. */
export function receiverOf(owner: UserId, { from, peer }: Pick<StoredMessage, 'from' | 'peer'>): UserId {
  return from === owner ? (peer ?? owner) : owner;
}
