/** Fields that occur in what clients send and in what the server answers. */
import { eventCharsMax, idCharsMax, presenceMetaBytesMax } from './limits.ts';
import { topicPattern, userIdPattern } from './names.ts';
import { type TSchema, Type } from './schema.ts';

export const priorities = ['low', 'normal', 'high', 'critical'] as const;
export type Priority = (typeof priorities)[number];

export const topic = (description: string) => Type.String({ pattern: topicPattern, description });
export const user = (description: string) => Type.String({ pattern: userIdPattern, description });
export const payload = Type.Unknown({
  description: 'Any JSON value, in msgpack also `bin`; passed on as it is.',
});
export const event = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: eventCharsMax,
    description: 'What kind of thing the payload is, for the receiver.',
  }),
);
export const priority = Type.Optional(
  Type.Union([Type.Literal('low'), Type.Literal('normal'), Type.Literal('high'), Type.Literal('critical')], {
    description: '`critical` and `high` leave at once, `low` waits the longest. Default `normal`.',
  }),
);
export const key = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: idCharsMax,
    description: 'Idempotency key where it should differ from the envelope `id`. Unique per sender.',
  }),
);
export const ttlMs = Type.Optional(
  Type.Integer({ minimum: 1, description: 'Not worth delivering after this long, milliseconds.' }),
);
export const position = Type.Object(
  {
    offset: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Place in the topic, from 1 without holes.',
    }),
    epoch: Type.String({
      minLength: 1,
      maxLength: 32,
      description: 'Identity of the stream that the offset counts in.',
    }),
  },
  { description: 'A position in a topic.' },
);
export const offset = Type.Optional(
  Type.Integer({ minimum: 1, description: 'Place in the topic; absent on volatile topics.' }),
);
export const epoch = Type.Optional(
  Type.String({ description: 'Identity of the stream that `offset` counts in.' }),
);

export function withFields<Fields extends Record<string, TSchema>>(
  title: string,
  description: string,
  fields: Fields,
) {
  return Type.Object(fields, { title, description });
}

export const presenceStatuses = ['online', 'away', 'busy', 'invisible'] as const;
export type PresenceStatus = (typeof presenceStatuses)[number];

const deviceText = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, description }));
/** What a client says of the device that it runs on. */
export const deviceFields = {
  id: deviceText('Stable over connections, chosen by the client: with it the device is remembered.'),
  kind: deviceText('`desktop`, `mobile`, `tablet`, `browser`, `agent` ...'),
  platform: deviceText('`ios`, `linux`, `firefox` ...'),
};
export const presenceMeta = Type.Optional(
  Type.Object(
    {},
    {
      additionalProperties: true,
      description: `Anything small for others to see, at most ${presenceMetaBytesMax} bytes as JSON.`,
    },
  ),
);
const millisecondsAgo = 'milliseconds since the epoch';
/** How one user is, as others see it. */
export const userPresence = {
  user: user('Who.'),
  status: Type.Union(
    [Type.Literal('online'), Type.Literal('away'), Type.Literal('busy'), Type.Literal('offline')],
    { description: 'Over all devices: online if one is, away when all are. Invisible looks like offline.' },
  ),
  lastSeen: Type.Optional(
    Type.Integer({
      description: `When the last device left, ${millisecondsAgo}; absent while one is there.`,
    }),
  ),
  devices: Type.Array(
    Type.Object({
      ...deviceFields,
      status: Type.String({ description: '`online`, `away`, `busy`, or `offline` for one of before.' }),
      lastSeen: Type.Optional(Type.Integer({ description: `When it left, ${millisecondsAgo}.` })),
    }),
    { description: 'The devices that are there, then those of before, the youngest first; bounded.' },
  ),
  meta: presenceMeta,
};
