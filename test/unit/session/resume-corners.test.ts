/** Corners of resuming and of boards that a first review found: each of these was wrong once. */
// biome-ignore-all lint/suspicious/noExplicitAny: parts of contexts that the case in hand does not reach
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimerWheel } from '#kit/timer-wheel.ts';
import { membersOfTopic, type SessionId, type ShardId, topicKey } from '#proto/names.ts';
import { presenceOf } from '../../../src/presence/device-presence.ts';
import { PresenceBoard } from '../../../src/presence/presence-board.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import { TopicTable } from '../../../src/shard/topic-table.ts';
import { noStore } from '../../kit/no-store.ts';
import { SessionWorld } from '../../kit/session-world.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';
import { envelopesIn } from '../topic/topic-world.ts';

function boards() {
  const clock = new ManualClock();
  const timers = new TimerWheel(clock.monotonicMs());
  const flushes = new Set<any>();
  const said: any[] = [];
  const ctx = {
    clock,
    timers,
    presenceGraceMs: 3000,
    flushes: { requestFlush: (t: any) => void flushes.add(t) },
    subscribers: {
      deliver: (_s: any, _t: any, _l: any, b: any) => {
        said.push(...envelopesIn(b.frames));
        return 'sent' as const;
      },
      tellLost() {},
    },
  };
  const turn = () => {
    for (const f of [...flushes]) f.flush();
    flushes.clear();
  };
  const pass = (ms: number) => {
    for (let p = 0; p < ms; p += 50) {
      clock.advance(50);
      timers.turn(clock.monotonicMs());
      turn();
    }
  };
  return { clock, timers, ctx, said, turn, pass };
}
const key = topicKey('default' as never, 'chat:x' as never);
test('topic is dropped after its last member said goodbye', () => {
  const { ctx, clock, turn, pass } = boards();
  const table = new TopicTable({
    ...noStore,
    ...ctx,
    recentKeys: new RecentKeys(clock, countingIds(), { accepted() {}, duplicate() {} }),
    counters: { dropped() {}, expired() {}, waiting() {} },
  } as never);
  table.enter(
    key,
    0 as ShardId,
    { user: 'ann' as never, session: 's1' as SessionId, presence: { status: 'online', isIdle: false } },
    () => {},
  );
  turn();
  table.leave(key, 'ann' as never, 's1' as SessionId, false);
  pass(60_000);
  assert.equal(table.size, 0);
});
test('an invisible member is never told of, also when a large topic shrinks', () => {
  const { ctx, said, turn, pass } = boards();
  const board = new PresenceBoard(
    { key: membersOfTopic(key), about: { topic: 'chat:x' as never }, describe: presenceOf },
    ctx as never,
    () => {},
  );
  board.watch(0 as ShardId, ['json', ''], false);
  for (let i = 0; i < 201; i++)
    board.enter(`u${i}` as never, `s${i}` as never, 0 as ShardId, { status: 'online', isIdle: false });
  board.enter('ghost' as never, 'sg' as never, 0 as ShardId, { status: 'invisible', isIdle: false });
  pass(2000);
  for (let i = 0; i < 150; i++) board.leave(`u${i}` as never, `s${i}` as never);
  pass(2000);
  said.length = 0;
  board.leave('ghost' as never, 'sg' as never);
  turn();
  pass(2000);
  assert.deepEqual(
    said.map((e) => e.data),
    [],
  );
});
const former = (subs: any[]) => ({
  former: { session: 'old', tokenHash: 'h' },
  subscriptions: subs,
  watching: [],
});
test('a topic that the connection has subscribed before Resume is not said to have ended', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.resume = () => ({
    state: 'answered',
    answer: { ok: true, result: former([{ topic: 'a', filter: '', isMember: false }]) } as never,
  });
  world.send(session, { type: 'Subscribe', id: '1', data: { topic: 'a' } });
  world.send(session, { type: 'Resume', id: '2', data: { sessionId: 'old', resumeToken: 'x' } });
  assert.equal(transport.envelopes().filter((e) => e.data.op === 'Subscription').length, 0);
});
test('what is held for the reply to Resume never goes out without it, and is not counted as sent', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.join = () => ({ state: 'pending', correlation: 5 });
  world.resume = () => ({
    state: 'answered',
    answer: { ok: true, result: former([{ topic: 'a', filter: '', isMember: false }]) } as never,
  });
  world.send(session, { type: 'Resume', id: '2', data: { sessionId: 'old', resumeToken: 'x' } });
  world.send(session, { type: 'Ping', id: '3' });
  session.replies.system('draining', { reconnectAfterMs: 1 });
  session.close('going_away');
  assert.deepEqual(
    transport
      .envelopes()
      .slice(1)
      .map((e) => e.type),
    [],
  );
});
test('Resume without id writes no empty frame', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.resume = () => ({ state: 'answered', answer: { ok: true, result: former([]) } as never });
  const before = transport.written.length;
  const sent = world.count('sent');
  world.send(session, { type: 'Resume', data: { sessionId: 'old', resumeToken: 'x' } });
  assert.deepEqual([transport.written.slice(before), world.count('sent') - sent], [[], 0]);
});
test('a second Resume while the first is on its way', () => {
  const world = new SessionWorld();
  const { session } = world.open();
  let n = 10;
  const rec: any[] = [];
  world.resume = (_f, r) => {
    rec.push(r);
    return { state: 'pending', correlation: n++ };
  };
  world.send(
    session,
    [1, 2].map((i) => ({ type: 'Resume', id: `${i}`, data: { sessionId: `old${i}`, resumeToken: 'x' } })),
  );
  rec[0].onAnswer(10, { ok: true, result: former([{ topic: 'a', filter: '', isMember: false }]) });
  if (rec[1])
    rec[1].onAnswer(11, { ok: true, result: former([{ topic: 'b', filter: '', isMember: false }]) });
  world.turn();
  assert.equal(rec.length, 1);
});

import { userKey } from '#proto/names.ts';
import { UserTable } from '../../../src/shard/user-table.ts';
import { KeepBuffer } from '../../../src/user/keep-buffer.ts';
import { alone } from '../../kit/no-store.ts';

test('who waits for a session to park, and is gone when it does, is answered all the same', () => {
  const { ctx, clock } = boards();
  const answers: any[] = [];
  const users: UserTable = new UserTable({
    ...noStore,
    ...alone,
    ...ctx,
    recentKeys: new RecentKeys(clock, countingIds(), { accepted() {}, duplicate() {} }),
    sessionsMax: 10,
    homeOf: () => 0 as ShardId,
    sessions: { deliver: () => 'sent', replace() {}, tellLost() {}, tellReceipt() {}, copyToSender() {} },
  } as never);
  const ann = userKey('default' as never, 'ann' as never);
  for (const s of ['old', 'new'])
    users.attach(
      ann,
      { session: s as SessionId, shard: 0 as ShardId, encoding: 'json', tokenHash: `h ${s}` },
      undefined,
      () => {},
    );
  users.resume(ann, { session: 'new' as SessionId, former: 'old' as SessionId, tokenHash: 'h old' }, (a) =>
    answers.push(a),
  );
  users.park(ann, 'new' as SessionId, { subscriptions: [], watching: [] }, 'h new');
  users.park(ann, 'old' as SessionId, { subscriptions: [], watching: [] }, 'h old');
  assert.equal(answers.length, 1);
});
test('a session whose first write had an unknown fate is ended in the store, too', () => {
  const { timers, clock, pass } = boards();
  const asked: any[] = [];
  const store = {
    epoch: 'e',
    append: () => 'down',
    ask: (name: string, request: any, onResult: any) => {
      asked.push([name, request, onResult]);
      return 'sent';
    },
  };
  const keeps = new KeepBuffer({ clock, timers, store } as never);
  const source = {
    keptOf: (session: any) => ({
      session,
      user: 'default|ann',
      tokenHash: 'h',
      former: undefined,
      state: new Uint8Array(),
      expiresAtMs: undefined,
    }),
  };
  keeps.keep('s1' as SessionId, source as never);
  pass(1100);
  asked[0][2](undefined); // the store wrote it, and its answer was lost
  keeps.end('s1' as SessionId);
  pass(3000);
  assert.deepEqual(
    asked.slice(1).flatMap(([, { ended }]) => ended),
    ['s1'],
  );
});
