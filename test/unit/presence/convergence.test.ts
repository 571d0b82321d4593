/** An answer and the changes that follow it come to the truth, whatever happened in the window of what was to be told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimerWheel } from '#kit/timer-wheel.ts';
import {
  membersOfTopic,
  presenceOfUser,
  type SessionId,
  type ShardId,
  type UserId,
  type UserKey,
  userOfKey,
} from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { FlushTarget } from '../../../src/fanout/ports.ts';
import {
  type DevicePresence,
  plainPresence,
  type UserPresence,
} from '../../../src/presence/device-presence.ts';
import type { MembersPage } from '../../../src/presence/presence-board.ts';
import { nothingTold } from '../../../src/presence/session-told.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import type { Requested } from '../../../src/session/ports.ts';
import { UserTable } from '../../../src/shard/user-table.ts';
import { KeepBuffer } from '../../../src/user/keep-buffer.ts';
import type { Answer } from '../../../src/wire/message.ts';
import { alone, noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';
import { Client, ShardPair, topicAt, userAt } from '../shard/shard-pair.ts';
import { envelopesIn } from '../topic/topic-world.ts';

const lane: LaneSpec = ['json', ''];
const shard0 = 0 as ShardId;
const busy: DevicePresence = { ...plainPresence, status: 'busy' };
const session = (name: string) => name as SessionId;

/** Of a home in the same thread. */
function resultOf(requested: Requested): unknown {
  assert.equal(requested.state, 'answered');
  const { answer } = requested as Requested & { state: 'answered' };
  return (answer as Answer & { result: unknown }).result;
}

function usersAfter(members: string[], client: Client): string[] {
  const users = new Set(members);
  for (const { type, data } of client.envelopes) {
    if (type !== 'Presence') continue;
    if (data['event'] === 'leave') users.delete(data['user'] as string);
    else users.add(data['user'] as string);
  }
  return [...users].toSorted();
}

test('who was listed in a reply, and left before others were told of them, is told to have left', () => {
  const pair = new ShardPair();
  try {
    const { presencePort, topicPort } = pair.here;
    const topic = topicAt(0);
    const ann = new Client();
    const member = (user: string) => ({
      user: user as UserId,
      session: session(user),
      presence: plainPresence,
    });
    presencePort.enter(topic, member('bob'), new Client());
    topicPort.subscribe(membersOfTopic(topic), lane, ann, undefined, ann);
    const { users } = resultOf(presencePort.enter(topic, member('ann'), ann)) as MembersPage;
    presencePort.leave(topic, 'bob' as UserId, session('bob'), false);
    pair.settle();
    const listed = users.map(({ user }) => user);
    assert.deepEqual(usersAfter(listed, ann), ['ann'], `listed were ${listed.join()}`);
  } finally {
    pair.close();
  }
});

test('what a reply said of a user, and was over before others were told of it, is told to be over', () => {
  const pair = new ShardPair();
  try {
    const { presencePort, topicPort, userPort } = pair.here;
    const user = userAt(0);
    const [early, late] = [new Client(), new Client()];
    pair.here.attach(user, session('s'), 'json');
    topicPort.subscribe(presenceOfUser(user), lane, early, undefined, early);
    pair.settle();
    userPort.tell(user, session('s'), { ...nothingTold, presence: busy });
    topicPort.subscribe(presenceOfUser(user), lane, late, undefined, late);
    const [said] = resultOf(presencePort.users([user], late)) as UserPresence[];
    userPort.tell(user, session('s'), { ...nothingTold, presence: plainPresence });
    pair.settle();
    const last = late.envelopes.findLast(({ type }) => type === 'Presence')?.data['status'];
    assert.equal(last ?? said?.status, 'online', `the reply said ${said?.status}`);
  } finally {
    pair.close();
  }
});

type OnSeen = (known: []) => void;

/** Users who are watched from shard 0, and a store that takes its time. */
class SlowStoreWorld {
  readonly said: Record<string, unknown>[] = [];
  readonly #flushes = new Set<FlushTarget>();
  readonly #asked: OnSeen[] = [];
  readonly users: UserTable;

  constructor() {
    const clock = new ManualClock();
    const nothing = () => {};
    const timers = new TimerWheel(clock.monotonicMs());
    const ask = (_name: string, _request: object, onAnswer: (result: never) => void) => {
      this.#asked.push(onAnswer as OnSeen);
      return 'sent' as const;
    };
    const store = { ...noStore.store, ask };
    this.users = new UserTable({
      ...{ ...noStore, ...alone, clock, timers, store, sessionsMax: 10 },
      ...{ isKept: () => true, keeps: new KeepBuffer({ clock, timers, store }), homeOf: () => shard0 },
      recentKeys: new RecentKeys(clock, countingIds(), { accepted: nothing, duplicate: nothing }),
      sessions: {
        ...{ deliver: () => 'sent', replace: nothing, hide: nothing, tellLost: nothing },
        ...{ tellReceipt: nothing, copyToSender: nothing },
      },
      flushes: { requestFlush: (target) => void this.#flushes.add(target) },
      subscribers: {
        deliver: (_shard, _topic, _lane, { frames }) => {
          this.said.push(...envelopesIn(frames).map(({ data }) => data));
          return 'sent';
        },
        tellLost: nothing,
      },
    });
  }

  attach(user: UserKey): void {
    const attaching = {
      session: session('s'),
      shard: shard0,
      encoding: 'json',
      tokenHash: undefined,
    } as const;
    this.users.attach(user, attaching, undefined, () => {});
  }

  flush(): void {
    for (const target of [...this.#flushes]) target.flush();
    this.#flushes.clear();
  }

  answerStore(): void {
    for (const onAnswer of this.#asked.splice(0)) onAnswer([]);
  }
}

test('what changed while the store was asked is not overtaken by the answer', () => {
  const world = new SlowStoreWorld();
  const [there, coming, unknown] = ['ann', 'bob', 'carl'].map((name) =>
    userAt(0, (index) => `${name}-${index}`),
  ) as [UserKey, UserKey, UserKey];
  world.attach(there);
  for (const user of [there, coming, unknown]) world.users.watch(user, shard0, lane, false);
  let reply: UserPresence[] | undefined;
  world.users.presences([there, coming, unknown], (answer) => {
    reply = (answer as Answer & { result: UserPresence[] }).result;
  });
  world.users.tell(there, session('s'), { ...nothingTold, presence: busy });
  world.attach(coming);
  world.flush();
  const toldBefore = reply === undefined ? world.said.map(({ user, status }) => [user, status]) : [];
  world.answerStore();
  world.flush();
  // The last that was said of each: the answer, unless something came behind it.
  const last = new Map<unknown, unknown>(toldBefore as [unknown, unknown][]);
  for (const { user, status } of reply ?? []) last.set(user, status);
  for (const { user, status } of world.said.slice(toldBefore.length)) last.set(user, status);
  assert.deepEqual(
    [there, coming, unknown].map((user) => last.get(userOfKey(user))),
    ['busy', 'online', 'offline'],
  );
});
