/**
 * Server envelopes → complete WebSocket frames.
 * Replies are encoded for one connection; publications once per encoding, for everyone (topic/fanout.ts).
 */
import type { Priority, ServerType } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { packMsgpack } from './codec.ts';
import type { Payload } from './payload.ts';
import { frameBinary, frameText } from './websocket-frame.ts';

export interface ServerEnvelope {
  type: ServerType;
  id?: string;
  data: object;
  timestamp: number;
}

/** A message on its way to receivers: a `Broadcast` or a `DirectMessage`. Made with all its fields: one shape. */
export interface Publication {
  type: 'Broadcast' | 'DirectMessage';
  id: MessageId;
  /** Absent on a broadcast to everyone. */
  topic?: TopicName | undefined;
  /** In the topic's log; absent where there is none. */
  offset?: number | undefined;
  from: UserId;
  to?: UserId | undefined;
  event?: string | undefined;
  priority?: Priority | undefined;
  payload: Payload;
  /** When the server accepted it, wall clock. */
  timestamp: number;
}

/** A frame for one connection. */
export function encodeEnvelope(envelope: ServerEnvelope, encoding: Encoding): Buffer {
  return encoding === 'json' ? frameText(JSON.stringify(envelope)) : frameBinary(packMsgpack(envelope));
}

/** A frame for everyone with this encoding. The payload's bytes are spliced in, not encoded again. */
export function encodePublication(publication: Publication, encoding: Encoding): Buffer {
  return encoding === 'json' ? jsonPublication(publication) : msgpackPublication(publication);
}

function jsonPublication(publication: Publication): Buffer {
  const { type, id, timestamp, topic, offset, from, to, event, priority, payload } = publication;
  const fields = JSON.stringify({ topic, offset, from, to, event, priority }).slice(0, -1);
  return frameText(
    `{"type":"${type}","id":"${id}","data":${fields},"payload":${payload.json}},"timestamp":${timestamp}}`,
  );
}

/** The map of the fields, made one longer, then the last key and the payload's own bytes. */
function msgpackPublication(publication: Publication): Buffer {
  const { type, id, timestamp, payload } = publication;
  const envelope = packMsgpack({ type, id, timestamp, data: null });
  const fields = packMsgpack(fieldsOf(publication));
  fields[0] = (fields[0] as number) + 1; // fixmap: at most 15 fields, there are never more than 7
  return frameBinary(envelope.subarray(0, -1), fields, payloadKey, payload.msgpack);
}

const payloadKey = packMsgpack('payload');

/** All of `data` but the payload, without what is absent. */
function fieldsOf({
  topic,
  offset,
  from,
  to,
  event,
  priority,
}: Publication): Record<string, string | number> {
  const fields: Record<string, string | number> = {};
  for (const [name, value] of [
    ['topic', topic],
    ['offset', offset],
    ['from', from],
    ['to', to],
    ['event', event],
    ['priority', priority],
  ] as const) {
    if (value !== undefined) fields[name] = value;
  }
  return fields;
}
