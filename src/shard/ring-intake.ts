/**
 * Records from other shards → the actors of this one.
 * Thread: shard. Called by the duty cycle for every record; one function per kind, total by construction.
 */

import { refusal } from '#proto/error-codes.ts';
import { type ShardId, topicOfKey, userOfInbox } from '#proto/names.ts';
import type { RecordBodies, RecordHeader, RecordKind } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { HotWindows } from '../log/hot-windows.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import type { StoredMessage } from '../store/history-store.ts';
import { unpackMsgpack, unpackObject } from '../wire/codec.ts';
import {
  type Answer,
  amendmentFromBody,
  answerFromBody,
  answerToBody,
  messageFromBody,
  refused,
  sinceFromBody,
} from '../wire/message.ts';
import type { LaneHomes } from './lane-homes.ts';
import { noCorrelation, type PendingRequests } from './pending-requests.ts';
import type { SessionInspection, SessionQueryName } from './session-inspection.ts';
import type { SessionTable } from './session-table.ts';
import type { StorePort } from './store-port.ts';
import type { SubscriberTable } from './subscriber-table.ts';
import type { RoutedTopicPort } from './topic-port.ts';
import type { TopicTable } from './topic-table.ts';
import type { UserTable } from './user-table.ts';

export interface IntakeContext {
  links: ThreadLinks;
  pending: PendingRequests;
  topics: TopicTable;
  laneHomes: LaneHomes;
  inspection: SessionInspection;
  users: UserTable;
  subscribers: SubscriberTable;
  sessions: SessionTable;
  store: StorePort;
  topicPort: RoutedTopicPort;
  windows: HotWindows;
  /** Clients are told. */
  onStoreHealth: (isUp: boolean) => void;
  /** Logs and counts; answers the correlation id. */
  onFailure(error: unknown): string;
}

type Intake<Kind extends RecordKind> = (
  body: RecordBodies[Kind],
  header: RecordHeader,
  ctx: IntakeContext,
) => Answer | void;

/** What only the store is asked. */
type StoreKind = 'storeAppend' | 'storeReappend' | 'storeQuery';
type ShardKind = Exclude<RecordKind, StoreKind>;

const intakes: { [Kind in ShardKind]: Intake<Kind> } = {
  answer: (body, { correlation }, { pending }) => pending.settle(correlation, answerFromBody(body)),

  topicSubscribe: ([topic, encoding, filter, since], header, ctx) =>
    ctx.laneHomes.subscribe(
      topic,
      header.fromShard,
      [encoding, filter],
      sinceFromBody(since),
      answerLater(header, ctx),
    ),
  topicUnsubscribe: ([topic, ...lane], { fromShard }, { laneHomes }) =>
    laneHomes.unsubscribe(topic, fromShard, lane),
  topicResubscribe: ([topic, ...lane], { fromShard }, { laneHomes }) =>
    laneHomes.subscribeAgain(topic, fromShard, lane),
  topicPublish: ([topic, ...message], header, ctx) =>
    ctx.topics.publish(topic, messageFromBody(message), answerLater(header, ctx)),
  topicAmend: ([topic, ...amendment], header, ctx) =>
    ctx.topics.amend(topic, amendmentFromBody(amendment), answerLater(header, ctx)),
  topicMark: ([topic, user, kind, offset], header, ctx) =>
    ctx.topics.mark(topic, user, { kind, offset }, answerLater(header, ctx)),
  topicLost: ([topic, ...lane], _header, { topicPort }) => topicPort.onLost(topic, lane),
  topicDeliver: ([topic, encoding, filter, frameCount, frames, delivery, upTo], _header, { subscribers }) =>
    subscribers.deliver(topic, [encoding, filter], { frameCount, frames, delivery, upTo }),
  topicEnter: ([topic, user, session, presence], header, ctx) => {
    const member = { user, session, presence: unpackObject(presence) as DevicePresence };
    ctx.topics.enter(topic, header.fromShard, member, answerLater(header, ctx));
  },
  topicMember: ([topic, user, session, presence], { fromShard }, { topics }) =>
    topics.change(topic, fromShard, { user, session, presence: unpackObject(presence) as DevicePresence }),
  topicLeave: ([topic, user, session, isLost], _header, { topics }) =>
    topics.leave(topic, user, session, isLost),
  topicMembers: ([topic, after, limit], header, ctx) =>
    ctx.topics.members(topic, after ?? undefined, limit, answerLater(header, ctx)),
  topicTyping: ([topic, user, isActive], _header, { topics }) => topics.typing(topic, user, isActive),

  userAttach: ([user, session, encoding, since, tokenHash, packed], header, ctx) => {
    const told = packed === null ? undefined : (unpackObject(packed) as SessionTold);
    const device = { session, shard: header.fromShard, encoding, tokenHash: tokenHash ?? undefined, told };
    ctx.users.attach(user, device, sinceFromBody(since), answerLater(header, ctx));
  },
  userDetach: ([user, session], _header, { users }) => users.detach(user, session),
  userTell: ([user, session, told], _header, { users }) =>
    users.tell(user, session, unpackObject(told) as SessionTold),
  userPark: ([user, session, told, tokenHash], _header, { users }) =>
    users.park(user, session, unpackObject(told) as SessionTold, tokenHash),
  userForget: ([user], _header, { users }) => users.forget(user),
  userResume: ([user, session, former, tokenHash], header, ctx) =>
    ctx.users.resume(user, { session, former, tokenHash }, answerLater(header, ctx)),
  userPresences: ([users], header, ctx) => ctx.users.presences(users, answerLater(header, ctx)),
  userTyping: ([to, from, isActive], _header, { users }) => users.typing(to, from, isActive),
  userDirect: ([to, sender, except, ...message], header, ctx) =>
    ctx.users.direct(to, messageFromBody(message), sender, except ?? undefined, answerLater(header, ctx)),
  userAmend: ([user, other, ...amendment], header, ctx) =>
    ctx.users.amend(user, other, amendmentFromBody(amendment), answerLater(header, ctx)),
  userMark: ([user, kind, offset], header, ctx) =>
    ctx.users.mark(user, kind, offset, answerLater(header, ctx)),
  userReceipt: ([user, by, kind, offset], _header, { users }) => users.deliverReceipt(user, by, kind, offset),
  userCopy: ([sender, to, except, messageId, ...message], _header, { users }) =>
    users.deliverCopy(sender, {
      to,
      message: messageFromBody(message),
      messageId,
      except: except ?? undefined,
    }),

  sessionDeliver: ([ids, inboxOffset, frameCount, frames, delivery], _header, { sessions }) =>
    sessions.deliver(ids, inboxOffset, { frameCount, frames, delivery }),
  sessionHide: ([ids, isHidden], _header, { sessions }) => sessions.hide(ids, isHidden),
  sessionReplace: ([id], _header, { sessions }) => sessions.get(id)?.close('replaced'),
  shardQuery: ([name, request], header, ctx) =>
    ctx.inspection.answer(
      name as SessionQueryName,
      unpackObject(request) as object,
      answerLater(header, ctx),
    ),
  sessionLost: ([ids], _header, { sessions }) => sessions.onInboxLost(ids),

  storeHello: ([epoch], _header, { store, topics, users, onStoreHealth }) => {
    const isFirst = store.epoch === undefined;
    store.onHello(epoch);
    if (!isFirst) {
      topics.onStoreRestarted();
      users.onStoreRestarted();
    }
    onStoreHealth(true);
  },
  storeAppended: (body, { correlation }, { store }) => store.onAppended(correlation, body),
  storeResult: (body, { correlation }, { store }) => store.onResult(correlation, body),
  storeCopied: ([inbox, except, message], _header, { users }) =>
    users.onCopied(inbox, unpackObject(message) as StoredMessage, except ?? undefined),
  storeHeard: ([topic, offset], _header, { topics, users }) => {
    if (userOfInbox(topicOfKey(topic)) === undefined) topics.onHeard(topic, offset);
    else users.onHeard(topic, offset);
  },
  logsForget: (_body, _header, { windows }) => windows.forget(),
  storeHealth: ([isUp], _header, { onStoreHealth }) => onStoreHealth(isUp),
};

/**
 * Handles one record; a request gets its answer into the ring back. An actor that throws refuses this one record: the
 * shard, its other actors and the records behind it go on.
 */
export function takeRecord(header: RecordHeader, ownedBody: Uint8Array, ctx: IntakeContext): void {
  const intake = intakes[header.kind as ShardKind] as Intake<ShardKind>;
  let answer: Answer | void;
  try {
    answer = intake(unpackMsgpack(ownedBody) as RecordBodies[ShardKind], header, ctx);
  } catch (error) {
    answer = refused(refusal('internal', `internal error ${ctx.onFailure(error)}`));
  }
  // An answer is not answered: its number would name another request over there.
  if (answer && header.kind !== 'answer' && header.correlation !== noCorrelation)
    reply(header.fromShard, header.correlation, answer, ctx);
}

/** For an answer that may come when the asking thread is another one, which numbers its requests anew. */
function answerLater({ fromShard, correlation }: RecordHeader, ctx: IntakeContext): (answer: Answer) => void {
  const link = ctx.links.to(fromShard);
  return (answer) => {
    if (ctx.links.to(fromShard) === link) reply(fromShard, correlation, answer, ctx);
  };
}

function reply(shard: ShardId, correlation: number, answer: Answer, { links }: IntakeContext): void {
  links.send(shard, 'answer', correlation, answerToBody(answer));
}
