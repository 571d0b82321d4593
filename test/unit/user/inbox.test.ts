/** A user whose inbox is stored: what reaches which device, from which place on, and what the other side hears of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageId, SessionId, ShardId, TopicName, UserId, UserKey } from '#proto/names.ts';
import { topicKey, userKey, userOfKey } from '#proto/names.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import { KeepBuffer } from '../../../src/user/keep-buffer.ts';
import type { DirectCopy, UserContext } from '../../../src/user/ports.ts';
import { User } from '../../../src/user/user.ts';
import type { Answer, Joined, Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { alone } from '../../kit/no-store.ts';
import { LogWorld, range, replayedOffsets, tenant } from '../log/log-world.ts';
import { countingIds } from '../protect/manual-clock.ts';
import { envelopesIn, type ReceivedEnvelope } from '../topic/topic-world.ts';

const keptMs = 5 * 60_000;
const key = (user: string) => userKey(tenant, user as UserId);
const inboxKey = (user: string) => topicKey(tenant, `inbox:${user}` as TopicName);
const session = (name: string) => name as SessionId;

/** Ben at his home. */
class InboxWorld {
  readonly log = new LogWorld();
  readonly user: User;
  readonly answers: Answer[] = [];
  readonly deliveries: {
    shard: ShardId;
    sessions: SessionId[];
    inboxOffset: number | undefined;
    frame: Uint8Array;
  }[] = [];
  readonly toldLost: [ShardId, SessionId[]][] = [];
  readonly receipts: [UserKey, object][] = [];
  fullShard: number | undefined;
  idleCount = 0;
  /** What the homes of senders were told whose inboxes are not stored. */
  readonly copies: { sender: UserKey; copy: DirectCopy }[] = [];

  /** Some inboxes are `volatile`; the others are stored. */
  constructor({ sessionsMax = 50, volatile = [] as string[] } = {}) {
    const { ctx, timers, clock, store } = this.log;
    const userCtx: UserContext = {
      ...{ ...alone, ...ctx, timers },
      keeps: new KeepBuffer({ clock, timers, store }),
      isKept: (user) => !volatile.includes(`inbox:${userOfKey(user)}`),
      recentKeys: new RecentKeys(ctx.clock, countingIds(), ctx.acceptance),
      sessionsMax,
      classOf: (topic) => (volatile.includes(topic) ? 'volatile' : 'durable'),
      homeOf: () => 3 as ShardId,
      sessions: {
        deliver: (shard, sessions, inboxOffset, frame) => {
          if (shard === this.fullShard) return 'lost';
          this.deliveries.push({ shard, sessions, inboxOffset, frame });
          return 'sent';
        },
        hide: () => assert.fail('nobody is invisible'),
        replace: () => assert.fail('nobody resumes a session'),
        tellLost: (shard, sessions) => void this.toldLost.push([shard, sessions]),
        tellReceipt: (user, receipt) => void this.receipts.push([user, receipt]),
        copyToSender: (sender, copy) => {
          assert.notEqual(volatile.length, 0, 'what is stored is told by the store');
          this.copies.push({ sender, copy });
        },
      },
    };
    this.user = new User(key('ben'), userCtx, { onIdle: () => void this.idleCount++ });
  }

  readonly onAnswer = (answer: Answer): void => void this.answers.push(answer);

  attach(name: string, shard = 0, since?: Since): Answer | undefined {
    this.user.attach(
      session(name),
      { shard: shard as ShardId, encoding: 'json', tokenHash: 'hash' },
      since,
      this.onAnswer,
    );
    return this.take()[0];
  }

  direct(payload: unknown, sender = 'ann', from?: string): Answer | undefined {
    const message = { from: sender as UserId, payload: Payload.ofValue(payload) };
    this.user.direct(key(sender), message, from === undefined ? undefined : session(from), this.onAnswer);
    return this.take()[0];
  }

  mark(kind: 'read' | 'delivered', offset: number): Answer | undefined {
    this.user.mark(kind, offset, this.onAnswer);
    return this.take()[0];
  }

  take(): Answer[] {
    this.log.store.settle();
    return this.answers.splice(0);
  }

  received(name: string): ReceivedEnvelope[] {
    return this.deliveries
      .filter(({ sessions }) => sessions.includes(session(name)))
      .flatMap(({ frame }) => envelopesIn(frame));
  }

  offsets(name: string): unknown[] {
    return this.received(name).map(({ data }) => data['offset']);
  }
}

const at = (offset: number): Since => ({ offset, epoch: 'e1' });
const joinedOf = (answer: Answer | undefined) =>
  answer?.ok ? (answer.joined as Joined) : assert.fail('refused');
const codeOf = (answer: Answer | undefined) => (answer?.ok === false ? answer.refusal.code : answer);

test('[DUR1] a direct message is answered with its place in the inbox of the sender, and delivered with its place in this one', () => {
  const world = new InboxWorld();
  world.log.commit(4, { topic: inboxKey('ann') });
  world.attach('phone');
  const answer = world.direct('hi');
  assert.ok(answer?.ok);
  assert.deepEqual([answer.messageId, answer.position], ['m1', at(5)]);
  const [envelope] = world.received('phone');
  assert.deepEqual(
    [envelope?.type, envelope?.id, envelope?.data],
    ['DirectMessage', 'm1', { topic: 'inbox:ben', offset: 1, from: 'ann', to: 'ben', payload: 'hi' }],
  );
  assert.equal(world.deliveries[0]?.inboxOffset, 1);
});

test('what the user wrote elsewhere reaches the devices that did not send it, in its place of the inbox', () => {
  const world = new InboxWorld();
  for (const name of ['phone', 'laptop']) world.attach(name);
  world.log.commit(1, { topic: inboxKey('ben'), from: 'ben' as UserId, peer: 'ann' as UserId });
  const [message] = world.log.store.entries(inboxKey('ben'));
  world.user.onCopied(message!, session('phone'));
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[], [1]]);
  assert.equal(world.received('laptop')[0]?.data['to'], 'ann');
  world.direct('answer');
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[2], [1, 2]]);
});

test('a note to oneself is stored once, and reaches the devices that did not send it', () => {
  const world = new InboxWorld();
  for (const name of ['phone', 'laptop']) world.attach(name);
  const answer = world.direct('note', 'ben', 'phone');
  assert.ok(answer?.ok);
  assert.deepEqual(answer.position, at(1));
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[], [1]]);
  assert.equal(world.log.store.entries(inboxKey('ben')).length, 1);
});

test('[REC1] a device is told where the inbox ends, and gets what lies behind', () => {
  const world = new InboxWorld();
  world.direct(1);
  world.direct(2);
  const { position, isLive, recovered } = joinedOf(world.attach('phone'));
  assert.deepEqual([position, isLive, recovered], [at(2), true, undefined]);
  world.direct(3);
  assert.deepEqual(world.offsets('phone'), [3]);
});

test('[REC1] a device that comes back gets what it missed, and is live when nothing is left in the store only', () => {
  const world = new InboxWorld();
  for (const index of range(1, 3)) world.direct(index);
  const hot = joinedOf(world.attach('phone', 0, at(1)));
  assert.deepEqual([hot.isLive, hot.recovered, replayedOffsets(hot.replay)], [true, true, [2, 3]]);
  world.log.clock.advance(keptMs + 1);
  world.log.windows.expire(world.log.clock.monotonicMs());
  const cold = joinedOf(world.attach('laptop', 0, at(1)));
  assert.deepEqual([cold.isLive, cold.recovered, cold.replay], [false, true, undefined]);
  world.direct(4);
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[4], []]);
  const rest = joinedOf(world.attach('laptop', 0, at(3)));
  assert.deepEqual([rest.isLive, replayedOffsets(rest.replay)], [true, [4]]);
  world.direct(5);
  assert.deepEqual(world.offsets('laptop'), [5]);
});

test('a live device that asks for a stretch of the inbox goes on being live', () => {
  const world = new InboxWorld();
  for (const index of range(1, 3)) world.direct(index);
  world.attach('phone');
  world.log.clock.advance(keptMs + 1);
  world.log.windows.expire(world.log.clock.monotonicMs());
  const stretch = joinedOf(world.attach('phone', 0, { ...at(0), upTo: 3 }));
  assert.equal(stretch.isLive, false);
  world.direct(4);
  assert.deepEqual(world.offsets('phone'), [4]);
});

test('[REC1] a stretch of the inbox makes no device live, also where all of it is at hand', () => {
  const world = new InboxWorld();
  for (const index of range(1, 3)) world.direct(index);
  for (const upTo of [0, 2, 3, 9]) {
    const stretch = joinedOf(world.attach('phone', 0, { ...at(0), upTo }));
    assert.deepEqual([stretch.isLive, replayedOffsets(stretch.replay)], [true, range(1, Math.min(upTo, 3))]);
  }
  world.attach('phone', 0, { offset: 1, epoch: 'another life', upTo: 2 });
  world.direct(4);
  assert.deepEqual(world.offsets('phone'), []);
  assert.deepEqual(replayedOffsets(joinedOf(world.attach('phone', 0, at(3))).replay), [4]);
  world.direct(5);
  assert.deepEqual(world.offsets('phone'), [5], 'who asked for all that follows is live');
});

test('[REC1] a device whose delivery was lost gets nothing by itself before it has caught up, whatever stretch it asks for', () => {
  const world = new InboxWorld();
  for (const index of range(1, 5)) world.direct(index);
  world.attach('phone');
  world.fullShard = 0;
  world.direct(6);
  world.fullShard = undefined;
  world.direct(7);
  assert.equal(joinedOf(world.attach('phone', 0, { ...at(3), upTo: 5 })).recovered, true);
  world.direct(8);
  assert.deepEqual(world.offsets('phone'), []);
  assert.deepEqual(replayedOffsets(joinedOf(world.attach('phone', 0, at(5))).replay), [6, 7, 8]);
  world.direct(9);
  assert.deepEqual(world.offsets('phone'), [9]);
});

test('[REC1] a live device that asks for all behind a place of the store gets nothing by itself until it has it', () => {
  const world = new InboxWorld();
  for (const index of range(1, 3)) world.direct(index);
  world.log.clock.advance(keptMs + 1);
  world.log.windows.expire(world.log.clock.monotonicMs());
  world.log.store.door = 'down';
  world.attach('phone');
  world.log.store.door = 'sent';
  world.direct(4);
  assert.deepEqual(world.offsets('phone'), [4]);
  assert.equal(joinedOf(world.attach('phone', 0, at(0))).isLive, false);
  world.direct(5);
  assert.deepEqual(world.offsets('phone'), [4]);
  const rest = joinedOf(world.attach('phone', 0, at(3)));
  assert.deepEqual([rest.isLive, replayedOffsets(rest.replay)], [true, [4, 5]]);
  world.direct(6);
  assert.deepEqual(world.offsets('phone'), [4, 6]);
});

test('a session whose attachment was refused is no device, and takes no place', () => {
  const world = new InboxWorld({ sessionsMax: 2 });
  world.log.store.door = 'down';
  for (const name of ['a', 'b', 'c'])
    assert.equal(codeOf(world.attach(name, 0, at(1))), 'store_unavailable', name);
  assert.equal(world.user.isIdle, true);
  world.log.store.door = 'sent';
  for (const name of ['d', 'e']) assert.equal(world.attach(name)?.ok, true, name);
  assert.equal(codeOf(world.attach('f')), 'limit_exceeded');
  world.direct('hi');
  assert.deepEqual(new Set(world.deliveries.flatMap(({ sessions }) => sessions)), new Set(['d', 'e']));
});

test('a device that is there stays there when it is refused what it missed', () => {
  const world = new InboxWorld();
  world.direct('hi');
  world.attach('phone');
  world.log.clock.advance(keptMs + 1);
  world.log.windows.expire(world.log.clock.monotonicMs());
  world.log.store.door = 'down';
  assert.equal(codeOf(world.attach('phone', 0, { ...at(0), upTo: 1 })), 'store_unavailable');
  world.log.store.door = 'sent';
  world.direct('ho');
  assert.deepEqual(world.offsets('phone'), [2]);
});

test('where the inbox of the sender is not stored its other devices get the copy by its home, and nothing is stored for them', () => {
  const world = new InboxWorld({ volatile: ['inbox:bot'] });
  world.attach('phone');
  const send = () => {
    const message = { from: 'bot' as UserId, payload: Payload.ofValue('hi'), key: 'k' };
    world.user.direct(key('bot'), message, session('bot-1'), world.onAnswer);
  };
  send();
  assert.equal(world.copies.length, 0, 'not before the commit');
  const [answer] = world.take();
  assert.ok(answer?.ok);
  assert.equal(world.log.store.entries(inboxKey('ben')).length, 1);
  assert.equal(world.log.store.entries(inboxKey('bot')).length, 0);
  const { sender, copy } = world.copies[0]!;
  assert.deepEqual(
    [sender, copy.to, copy.messageId, copy.except, copy.message.payload.value],
    [key('bot'), 'ben', answer.messageId, 'bot-1', 'hi'],
  );
  send();
  const [again] = world.take();
  assert.deepEqual([again?.ok && again.isDuplicate, world.copies.length], [true, 1], 'a repeat is no news');
  world.log.store.door = 'down';
  world.user.direct(
    key('bot'),
    { from: 'bot' as UserId, payload: Payload.ofValue('ho') },
    undefined,
    world.onAnswer,
  );
  assert.deepEqual([codeOf(world.take()[0]), world.copies.length], ['store_unavailable', 1]);
});

test('the home of a sender whose inbox is not stored delivers the copy to its other devices', () => {
  const world = new InboxWorld({ volatile: ['inbox:ben'] });
  for (const name of ['phone', 'laptop']) world.attach(name);
  const message = { from: 'ben' as UserId, payload: Payload.ofValue('hi') };
  const copy = { to: 'ann' as UserId, message, messageId: 'm9' as MessageId };
  world.user.deliver({ ...copy, except: session('phone') });
  assert.deepEqual(world.received('phone'), []);
  const [envelope] = world.received('laptop');
  assert.deepEqual(
    [envelope?.id, envelope?.data],
    ['m9', { topic: 'inbox:ben', from: 'ben', to: 'ann', payload: 'hi' }],
  );
  assert.equal(world.log.store.entries(inboxKey('ben')).length, 0);
});

test('a device that left while the end of the inbox was asked for is not attached', () => {
  const world = new InboxWorld();
  world.user.attach(
    session('phone'),
    { shard: 0 as ShardId, encoding: 'json', tokenHash: 'hash' },
    undefined,
    world.onAnswer,
  );
  world.user.sessions.close(session('phone'));
  assert.equal(codeOf(world.take()[0]), 'busy');
  world.direct(1);
  assert.deepEqual(world.deliveries, []);
});

test('while the store is away a device is attached for what comes, and one that has to catch up must wait', () => {
  const world = new InboxWorld();
  world.log.store.door = 'down';
  assert.deepEqual(world.attach('phone'), { ok: true });
  assert.equal(codeOf(world.attach('laptop', 0, at(1))), 'store_unavailable');
  assert.equal(codeOf(world.direct('hi')), 'store_unavailable');
  world.log.store.door = 'sent';
  world.direct('hi');
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[1], []]);
});

test('a store that does not answer keeps no device waiting for long, and keeps one that has to catch up', () => {
  const world = new InboxWorld();
  const attach = (name: string, since?: Since) =>
    world.user.attach(
      session(name),
      { shard: 0 as ShardId, encoding: 'json', tokenHash: 'hash' },
      since,
      world.onAnswer,
    );
  attach('phone');
  attach('laptop', at(0));
  world.log.pass(950);
  assert.equal(world.answers.length, 0);
  world.log.pass(100);
  assert.deepEqual(world.answers.splice(0), [{ ok: true }]);
  assert.equal(joinedOf(world.take()[0]).recovered, true);
  world.direct('hi');
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[1], [1]]);
});

test('where a delivery finds no room its devices are told, and get nothing until they attach again', () => {
  const world = new InboxWorld();
  world.attach('phone', 0);
  world.attach('laptop', 1);
  world.fullShard = 1;
  world.direct(1);
  assert.deepEqual(world.toldLost, [[1, ['laptop']]]);
  world.fullShard = undefined;
  world.direct(2);
  assert.deepEqual([world.offsets('phone'), world.offsets('laptop')], [[1, 2], []]);
  assert.deepEqual(replayedOffsets(joinedOf(world.attach('laptop', 1, at(0))).replay), [1, 2]);
  world.direct(3);
  assert.deepEqual(world.offsets('laptop'), [3]);
});

test('a message is edited and deleted in both inboxes, by who wrote it', () => {
  const world = new InboxWorld();
  world.attach('phone');
  world.direct('first');
  const amend = (from: string, kind: 'edited' | 'deleted') => {
    const amendment = { kind, target: 'm1' as MessageId, from: from as UserId, mayAmendAny: false };
    const payload = kind === 'edited' ? { payload: Payload.ofValue('better') } : {};
    world.user.amend(key('ann'), { ...amendment, ...payload }, world.onAnswer);
    return world.take()[0];
  };
  assert.equal(codeOf(amend('ben', 'edited')), 'permission_denied');
  const edited = amend('ann', 'edited');
  assert.deepEqual(edited?.ok && edited.position, at(2));
  assert.equal(amend('ann', 'deleted')?.ok, true);
  assert.deepEqual(
    world.received('phone').map(({ type, data }) => [type, data['topic'], data['offset'], data['messageId']]),
    [
      ['DirectMessage', 'inbox:ben', 1, undefined],
      ['Edited', 'inbox:ben', 2, 'm1'],
      ['Deleted', 'inbox:ben', 3, 'm1'],
    ],
  );
  for (const user of ['ann', 'ben']) {
    assert.notEqual(world.log.store.entries(inboxKey(user))[0]?.deletedAtMs, undefined, user);
  }
});

test('a mark is told to each of those whose messages it newly covers, in the places of their own inboxes', () => {
  const world = new InboxWorld();
  world.log.commit(10, { topic: inboxKey('cat') });
  world.direct(1, 'ann');
  world.direct(2, 'ann');
  world.direct(3, 'cat');
  world.direct(4, 'ben');
  assert.deepEqual(world.mark('read', 4), { ok: true });
  assert.deepEqual(world.receipts.splice(0), [
    [key('ann'), { by: 'ben', kind: 'read', offset: 2 }],
    [key('cat'), { by: 'ben', kind: 'read', offset: 11 }],
  ]);
  world.mark('read', 2);
  world.direct(5, 'ann');
  world.mark('read', 5);
  world.mark('delivered', 1);
  assert.deepEqual(world.receipts, [
    [key('ann'), { by: 'ben', kind: 'read', offset: 3 }],
    [key('ann'), { by: 'ben', kind: 'delivered', offset: 1 }],
  ]);
  assert.equal(codeOf(world.mark('read', 99)), 'bad_request');
  assert.equal(world.receipts.length, 2);
});

test('a receipt reaches all devices, says whose it is, and takes no place of the inbox', () => {
  const world = new InboxWorld();
  world.attach('phone', 0);
  world.attach('laptop', 1);
  world.user.deliverReceipt('ann' as UserId, 'delivered', 7);
  for (const name of ['phone', 'laptop']) {
    const [envelope] = world.received(name);
    assert.deepEqual(
      [envelope?.type, envelope?.data],
      ['Receipt', { with: 'ann', user: 'ann', kind: 'delivered', offset: 7 }],
    );
  }
  assert.deepEqual(
    world.deliveries.map(({ inboxOffset }) => inboxOffset),
    [undefined, undefined],
  );
  world.fullShard = 0;
  world.user.deliverReceipt('ann' as UserId, 'read', 8);
  assert.deepEqual(world.toldLost, [], 'the next one says more');
});

test('[DUR2] a key answers with the first message, whoever is there', () => {
  const world = new InboxWorld();
  const send = () => {
    const message = { from: 'ann' as UserId, payload: Payload.ofValue('hi'), key: 'k' };
    world.user.direct(key('ann'), message, undefined, world.onAnswer);
    return world.take()[0];
  };
  const first = send();
  world.attach('phone');
  const second = send();
  assert.ok(first?.ok && second?.ok);
  assert.deepEqual(
    [second.messageId, second.isDuplicate, second.position],
    [first.messageId, true, first.position],
  );
  assert.deepEqual(world.deliveries, []);
});

test('a user is idle when no device is left and nothing of the inbox is at hand', () => {
  const world = new InboxWorld();
  world.attach('phone');
  world.direct(1);
  world.user.sessions.close(session('phone'));
  assert.equal(world.user.isIdle, false);
  world.log.clock.advance(keptMs + 1);
  world.log.windows.expire(world.log.clock.monotonicMs());
  assert.deepEqual([world.user.isIdle, world.idleCount], [true, 1]);
});
