/**
 * Everything that the server says: one data schema per type. Append-only, as proto/data.ts.
 */
import { errorCodes } from './error-codes.ts';
import {
  epoch,
  event,
  offset,
  payload,
  position,
  priority,
  topic,
  user,
  userPresence,
  withFields,
} from './fields.ts';
import { Type } from './schema.ts';

const storedFields = {
  id: Type.String({ description: 'The message id.' }),
  offset: Type.Integer({ description: "In the topic's log." }),
  from: user('Who published it.'),
  to: Type.Optional(user('Of a direct message: whom it was sent to.')),
  event,
  priority,
  payload,
  timestamp: Type.Integer({ description: 'When the server accepted it, milliseconds since the epoch.' }),
  editedAt: Type.Optional(Type.Integer({ description: 'When the payload was changed last.' })),
  deletedAt: Type.Optional(Type.Integer({ description: 'When it was deleted; the payload is null.' })),
};
const storedMessage = Type.Object(storedFields, { description: 'A message as it is stored.' });
const foundMessage = Type.Object(
  {
    ...storedFields,
    topic: topic('Where it is.'),
    rank: Type.Number({ description: 'How well it fits; comparable within one answer.' }),
  },
  { description: 'A message that was found.' },
);

const replay = Type.Optional(
  Type.Literal(true, { description: 'You missed it: it follows a `Subscribe` with `since`.' }),
);

const memberCount = Type.Optional(
  Type.Integer({ description: 'Members of the topic; more than a list holds are only counted.' }),
);
const presences = Type.Array(Type.Object(userPresence), { description: 'By name.' });

const op = Type.String({ description: 'The command that this answers, or `Connect`, or `Subscription`.' });

/** What the server sends. */
export const serverData = {
  Status: Type.Union(
    [
      withFields('StatusConnect', 'First frame of a connection.', {
        op: Type.Literal('Connect', { description: 'The connection is authenticated and live.' }),
        sessionId: Type.String({ description: 'Names this session, also in logs and administration.' }),
        resumeToken: Type.String({ description: 'With `sessionId`, for `Resume` after a lost connection.' }),
        resumeMs: Type.Integer({ description: 'A lost connection may be resumed for so long.' }),
        userId: user('Who the token says you are.'),
        tenant: Type.String({ description: 'All names live inside the tenant.' }),
        node: Type.String({ description: 'The server process.' }),
        shard: Type.Integer({ description: 'The thread that has this connection.' }),
        heartbeatMs: Type.Integer({ description: 'The server pings this often.' }),
        maxMessageBytes: Type.Integer({ description: 'Largest frame that the server takes.' }),
        serverVersion: Type.String({ description: 'Version of Carillon.' }),
        inbox: Type.Optional(position),
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
        offset: Type.Optional(
          Type.Integer({
            description: 'The end of the topic now; what is published from now on lies behind it.',
          }),
        ),
        epoch,
        recovered: Type.Optional(
          Type.Boolean({
            description: 'With `since`: false says that nothing is replayed because it is out of reach.',
          }),
        ),
        members: Type.Optional(presences),
        memberCount,
      }),
      withFields('StatusResume', 'The session was taken over; what it missed follows.', {
        op: Type.Literal('Resume', { description: 'Answers `Resume`.' }),
        resumed: Type.Boolean({ description: 'True.' }),
        sessionId: Type.String({
          description: 'Of the session now; the one that was resumed names it as well.',
        }),
        topics: Type.Array(
          Type.Object({
            topic: topic('A subscription that is back, or the inbox.'),
            epoch,
            offset: Type.Optional(
              Type.Integer({ description: 'The end of the topic when it was subscribed again.' }),
            ),
            recovered: Type.Boolean({
              description: 'False: what was missed cannot be had, or nobody knows what that is.',
            }),
            members: Type.Optional(presences),
            memberCount,
          }),
          { description: 'One that is not here any more is told of as `Subscription`.' },
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
        topic: topic('The topic; your own inbox, for a conversation.'),
        with: Type.Optional(user('The other user of a conversation.')),
        epoch,
        firstOffset: Type.Integer({ description: 'Of the oldest entry of the topic that is kept.' }),
        lastOffset: Type.Integer({ description: 'Of the last message of the topic; 0 when there is none.' }),
        hasMore: Type.Boolean({ description: 'There are more in the direction that was asked.' }),
        messages: Type.Array(storedMessage, { description: 'Oldest first.' }),
      }),
      withFields('StatusSearch', 'What was found.', {
        op: Type.Literal('Search', { description: 'Answers `Search`.' }),
        hasMore: Type.Boolean({ description: 'There are more than `limit`.' }),
        messages: Type.Array(foundMessage, { description: 'Best first.' }),
      }),
      withFields('StatusEdit', 'The message was edited.', {
        op: Type.Literal('Edit', { description: 'Answers `Edit`.' }),
        messageId: Type.String({ description: 'The message.' }),
        editedAt: Type.Integer({ description: 'Milliseconds since the epoch.' }),
        offset,
        epoch,
      }),
      withFields('StatusDelete', 'The message was deleted.', {
        op: Type.Literal('Delete', { description: 'Answers `Delete`.' }),
        messageId: Type.String({ description: 'The message.' }),
        deletedAt: Type.Integer({ description: 'Milliseconds since the epoch.' }),
        offset,
        epoch,
      }),
      withFields('StatusMark', 'The mark was taken.', {
        op: Type.Union([Type.Literal('Ack'), Type.Literal('Read')], { description: 'The command.' }),
        topic: topic('The topic.'),
        offset: Type.Integer({ description: 'Everything up to it.' }),
      }),
      withFields('StatusDeliveryStatus', 'Who got a message.', {
        op: Type.Literal('DeliveryStatus', { description: 'Answers `DeliveryStatus`.' }),
        messageId: Type.String({ description: 'The message.' }),
        recipients: Type.Array(
          Type.Object({
            user: user('Who.'),
            delivered: Type.Boolean({ description: 'It reached one of their devices.' }),
            read: Type.Boolean({ description: 'They read it.' }),
            at: Type.Integer({ description: 'When that was first said, milliseconds since the epoch.' }),
          }),
          { description: 'Those who said so, by name.' },
        ),
      }),
      withFields('StatusTyping', 'It was taken.', {
        op: Type.Literal('Typing', { description: 'Answers `Typing`.' }),
        topic: Type.Optional(topic('The topic.')),
        to: Type.Optional(user('The other user of the conversation.')),
      }),
      withFields('StatusPresence', 'It was taken.', {
        op: Type.Literal('Presence', { description: 'Answers `Presence`.' }),
        status: Type.String({ description: 'Of this device.' }),
      }),
      withFields('StatusPresenceList', 'How users are now.', {
        op: Type.Union(
          [
            Type.Literal('PresenceSubscribe'),
            Type.Literal('PresenceUnsubscribe'),
            Type.Literal('PresenceQuery'),
          ],
          { description: 'The command.' },
        ),
        users: presences,
        topic: Type.Optional(topic('Whose members they are.')),
        memberCount,
        hasMore: Type.Optional(Type.Boolean({ description: 'There are members behind the last one.' })),
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
    replay,
  }),
  DirectMessage: withFields('DirectMessage', 'A message to you, or from you on another device.', {
    topic: topic('Your own inbox.'),
    offset,
    from: user('Who sent it.'),
    to: user('Whom it was sent to.'),
    payload,
    event,
    priority,
    replay,
  }),
  Edited: withFields('Edited', "A message has another payload. The envelope's `id` is that of the edit.", {
    topic: topic('The topic.'),
    offset,
    messageId: Type.String({ description: 'Of the message that was edited.' }),
    by: user('Who edited it.'),
    payload,
    replay,
  }),
  Deleted: withFields('Deleted', 'A message was taken away.', {
    topic: topic('The topic.'),
    offset,
    messageId: Type.String({ description: 'Of the message that was deleted.' }),
    by: user('Who deleted it; of a message that was deleted before you came, who wrote it.'),
    replay,
  }),
  Receipt: withFields(
    'Receipt',
    'How far somebody has got or read a topic, or your conversation with them.',
    {
      topic: Type.Optional(topic('The topic.')),
      with: Type.Optional(user('The conversation; `offset` is one of your own inbox.')),
      user: user('Who.'),
      kind: Type.Union([Type.Literal('delivered'), Type.Literal('read')], { description: 'What they said.' }),
      offset: Type.Integer({ description: 'Everything up to it.' }),
    },
  ),
  Typing: withFields('Typing', 'Somebody is writing, or is not any more. Never stored, and may be dropped.', {
    topic: Type.Optional(topic('Where.')),
    from: Type.Optional(user('In the conversation with you.')),
    user: user('Who.'),
    active: Type.Boolean({ description: 'Ends by itself after 10 s.' }),
  }),
  Presence: withFields('Presence', 'How a user is now; of a large topic, how many are there.', {
    user: Type.Optional(userPresence.user),
    status: Type.Optional(userPresence.status),
    lastSeen: userPresence.lastSeen,
    devices: Type.Optional(userPresence.devices),
    meta: userPresence.meta,
    topic: Type.Optional(topic('Where, for members of a topic.')),
    memberCount,
    event: Type.Union([Type.Literal('join'), Type.Literal('leave'), Type.Literal('change')], {
      description: 'What happened.',
    }),
  }),
  System: withFields('System', 'About the server or this connection.', {
    event: Type.Union(
      [
        Type.Literal('draining'),
        Type.Literal('token_expiring'),
        Type.Literal('degraded'),
        Type.Literal('restored'),
      ],
      { description: 'What is happening.' },
    ),
    dependency: Type.Optional(
      Type.String({ description: 'What is away, or back: without `store` nothing durable is taken.' }),
    ),
    retryAfterMs: Type.Optional(Type.Integer({ description: 'Worth trying again after this long.' })),
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
