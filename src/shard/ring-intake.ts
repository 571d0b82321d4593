/**
 * Records from other shards → the actors of this one.
 * Thread: shard. Called by the duty cycle for every record; one function per kind, total by construction.
 */

import { refusal } from '#proto/error-codes.ts';
import type { ShardId } from '#proto/names.ts';
import type { RecordBodies, RecordHeader, RecordKind } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import { unpackMsgpack } from '../wire/codec.ts';
import { type Answer, answerFromBody, answerToBody, messageFromBody, refused } from '../wire/message.ts';
import { noCorrelation, type PendingRequests } from './pending-requests.ts';
import type { SessionTable } from './session-table.ts';
import type { StorePort } from './store-port.ts';
import type { SubscriberTable } from './subscriber-table.ts';
import type { TopicTable } from './topic-table.ts';
import type { UserTable } from './user-table.ts';

export interface IntakeContext {
  links: ThreadLinks;
  pending: PendingRequests;
  topics: TopicTable;
  users: UserTable;
  subscribers: SubscriberTable;
  sessions: SessionTable;
  store: StorePort;
  /** Logs and counts; answers the correlation id. */
  onFailure(error: unknown): string;
}

type Intake<Kind extends RecordKind> = (
  body: RecordBodies[Kind],
  header: RecordHeader,
  ctx: IntakeContext,
) => Answer | void;

/** What only the store is asked. */
type StoreKind = 'storeAppend' | 'storeReappend' | 'storePage';
type ShardKind = Exclude<RecordKind, StoreKind>;

const intakes: { [Kind in ShardKind]: Intake<Kind> } = {
  answer: (body, { correlation }, { pending }) => pending.settle(correlation, answerFromBody(body)),

  topicSubscribe: ([topic, ...lane], { fromShard }, { topics }) => topics.subscribe(topic, fromShard, lane),
  topicUnsubscribe: ([topic, ...lane], { fromShard }, { topics }) =>
    topics.unsubscribe(topic, fromShard, lane),
  topicResubscribe: ([topic, ...lane], { fromShard }, { topics }) =>
    void topics.subscribe(topic, fromShard, lane),
  topicPublish: ([topic, ...message], header, ctx) =>
    ctx.topics.publish(topic, messageFromBody(message), answerLater(header, ctx)),
  topicDeliver: ([topic, encoding, filter, frameCount, frames], _header, { subscribers }) =>
    subscribers.deliver(topic, [encoding, filter], frameCount, frames),

  userAttach: ([user, session, encoding], { fromShard }, { users }) =>
    users.attach(user, session, fromShard, encoding),
  userDetach: ([user, session], _header, { users }) => users.detach(user, session),
  userDirect: ([to, sender, except, ...message], _header, { users }) =>
    users.direct(to, messageFromBody(message), sender, except ?? undefined),
  userCopy: ([sender, to, except, messageId, ...message], _header, { users }) =>
    users.deliverCopy(sender, {
      to,
      message: messageFromBody(message),
      messageId,
      except: except ?? undefined,
    }),

  sessionDeliver: ([ids, frameCount, frames], _header, { sessions }) =>
    sessions.deliver(ids, frameCount, frames),

  storeHello: ([epoch], _header, { store }) => store.onHello(epoch),
  storeAppended: (body, { correlation }, { store }) => store.onAppended(correlation, body),
  storePaged: (body, { correlation }, { store }) => store.onPaged(correlation, body),
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
