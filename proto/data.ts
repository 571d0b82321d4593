/**
 * Everything a client may say: one data schema per type. Append-only.
 * Fields may be added as optional ones, none may change its type; unknown fields are ignored.
 */
import {
  deviceFields,
  event,
  key,
  payload,
  position,
  presenceMeta,
  priority,
  topic,
  ttlMs,
  user,
  withFields,
} from './fields.ts';
import {
  filterConditionsMax,
  historyPageDefault,
  historyPageMax,
  presenceMembersMax,
  presenceUsersPerCommandMax,
  searchCharsMax,
} from './limits.ts';
import { messageIdPattern } from './names.ts';
import { compileValidator, type Static, type TSchema, Type, type Validator } from './schema.ts';

export { type Priority, priorities } from './fields.ts';

const messageId = Type.String({
  pattern: messageIdPattern,
  description: 'The message id that the server gave.',
});
const markOffset = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Cumulative: this one and all before it.',
});
const pageLimit = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: historyPageMax,
    description: `Default ${historyPageDefault}; fewer come when they are large.`,
  }),
);

const presenceUsers = Type.Array(user('A user.'), {
  minItems: 1,
  maxItems: presenceUsersPerCommandMax,
  description: `At most ${presenceUsersPerCommandMax} in one command.`,
});

/** What clients send. A type that is not here is answered with `unknown_type`. */
export const clientData = {
  Auth: withFields(
    'Auth',
    'First frame of a connection without a token; later, a fresh token for the same user.',
    {
      token: Type.String({ minLength: 1, description: 'A JWT.' }),
    },
  ),
  Resume: withFields(
    'Resume',
    'Takes over a session that lost its connection: its subscriptions, presence and positions come back, then what it missed.',
    {
      sessionId: Type.String({ minLength: 1, maxLength: 64, description: 'Of the `Connect` back then.' }),
      resumeToken: Type.String({ minLength: 1, maxLength: 64, description: 'Of the same `Connect`.' }),
      positions: Type.Optional(
        Type.Record(Type.String(), position, {
          description:
            'By topic, the inbox too: the last that you have. Without it: what the server knows that you got.',
        }),
      ),
    },
  ),
  Ping: withFields('Ping', 'Answered by `Pong` with the same `id` and `data`.', {}),
  Subscribe: withFields('Subscribe', 'Receive what is published to a topic from now on.', {
    topic: topic('The topic.'),
    since: Type.Optional(position),
    presence: Type.Optional(
      Type.Boolean({
        description: 'Be a member of the topic for others to see, and see who comes and goes.',
      }),
    ),
    filter: Type.Optional(
      Type.Object(
        {},
        {
          maxProperties: filterConditionsMax,
          description: 'Conditions on the delivered data, all of which must hold.',
        },
      ),
    ),
  }),
  Unsubscribe: withFields('Unsubscribe', 'The end of a subscription.', { topic: topic('The topic.') }),
  Broadcast: withFields(
    'Broadcast',
    'Publish to a topic, or without `topic` to every connected user of the tenant.',
    {
      topic: Type.Optional(topic('The topic.')),
      payload,
      event,
      priority,
      ttlMs,
      key,
    },
  ),
  DirectMessage: withFields(
    'DirectMessage',
    "To all devices of one user, and to the sender's other devices.",
    {
      to: user('The user.'),
      payload,
      event,
      priority,
      key,
    },
  ),
  Typing: withFields('Typing', 'You are writing something; ends by itself after 10 s.', {
    topic: Type.Optional(topic('For those who listen to the topic. One of `topic` and `to` is needed.')),
    to: Type.Optional(user('For the other user of a conversation.')),
    active: Type.Boolean({ description: 'False: not any more.' }),
  }),
  Presence: withFields('Presence', 'How you are on this device, until you say otherwise.', {
    status: Type.Union(
      [Type.Literal('online'), Type.Literal('away'), Type.Literal('busy'), Type.Literal('invisible')],
      { description: '`busy` and `invisible` on one device are so on all; away is who is away on all.' },
    ),
    device: Type.Optional(Type.Object(deviceFields, { description: 'What this connection runs on.' })),
    meta: presenceMeta,
  }),
  PresenceSubscribe: withFields('PresenceSubscribe', 'How users are now, and every change from now on.', {
    users: presenceUsers,
  }),
  PresenceUnsubscribe: withFields('PresenceUnsubscribe', 'No more changes of these users.', {
    users: presenceUsers,
  }),
  PresenceQuery: withFields('PresenceQuery', 'How users are, or who is in a topic, now.', {
    users: Type.Optional(presenceUsers),
    topic: Type.Optional(topic('Its members, by name. One of `users` and `topic` is needed.')),
    after: Type.Optional(user('Of a topic: members behind this one.')),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: presenceMembersMax,
        description: `Of a topic; default ${presenceMembersMax}.`,
      }),
    ),
  }),
  History: withFields('History', 'A page of what is stored of a topic, or of a conversation; oldest first.', {
    topic: Type.Optional(topic('The topic. One of `topic` and `with` is needed.')),
    with: Type.Optional(user('The other user of a conversation; offsets are those of your own inbox.')),
    before: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'The youngest below this offset. Without `before` and `after`: the youngest of all.',
      }),
    ),
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'The oldest beyond this offset, and below `before` if that is given.',
      }),
    ),
    limit: pageLimit,
  }),
  Search: withFields('Search', 'Messages by their words, best first, of all that you may read.', {
    query: Type.String({
      minLength: 1,
      maxLength: searchCharsMax,
      description: 'Words that must all occur; "a phrase", -not, or.',
    }),
    topic: Type.Optional(topic('Only of this topic.')),
    with: Type.Optional(user('Only of the conversation with this user.')),
    from: Type.Optional(user('Only what this user wrote.')),
    limit: pageLimit,
  }),
  Edit: withFields('Edit', 'Another payload for a message of yours.', {
    messageId,
    payload,
  }),
  Delete: withFields('Delete', 'Takes a message of yours away; its place remains.', { messageId }),
  Ack: withFields('Ack', 'Everything of a topic up to an offset was delivered.', {
    topic: topic('A subscribed topic, or your own inbox.'),
    offset: markOffset,
  }),
  Read: withFields('Read', 'Everything of a topic up to an offset was read.', {
    topic: topic('A subscribed topic, or your own inbox.'),
    offset: markOffset,
  }),
  DeliveryStatus: withFields('DeliveryStatus', 'Who got a message of yours, and who has read it.', {
    messageId,
  }),
} as const;

export type ClientType = keyof typeof clientData;
export type ClientData<Type extends ClientType> = Static<(typeof clientData)[Type]>;

/** A validated command: what handlers are given. */
export type ClientEnvelope = {
  [Type in ClientType]: { type: Type; id?: string; data: ClientData<Type> };
}[ClientType];
export type EnvelopeOf<Type extends ClientType> = Extract<ClientEnvelope, { type: Type }>;

export const clientDataValidators = Object.fromEntries(
  Object.entries(clientData).map(([type, schema]) => [type, compileValidator(schema as TSchema)]),
) as { [Type in ClientType]: Validator<ClientData<Type>> };

export function isClientType(type: string): type is ClientType {
  return Object.hasOwn(clientData, type);
}
