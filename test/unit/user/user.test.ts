/** The actor of a user: devices that come and go, and what reaches them directly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Encoding } from '#proto/envelope.ts';
import type { SessionId, ShardId, Tenant, UserId, UserKey } from '#proto/names.ts';
import { userKey } from '#proto/names.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import type { DirectCopy, UserContext } from '../../../src/user/ports.ts';
import { User } from '../../../src/user/user.ts';
import type { Answer, Message } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { alone, noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';
import { envelopesIn, type ReceivedEnvelope } from '../topic/topic-world.ts';

const key = (user: string) => userKey('default' as Tenant, user as UserId);
const session = (name: string) => name as SessionId;

class UserWorld {
  readonly clock = new ManualClock();
  readonly deliveries: { shard: ShardId; sessions: SessionId[]; frame: Uint8Array }[] = [];
  readonly copies: { sender: UserKey; copy: DirectCopy }[] = [];
  readonly counts = { accepted: 0, duplicate: 0 };
  readonly user: User;

  constructor(sessionsMax = 50) {
    const ctx: UserContext = {
      ...{ ...noStore, ...alone },
      clock: this.clock,
      recentKeys: new RecentKeys(this.clock, countingIds(), {
        accepted: () => void this.counts.accepted++,
        duplicate: () => void this.counts.duplicate++,
      }),
      sessions: {
        deliver: (shard, sessions, _inboxOffset, frame) => {
          this.deliveries.push({ shard, sessions, frame });
          return 'sent';
        },
        hide: () => assert.fail('nobody is invisible'),
        replace: () => assert.fail('nobody resumes a session'),
        tellLost: () => assert.fail('nothing that is volatile is told to be lost'),
        tellReceipt: () => assert.fail('nobody has left a mark'),
        copyToSender: (sender, copy) => void this.copies.push({ sender, copy }),
      },
      sessionsMax,
      homeOf: () => 0 as ShardId,
    };
    this.user = new User(key('ben'), ctx, { onIdle() {} });
  }

  attach(name: string, shard = 0, encoding: Encoding = 'json'): Answer {
    const device = { shard: shard as ShardId, encoding, tokenHash: undefined };
    return answerOf((onAnswer) => this.user.attach(session(name), device, undefined, onAnswer));
  }

  direct(payload: unknown, fields: Partial<Message> = {}, sender = 'ann', from?: string) {
    const message = { from: sender as UserId, payload: Payload.ofValue(payload), ...fields };
    const sendingSession = from === undefined ? undefined : session(from);
    return answerOf((onAnswer) => this.user.direct(key(sender), message, sendingSession, onAnswer));
  }

  /** Sessions that got something, and what. */
  received(name: string): ReceivedEnvelope[] {
    const own = this.deliveries.filter(({ sessions }) => sessions.includes(session(name)));
    return own.flatMap(({ frame }) => envelopesIn(frame));
  }
}

/** Where nothing is stored every answer comes at once. */
function answerOf(ask: (onAnswer: (answer: Answer) => void) => void): Answer {
  let answered: Answer | undefined;
  ask((answer) => {
    answered = answer;
  });
  return answered as Answer;
}

test('a message reaches every device, each in its encoding, with id, sender, receiver and time', () => {
  const world = new UserWorld();
  world.attach('phone', 0, 'json');
  world.attach('laptop', 1, 'msgpack');
  assert.deepEqual(world.direct({ text: 'hi' }, { event: 'said', priority: 'high' }), {
    ok: true,
    messageId: 'm1',
    isDuplicate: false,
  });
  const data = {
    ...{ topic: 'inbox:ben', from: 'ann', to: 'ben', event: 'said', priority: 'high' },
    payload: { text: 'hi' },
  };
  const envelope = { type: 'DirectMessage', id: 'm1', data, timestamp: world.clock.wallMs() };
  assert.deepEqual(world.received('phone'), [envelope]);
  assert.deepEqual(world.received('laptop'), [envelope]);
});

test('one record per shard and encoding, and one frame for all devices of an encoding', () => {
  const world = new UserWorld();
  for (const shard of [0, 1]) {
    for (const encoding of ['json', 'msgpack'] as const) {
      world.attach(`${shard}-${encoding}-a`, shard, encoding);
      world.attach(`${shard}-${encoding}-b`, shard, encoding);
    }
  }
  world.direct(1);
  assert.deepEqual(
    world.deliveries.map(({ shard, sessions }) => [shard, sessions.length]),
    [
      [0, 2],
      [0, 2],
      [1, 2],
      [1, 2],
    ],
  );
  assert.equal(new Set(world.deliveries.map(({ frame }) => frame)).size, 2);
});

test('messages reach a device in the order in which they were accepted', () => {
  const world = new UserWorld();
  world.attach('phone');
  for (let index = 0; index < 20; index++) world.direct(index);
  assert.deepEqual(
    world.received('phone').map(({ data }) => data['payload']),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("the sender's own devices get a copy by the sender's home, except the one that sent it", () => {
  const world = new UserWorld();
  world.direct('hi', {}, 'ann', 'ann-phone');
  assert.equal(world.copies.length, 1);
  const { sender, copy } = world.copies[0]!;
  assert.deepEqual([sender, copy.to, copy.messageId, copy.except], [key('ann'), 'ben', 'm1', 'ann-phone']);
});

test('a copy is delivered in the own inbox, to all devices but the sending one', () => {
  const world = new UserWorld();
  for (const device of ['phone', 'laptop', 'tablet']) world.attach(device);
  const message = { from: 'ben' as UserId, payload: Payload.ofValue('hi') };
  world.user.deliver({ to: 'ann' as UserId, message, messageId: 'm9' as never, except: session('phone') });
  assert.deepEqual(world.received('phone'), []);
  const [envelope] = world.received('laptop');
  assert.deepEqual(
    [envelope?.id, envelope?.data],
    ['m9', { topic: 'inbox:ben', from: 'ben', to: 'ann', payload: 'hi' }],
  );
  assert.deepEqual(world.received('tablet'), [envelope]);
});

test('a message to oneself reaches all other devices once, with no copy', () => {
  const world = new UserWorld();
  world.attach('phone');
  world.attach('laptop');
  world.direct('note', {}, 'ben', 'phone');
  assert.equal(world.received('phone').length, 0);
  assert.equal(world.received('laptop').length, 1);
  assert.deepEqual(world.copies, []);
});

test('without a device a message is accepted, and the sender still gets the copy', () => {
  const world = new UserWorld();
  assert.equal(world.direct('hi').ok, true);
  assert.deepEqual([world.deliveries.length, world.copies.length, world.counts.accepted], [0, 1, 1]);
});

test('[PUB3] the same key with the same body answers with the first id and is delivered once', () => {
  const world = new UserWorld();
  world.attach('phone');
  world.direct('hi', { key: 'k1' });
  assert.deepEqual(world.direct('hi', { key: 'k1' }), { ok: true, messageId: 'm1', isDuplicate: true });
  assert.deepEqual([world.deliveries.length, world.copies.length, world.counts.duplicate], [1, 1, 1]);
});

test('[PUB3] the same key with another body is refused; the same key of another sender is not', () => {
  const world = new UserWorld();
  world.attach('phone');
  world.direct('hi', { key: 'k1' });
  const answer = world.direct('ho', { key: 'k1' });
  assert.ok(!answer.ok);
  assert.equal(answer.refusal.code, 'key_conflict');
  assert.equal(world.direct('ho', { key: 'k1' }, 'cat').ok, true);
  assert.deepEqual(
    world.received('phone').map(({ data }) => data['payload']),
    ['hi', 'ho'],
  );
});

test('up to the limit devices attach; the next is refused until one leaves', () => {
  const world = new UserWorld(2);
  assert.deepEqual([world.attach('a'), world.attach('b')], [{ ok: true }, { ok: true }]);
  const refused = world.attach('c');
  assert.ok(!refused.ok);
  assert.equal(refused.refusal.code, 'limit_exceeded');
  assert.match(refused.refusal.message, /2 connections/);
  world.user.sessions.close(session('a'));
  assert.deepEqual(world.attach('c'), { ok: true });
});

test('attaching again is no second device, also at the limit', () => {
  const world = new UserWorld(1);
  world.attach('a', 0, 'json');
  assert.deepEqual(world.attach('a', 0, 'json'), { ok: true });
  world.direct(1);
  assert.deepEqual(
    world.deliveries.map(({ shard, sessions }) => [shard, sessions]),
    [[0, ['a']]],
  );
});

test('a device that left gets nothing; leaving twice is leaving once', () => {
  const world = new UserWorld();
  world.attach('phone');
  world.attach('laptop');
  world.user.sessions.close(session('phone'));
  world.user.sessions.close(session('phone'));
  world.direct(1);
  assert.deepEqual(
    world.deliveries.map(({ sessions }) => sessions),
    [['laptop']],
  );
  assert.equal(world.user.isIdle, false);
  world.user.sessions.close(session('laptop'));
  assert.equal(world.user.isIdle, true);
});

test('when a shard died its devices are gone and count no more', () => {
  const world = new UserWorld(3);
  world.attach('a', 0);
  world.attach('b', 1);
  world.attach('c', 0);
  world.user.sessions.dropShard(0 as ShardId);
  world.direct(1);
  assert.deepEqual(
    world.deliveries.map(({ sessions }) => sessions),
    [['b']],
  );
  assert.deepEqual([world.attach('d'), world.attach('e')], [{ ok: true }, { ok: true }]);
  world.user.sessions.dropShard(0 as ShardId);
  world.user.sessions.dropShard(1 as ShardId);
  assert.equal(world.user.isIdle, true);
});
