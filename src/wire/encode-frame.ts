/**
 * Server envelopes → complete WebSocket frames.
 * Replies are encoded for one connection; publications once per encoding, for everyone (fanout/flush-batch.ts).
 */
import type { Priority } from '#proto/data.ts';
import { type Encoding, plainOf } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import type { ServerType } from '#proto/server-data.ts';
import { packMsgpack } from './codec.ts';
import { deflateFrame } from './deflate-frame.ts';
import type { Payload } from './payload.ts';
import { frameBinary, frameText } from './websocket-frame.ts';

export interface ServerEnvelope {
  type: ServerType;
  id?: string;
  data: object;
  timestamp: number;
}

/** What is on its way to receivers, from a topic or an inbox. Made with all its fields: one shape. */
export interface Publication {
  type: 'Broadcast' | 'DirectMessage' | 'Edited' | 'Deleted';
  id: MessageId;
  /** Absent on a broadcast to everyone. */
  topic?: TopicName | undefined;
  /** In the topic's log; absent where there is none. */
  offset?: number | undefined;
  /** Who published, edited or deleted. */
  from: UserId;
  to?: UserId | undefined;
  /** What was edited or deleted. */
  target?: MessageId | undefined;
  event?: string | undefined;
  priority?: Priority | undefined;
  payload: Payload;
  /** When the server accepted it, wall clock. */
  timestamp: number;
}

/** A frame for one connection. */
export function encodeEnvelope(envelope: ServerEnvelope, encoding: Encoding): Buffer {
  const plain = plainOf(encoding);
  const frame = plain === 'json' ? frameText(JSON.stringify(envelope)) : frameBinary(packMsgpack(envelope));
  return plain === encoding ? frame : deflateFrame(frame);
}

/** A frame for everyone with this encoding. The payload's bytes are spliced in, not encoded again. */
export function encodePublication(publication: Publication, encoding: Encoding, isReplay = false): Buffer {
  const plain = plainOf(encoding);
  const encode = plain === 'json' ? jsonPublication : msgpackPublication;
  const frame = encode(publication, isReplay);
  return plain === encoding ? frame : deflateFrame(frame);
}

function jsonPublication(publication: Publication, isReplay: boolean): Buffer {
  const { type, id, timestamp, payload } = publication;
  const fields = JSON.stringify(fieldsOf(publication, isReplay)).slice(0, -1);
  const last = type === 'Deleted' ? '' : `,"payload":${payload.json}`;
  return frameText(`{"type":"${type}","id":"${id}","data":${fields}${last}},"timestamp":${timestamp}}`);
}

/** The map of the fields, made one longer, then the last key and the payload's own bytes. */
function msgpackPublication(publication: Publication, isReplay: boolean): Buffer {
  const { type, id, timestamp, payload } = publication;
  const envelope = packMsgpack({ type, id, timestamp, data: null }).subarray(0, -1);
  const fields = packMsgpack(present(fieldsOf(publication, isReplay)));
  if (type === 'Deleted') return frameBinary(envelope, fields);
  fields[0] = (fields[0] as number) + 1; // fixmap: at most 15 fields, there are never more than 8
  return frameBinary(envelope, fields, payloadKey, payload.msgpack);
}

const payloadKey = packMsgpack('payload');

type Fields = Record<string, string | number | boolean | undefined>;

/** All of `data` but the payload. */
function fieldsOf(
  { type, topic, offset, from, to, target, event, priority }: Publication,
  isReplay: boolean,
): Fields {
  const replay = isReplay ? true : undefined;
  return type === 'Edited' || type === 'Deleted'
    ? { topic, offset, messageId: target, by: from, replay }
    : { topic, offset, from, to, event, priority, replay };
}

/** JSON leaves out what is absent by itself; msgpack does not. */
function present(fields: Fields): Fields {
  const found: Fields = {};
  for (const name of Object.keys(fields)) {
    if (fields[name] !== undefined) found[name] = fields[name];
  }
  return found;
}
