/** What this page puts into messages, and what it makes of those that arrive, which may be anything. Pure. */
import { newId } from './names.js';

/** What servers take unless they say otherwise (protocol section 2). */
const defaultBytesMax = 65_536;

/** `shard` is the sender's, so that the reader sees which cores a message crossed; absent while not connected. */
export function payloadOf(text, shard) {
  return shard === undefined ? { text } : { text, shard };
}

/** The envelope that carries a payload to a topic or user. Its id is the idempotency key. */
export function commandOf({ kind, name }, payload) {
  if (kind === 'topic') return { type: 'Broadcast', id: newId(), data: { topic: name, payload } };
  return { type: 'DirectMessage', id: newId(), data: { to: name, payload } };
}

/** Asked before sending: the server closes the connection over a frame that is too large. */
export function isTooLarge(command, bytesMax = defaultBytesMax) {
  return new TextEncoder().encode(JSON.stringify(command)).length > bytesMax;
}

export function messageOf({ id, data, timestamp }) {
  const { from, payload } = data;
  return { id, messageId: id, from, text: textOf(payload), shard: shardOf(payload), atMs: timestamp };
}

/** The conversation that a delivery belongs to. */
export function placeOf({ type, data }, me) {
  if (type === 'DirectMessage') return { kind: 'user', name: data.from === me ? data.to : data.from };
  if (data.topic === undefined) return { kind: 'everyone', name: 'everyone' };
  return { kind: 'topic', name: data.topic };
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
