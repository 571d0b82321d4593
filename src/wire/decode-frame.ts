/**
 * Bytes of a client → validated envelopes, or refusals that name the field.
 * Thread: shard. Called for every inbound frame; after it, nothing of a client is unchecked.
 */
import {
  type ClientEnvelope,
  type ClientType,
  clientData,
  clientDataValidators,
  isClientType,
} from '#proto/data.ts';
import { type Encoding, envelopeValidator, idValidator, plainOf } from '#proto/envelope.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { envelopesPerFrameMax } from '#proto/limits.ts';
import { checkValue } from './check-value.ts';
import { unpackMsgpack } from './codec.ts';
import { scanMsgpack } from './scan-msgpack.ts';
import { WireError } from './wire-error.ts';

/** One envelope of a frame. Refused ones keep what the reply needs: the id and the command's name. */
export type Decoded =
  | { ok: true; envelope: ClientEnvelope }
  | { ok: false; refusal: Refusal; isEnvelope: boolean; id?: string; op?: string };

/**
 * Never throws, whatever the bytes are. One entry per envelope; a frame that is none at all gives one refusal, and so do
 * all entries of an array together that are no envelopes and have no id to answer to.
 */
export function decodeFrame(bytes: Uint8Array, encoding: Encoding): Decoded[] {
  let value: unknown;
  try {
    value = plainOf(encoding) === 'json' ? parseJson(bytes) : parseMsgpack(bytes);
  } catch (error) {
    return [notAnEnvelope(error instanceof WireError ? error.message : `not ${encoding}`)];
  }
  if (!Array.isArray(value)) return [decodeEnvelope(value)];
  if (value.length === 0 || value.length > envelopesPerFrameMax) {
    return [notAnEnvelope(`a frame holds 1 to ${envelopesPerFrameMax} envelopes, not ${value.length}`)];
  }
  return withoutRepeatedJunk(value.map(decodeEnvelope));
}

function withoutRepeatedJunk(entries: Decoded[]): Decoded[] {
  const isJunk = (entry: Decoded) => !entry.ok && !entry.isEnvelope && entry.id === undefined;
  const first = entries.findIndex(isJunk);
  if (first < 0) return entries;
  return entries.filter((entry, index) => index === first || !isJunk(entry));
}

function parseJson(bytes: Uint8Array): unknown {
  const value: unknown = JSON.parse((bytes as Buffer).toString('utf8'));
  // The array around envelopes is not a level of theirs.
  for (const envelope of Array.isArray(value) ? value : [value]) checkValue(envelope);
  return value;
}

function parseMsgpack(bytes: Uint8Array): unknown {
  scanMsgpack(bytes);
  return unpackMsgpack(bytes);
}

function decodeEnvelope(value: unknown): Decoded {
  const misplaced = misplacedBytes(value);
  if (misplaced !== undefined) return notAnEnvelope(`${misplaced} must not be bytes`, idOf(value));
  if (!envelopeValidator.check(value)) {
    const { path, message } = envelopeValidator.firstError(value);
    return notAnEnvelope(`${fieldName(path) || 'the envelope'} ${message}`, idOf(value));
  }
  const { type, id } = value;
  const named = id === undefined ? { op: type } : { op: type, id };
  if (!isClientType(type)) {
    return {
      ok: false,
      isEnvelope: true,
      ...named,
      refusal: refusal('unknown_type', `type ${JSON.stringify(type)} is not known`),
    };
  }
  const data = (value.data ?? {}) as Record<string, unknown>;
  const validator = clientDataValidators[type];
  if (!validator.check(data)) {
    return { ok: false, isEnvelope: true, ...named, refusal: wrongField(validator.firstError(data)) };
  }
  const known = knownFieldsOf(type, data);
  return {
    ok: true,
    envelope: (id === undefined ? { type, data: known } : { type, id, data: known }) as ClientEnvelope,
  };
}

/**
 * Bytes belong into payloads only. To a schema they are an object of numbered fields, which it would walk: 65 kB took it
 * 100 ms. Looked for before any schema is asked.
 */
function misplacedBytes(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return 'the envelope';
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, data } = value as { type?: unknown; data?: unknown };
  if (data instanceof Uint8Array) return 'data';
  if (typeof data !== 'object' || data === null || type === 'Ping') return undefined;
  const field = Object.entries(data).find(
    ([name, entry]) => name !== 'payload' && entry instanceof Uint8Array,
  );
  return field && `data.${field[0]}`;
}

/** Unknown fields were not checked, so that nobody behind this may see them. `Ping` is echoed as it came. */
function knownFieldsOf(type: ClientType, data: Record<string, unknown>): Record<string, unknown> {
  if (type === 'Ping') return data;
  const known: Record<string, unknown> = {};
  for (const name of fieldNames[type]) {
    if (Object.hasOwn(data, name)) known[name] = data[name];
  }
  return known;
}

const fieldNames = Object.fromEntries(
  Object.entries(clientData).map(([type, schema]) => [type, Object.keys(schema.properties)]),
) as Record<ClientType, string[]>;

function wrongField({ path, message }: { path: string; message: string }): Refusal {
  const field = `data${fieldName(path) === '' ? '' : `.${fieldName(path)}`}`;
  const code = path.startsWith('/topic')
    ? 'invalid_topic'
    : path.startsWith('/filter')
      ? 'invalid_filter'
      : 'bad_request';
  return refusal(message === 'is required' ? 'bad_request' : code, `${field} ${message}`);
}

function notAnEnvelope(message: string, id?: string): Decoded {
  const refused = { ok: false as const, isEnvelope: false, refusal: refusal('bad_request', message) };
  return id === undefined ? refused : { ...refused, id };
}

/** A usable id of something that is no envelope, so that its sender finds the reply. */
function idOf(value: unknown): string | undefined {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : undefined;
  return idValidator.check(id) ? id : undefined;
}

/** `/users/0` is `users.0`. */
function fieldName(path: string): string {
  return path.slice(1).replaceAll('/', '.');
}
