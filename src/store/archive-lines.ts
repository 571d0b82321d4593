/**
 * Entries of a log ↔ lines of JSON that people and programs can read, without loss.
 * Pure. Used by archive-files.ts and archive-export.ts. `bin` is {"$bin": "<base64>"}. What JSON cannot say exactly as it
 * was sent (the width of a number, the order of keys like "7", a field named $bin) is there as msgpack as well.
 */
import { createHash } from 'node:crypto';
import type { Priority } from '#proto/data.ts';
import {
  type MessageId,
  type Tenant,
  type TopicKey,
  type TopicName,
  tenantOfKey,
  topicOfKey,
  type UserId,
} from '#proto/names.ts';
import { packMsgpack, unpackMsgpack } from '../wire/codec.ts';
import type { EntryKind, StoredMessage } from './history-store.ts';

/** Times are milliseconds since 1970; what is not there is left out. */
interface ArchiveLine {
  tenant: Tenant;
  topic: TopicName;
  offset: number;
  kind: EntryKind;
  id: MessageId;
  from: UserId;
  peer?: UserId | undefined;
  target?: MessageId | undefined;
  event?: string | undefined;
  priority?: Priority | undefined;
  timestamp: number;
  editedAt?: number | undefined;
  deletedAt?: number | undefined;
  payload: unknown;
  /** base64; goes before `payload`. */
  msgpack?: string | undefined;
}

/** Without the end of the line. */
export function encodeLine(topic: TopicKey, message: StoredMessage): string {
  const { offset, kind, messageId, from, peer, target, event, priority, payload } = message;
  const json = JSON.stringify(readable(unpackMsgpack(payload)));
  const isExact = Buffer.compare(packMsgpack(restored(JSON.parse(json))), payload) === 0;
  const line: ArchiveLine = {
    ...{
      tenant: tenantOfKey(topic),
      topic: topicOfKey(topic),
      offset,
      kind,
      id: messageId,
      from,
      peer,
      target,
    },
    ...{ event, priority, timestamp: message.timestampMs },
    ...{ editedAt: message.editedAtMs, deletedAt: message.deletedAtMs },
    payload: undefined,
    msgpack: isExact ? undefined : Buffer.from(payload).toString('base64'),
  };
  return `${JSON.stringify(line).slice(0, -1)},"payload":${json}}`;
}

export function decodeLine(text: string): StoredMessage {
  const { offset, kind, id, from, peer, target, event, priority, ...rest } = JSON.parse(text) as ArchiveLine;
  const { msgpack, payload } = rest;
  return {
    ...{ offset, kind, messageId: id, from, peer, target, event, priority },
    payload: msgpack === undefined ? packMsgpack(restored(payload)) : Buffer.from(msgpack, 'base64'),
    ...{ timestampMs: rest.timestamp, editedAtMs: rest.editedAt, deletedAtMs: rest.deletedAt },
  };
}

/** Of entries that were read to be archived: another one when any of them was edited, deleted or erased meanwhile. */
export function fingerprintOf(messages: readonly StoredMessage[]): string {
  const hash = createHash('sha256');
  for (const { offset, kind, messageId, event, payload, editedAtMs, deletedAtMs } of messages) {
    hash.update(JSON.stringify([offset, kind, messageId, event, payload.length, editedAtMs, deletedAtMs]));
    hash.update(payload);
  }
  return hash.digest('hex');
}

function readable(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bin: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(readable);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, readable(inner)]));
}

function restored(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(restored);
  const entries = Object.entries(value) as [string, unknown][];
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === '$bin' && typeof only[1] === 'string')
    return Buffer.from(only[1], 'base64');
  return Object.fromEntries(entries.map(([key, inner]) => [key, restored(inner)]));
}
