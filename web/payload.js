/** What this page puts into messages, and what it makes of those that arrive, which may be anything. Pure. */
import { newId } from './names.js';

/** What servers take unless they say otherwise (protocol section 2). */
const defaultBytesMax = 65_536;
const inboxPrefix = 'inbox:';

/** `shard` is the sender's, so that the reader sees which cores a message crossed; absent while not connected. */
export function payloadOf(text, shard) {
  return shard === undefined ? { text } : { text, shard };
}

/** The envelope that carries a payload to a topic or user. Its id is the idempotency key. */
export function commandOf({ kind, name }, payload) {
  if (kind === 'topic') return { type: 'Broadcast', id: newId(), data: { topic: name, payload } };
  return { type: 'DirectMessage', id: newId(), data: { to: name, payload } };
}

/** The envelope that edits or deletes a message. */
export function changeOf(messageId, { kind, text }, shard) {
  if (kind === 'delete') return { type: 'Delete', id: newId(), data: { messageId } };
  return { type: 'Edit', id: newId(), data: { messageId, payload: payloadOf(text, shard) } };
}

/** Asked before sending: the server closes the connection over a frame that is too large. */
export function isTooLarge(command, bytesMax = defaultBytesMax) {
  return new TextEncoder().encode(JSON.stringify(command)).length > bytesMax;
}

/** A message as it is stored: of a page of history, or found. */
export function messageOf({ id, offset, from, payload, timestamp, editedAt, deletedAt }) {
  const isDeleted = deletedAt !== undefined;
  return {
    ...{ id, messageId: id, offset, from, atMs: timestamp, editedAt, isDeleted },
    ...{ text: isDeleted ? '' : textOf(payload), shard: shardOf(payload) },
  };
}

/** A message as it is delivered. */
export function messageOfDelivery({ id, data, timestamp }) {
  return messageOf({ ...data, id, timestamp });
}

/** What is delivered in the place of a message that was deleted before it was missed; undefined for other deletions. */
export function remainsOf({ id, data: { messageId, by, offset }, timestamp }) {
  if (id !== messageId) return undefined;
  return messageOf({ id, offset, from: by, payload: null, timestamp, deletedAt: timestamp });
}

/** What an `Edited` makes of its message. */
export function editOf({ data: { payload }, timestamp }) {
  return { text: textOf(payload), editedAt: timestamp };
}

/** The conversation that a message belongs to: one that was delivered, or found. */
export function placeOf({ topic, from, to }, me) {
  if (topic === undefined) return { kind: 'everyone', name: 'everyone' };
  if (isInbox(topic)) return { kind: 'user', name: from === me ? to : from };
  return { kind: 'topic', name: topic };
}

export function inboxOf(user) {
  return `${inboxPrefix}${user}`;
}

export function isInbox(topic) {
  return topic.startsWith(inboxPrefix);
}

function textOf(payload) {
  if (typeof payload === 'string') return payload;
  if (typeof payload?.text === 'string') return payload.text;
  return JSON.stringify(payload);
}

function shardOf(payload) {
  const shard = payload?.shard;
  return Number.isInteger(shard) && shard >= 0 ? shard : undefined;
}
