/**
 * Everything a client may say and a server may answer: one data schema per type. Append-only.
 * Fields may be added as optional ones, none may change its type; unknown fields are ignored.
 */

import { errorCodes } from './error-codes.ts';
import {
  eventCharsMax,
  filterConditionsMax,
  historyPageDefault,
  historyPageMax,
  idCharsMax,
} from './limits.ts';
import { topicPattern, userIdPattern } from './names.ts';
import { compileValidator, type Static, type TSchema, Type, type Validator } from './schema.ts';

export const priorities = ['low', 'normal', 'high', 'critical'] as const;
export type Priority = (typeof priorities)[number];

const topic = (description: string) => Type.String({ pattern: topicPattern, description });
const user = (description: string) => Type.String({ pattern: userIdPattern, description });
const payload = Type.Unknown({ description: 'Any JSON value, in msgpack also `bin`; passed on as it is.' });
const event = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: eventCharsMax,
    description: 'What kind of thing the payload is, for the receiver.',
  }),
);
const priority = Type.Optional(
  Type.Union([Type.Literal('low'), Type.Literal('normal'), Type.Literal('high'), Type.Literal('critical')], {
    description: '`critical` and `high` leave at once, `low` waits the longest. Default `normal`.',
  }),
);
const key = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: idCharsMax,
    description: 'Idempotency key where it should differ from the envelope `id`. Unique per sender.',
  }),
);
const ttlMs = Type.Optional(
  Type.Integer({ minimum: 1, description: 'Not worth delivering after this long, milliseconds.' }),
);
const position = Type.Object(
  {
    offset: Type.Integer({ minimum: 0, description: 'Place in the topic, from 1 without holes.' }),
    epoch: Type.String({
      minLength: 1,
      maxLength: 32,
      description: 'Identity of the stream that the offset counts in.',
    }),
  },
  { description: 'A position in a topic.' },
);
const offset = Type.Optional(
  Type.Integer({ minimum: 1, description: 'Place in the topic; absent on volatile topics.' }),
);
const epoch = Type.Optional(Type.String({ description: 'Identity of the stream that `offset` counts in.' }));

function withFields<Fields extends Record<string, TSchema>>(
  title: string,
  description: string,
  fields: Fields,
) {
  return Type.Object(fields, { title, description });
}

/** What clients send. A type that is not here is answered with `unknown_type`. */
export const clientData = {
  Auth: withFields(
    'Auth',
    'First frame of a connection without a token; later, a fresh token for the same user.',
    {
      token: Type.String({ minLength: 1, description: 'A JWT.' }),
    },
  ),
  Ping: withFields('Ping', 'Answered by `Pong` with the same `id` and `data`.', {}),
  Subscribe: withFields('Subscribe', 'Receive what is published to a topic from now on.', {
    topic: topic('The topic.'),
    since: Type.Optional(position),
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
  History: withFields('History', 'A page of what is stored of a topic, oldest first.', {
    topic: topic('The topic.'),
    before: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'The youngest below this offset. Without `before` and `after`: the youngest of all.',
      }),
    ),
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'The oldest beyond this offset, and below `before` if that is given.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: historyPageMax,
        description: `Default ${historyPageDefault}; fewer come when they are large.`,
      }),
    ),
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

const storedMessage = Type.Object(
  {
    id: Type.String({ description: 'The message id.' }),
    offset: Type.Integer({ description: "In the topic's log." }),
    from: user('Who published it.'),
    event,
    priority,
    payload,
    timestamp: Type.Integer({ description: 'When the server accepted it, milliseconds since the epoch.' }),
  },
  { description: 'A message as it is stored.' },
);

const op = Type.String({ description: 'The command that this answers, or `Connect`, or `Subscription`.' });

/** What the server sends. */
export const serverData = {
  Status: Type.Union(
    [
      withFields('StatusConnect', 'First frame of a connection.', {
        op: Type.Literal('Connect', { description: 'The connection is authenticated and live.' }),
        sessionId: Type.String({ description: 'Names this session in logs and administration.' }),
        userId: user('Who the token says you are.'),
        tenant: Type.String({ description: 'All names live inside the tenant.' }),
        node: Type.String({ description: 'The server process.' }),
        shard: Type.Integer({ description: 'The thread that has this connection.' }),
        heartbeatMs: Type.Integer({ description: 'The server pings this often.' }),
        maxMessageBytes: Type.Integer({ description: 'Largest frame that the server takes.' }),
        serverVersion: Type.String({ description: 'Version of Carillon.' }),
      }),
      withFields('StatusAuth', 'The token was accepted.', {
        op: Type.Literal('Auth', { description: 'Answers `Auth`.' }),
        expiresAt: Type.Integer({ description: 'When the token expires, milliseconds since the epoch.' }),
      }),
      withFields('StatusSubscribe', 'Subscribed.', {
        op: Type.Literal('Subscribe', { description: 'Answers `Subscribe`.' }),
        topic: topic('The topic.'),
        class: Type.Union([Type.Literal('durable'), Type.Literal('cached'), Type.Literal('volatile')], {
          description: 'What the topic promises.',
        }),
        recovered: Type.Optional(
          Type.Boolean({
            description: 'With `since`: false says that nothing is replayed because it is out of reach.',
          }),
        ),
      }),
      withFields('StatusUnsubscribe', 'Unsubscribed.', {
        op: Type.Literal('Unsubscribe', { description: 'Answers `Unsubscribe`.' }),
        topic: topic('The topic.'),
      }),
      withFields('StatusMessage', 'The message was accepted.', {
        op: Type.Union([Type.Literal('Broadcast'), Type.Literal('DirectMessage')], {
          description: 'The command.',
        }),
        messageId: Type.String({ description: 'Given by the server, UUIDv7.' }),
        topic: Type.Optional(topic('The topic of a `Broadcast`.')),
        offset,
        epoch,
        duplicate: Type.Optional(
          Type.Boolean({ description: 'True when the key was seen before: nothing new was sent.' }),
        ),
      }),
      withFields('StatusHistory', 'A page of history.', {
        op: Type.Literal('History', { description: 'Answers `History`.' }),
        topic: topic('The topic.'),
        epoch,
        lastOffset: Type.Integer({ description: 'Of the last message of the topic; 0 when there is none.' }),
        hasMore: Type.Boolean({ description: 'There are more in the direction that was asked.' }),
        messages: Type.Array(storedMessage, { description: 'Oldest first.' }),
      }),
      withFields('StatusSubscription', 'Unasked: the server ended a subscription.', {
        op: Type.Literal('Subscription', { description: 'About a subscription, not an answer.' }),
        topic: topic('The topic.'),
        active: Type.Boolean({ description: 'False: nothing more arrives from this topic.' }),
        reason: Type.String({ description: 'Why it ended.' }),
      }),
    ],
    { title: 'Status', description: 'It worked. Replies carry the `id` of their command.' },
  ),
  Broadcast: withFields('Broadcast', "A publication. The envelope's `id` is the message id.", {
    topic: Type.Optional(topic('Absent on a broadcast to everyone.')),
    offset,
    from: user('Who published it.'),
    payload,
    event,
    priority,
  }),
  DirectMessage: withFields('DirectMessage', 'A message to you, or from you on another device.', {
    topic: topic('Your own inbox.'),
    offset,
    from: user('Who sent it.'),
    to: user('Whom it was sent to.'),
    payload,
    event,
    priority,
  }),
  System: withFields('System', 'About the server or this connection.', {
    event: Type.Union([Type.Literal('draining'), Type.Literal('token_expiring')], {
      description: 'What is happening.',
    }),
    reconnectAfterMs: Type.Optional(
      Type.Integer({ description: 'Reconnect after this long: the server spreads the load.' }),
    ),
    expiresAt: Type.Optional(
      Type.Integer({ description: 'When the token expires, milliseconds since the epoch.' }),
    ),
  }),
  Pong: withFields('Pong', 'Answers `Ping` with its data.', {}),
  Error: withFields('Error', 'It did not work.', {
    code: Type.Union(
      Object.keys(errorCodes).map((code) => Type.Literal(code)),
      { description: 'See the table of codes.' },
    ),
    message: Type.String({ description: 'For people; names the field or the limit.' }),
    retryable: Type.Boolean({ description: 'May the same command succeed later?' }),
    retryAfterMs: Type.Optional(Type.Integer({ description: 'Not before this long.' })),
    op: Type.Optional(op),
  }),
} as const;

export type ServerType = keyof typeof serverData;
