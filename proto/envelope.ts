/** The envelope around everything on the client wire (protocol section 2). */

import { idCharsMax } from './limits.ts';
import { compileValidator, type Static, Type } from './schema.ts';

const Id = Type.String({
  minLength: 1,
  maxLength: idCharsMax,
  description: 'Chosen by the client; the one reply carries it again. Also the idempotency key of a message.',
});
export const idValidator = compileValidator(Id);

/**
 * What a client may send around its data; `data` itself is checked against the schema of its type.
 * An object of any fields, not a record of unknowns: a schema would walk all of those (16,000 took it 8 ms).
 */
export const ClientEnvelopeShape = Type.Object(
  {
    type: Type.String({ minLength: 1, maxLength: 64, description: 'Name of the command, in PascalCase.' }),
    id: Type.Optional(Id),
    data: Type.Optional(Type.Object({}, { description: 'Fields of the command; `{}` when absent.' })),
    timestamp: Type.Optional(Type.Unknown({ description: 'Ignored: the server sets its own.' })),
  },
  { title: 'ClientEnvelope', description: 'One command of a client.' },
);

export type ClientEnvelopeShape = Static<typeof ClientEnvelopeShape>;
export const envelopeValidator = compileValidator(ClientEnvelopeShape);

/** Encodings of the client wire; each has one WebSocket subprotocol and one frame kind. */
export const encodings = ['json', 'msgpack'] as const;
export type PlainEncoding = (typeof encodings)[number];
/** How the frames for a client are made: its encoding, compressed where it agreed to that (RFC 7692). */
export type Encoding = PlainEncoding | `${PlainEncoding}+deflate`;

/** What is compressed, and what a client sends once it is taken apart. */
export function plainOf(encoding: Encoding): PlainEncoding {
  return encoding.startsWith('json') ? 'json' : 'msgpack';
}

export const subprotocols = {
  json: 'carillon.v1.json',
  msgpack: 'carillon.v1.msgpack',
} as const satisfies Record<PlainEncoding, string>;

/** Prefix of the subprotocol entry that carries a browser's token; never selected, never logged. */
export const bearerSubprotocolPrefix = 'bearer.';
