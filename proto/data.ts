/**
 * Everything a client may say: one data schema per type. Append-only.
 * Fields may be added as optional ones, none may change its type; unknown fields are ignored.
 */
import { event, key, payload, position, priority, topic, ttlMs, user, withFields } from './fields.ts';
import { filterConditionsMax, historyPageDefault, historyPageMax, searchCharsMax } from './limits.ts';
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
