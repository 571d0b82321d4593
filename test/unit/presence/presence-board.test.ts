/** A board of presence: who is told what, and what is no news. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimerWheel } from '#kit/timer-wheel.ts';
import { presenceMembersMax } from '#proto/limits.ts';
import {
  membersOfTopic,
  type SessionId,
  type ShardId,
  type Tenant,
  type TopicName,
  topicKey,
  type UserId,
} from '#proto/names.ts';
import type { FlushTarget } from '../../../src/fanout/ports.ts';
import { type DevicePresence, presenceOf } from '../../../src/presence/device-presence.ts';
import { PresenceBoard } from '../../../src/presence/presence-board.ts';
import { ManualClock } from '../protect/manual-clock.ts';
import { envelopesIn } from '../topic/topic-world.ts';

const [shard0, shard1] = [0, 1] as ShardId[] as [ShardId, ShardId];
const graceMs = 3_000;
const online: DevicePresence = { status: 'online', isIdle: false };

/** The members of a topic, watched from shard 0. */
class BoardWorld {
  readonly clock = new ManualClock();
  readonly timers = new TimerWheel(this.clock.monotonicMs());
  readonly #flushes = new Set<FlushTarget>();
  #said: Record<string, unknown>[] = [];
  idleCount = 0;
  readonly board: PresenceBoard;

  constructor() {
    const topic = 'chat:a' as TopicName;
    const subject = {
      key: membersOfTopic(topicKey('default' as Tenant, topic)),
      about: { topic },
      describe: presenceOf,
    };
    const ctx = {
      ...{ clock: this.clock, timers: this.timers, presenceGraceMs: graceMs },
      flushes: { requestFlush: (target: FlushTarget) => void this.#flushes.add(target) },
      subscribers: {
        deliver: (_shard: ShardId, _topic: unknown, _lane: unknown, { frames }: { frames: Uint8Array }) => {
          this.#said.push(...envelopesIn(frames).map(({ data }) => data));
          return 'sent' as const;
        },
        tellLost: () => {},
      },
    };
    this.board = new PresenceBoard(subject, ctx, () => this.idleCount++);
    this.board.watch(shard0, ['json', ''], false);
  }

  enter(user: string, session = `${user}-1`, presence = online, shard = shard0): void {
    this.board.enter(user as UserId, session as SessionId, shard, presence);
  }

  leave(user: string, session = `${user}-1`): void {
    this.board.leave(user as UserId, session as SessionId);
  }

  lose(user: string, session = `${user}-1`): void {
    this.board.lose(user as UserId, session as SessionId);
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50);
      this.timers.turn(this.clock.monotonicMs());
      for (const target of [...this.#flushes]) target.flush();
      this.#flushes.clear();
    }
  }

  /** What was told meanwhile: event, user, status. */
  told(ms = 100): unknown[][] {
    this.pass(ms);
    const said = this.#said;
    this.#said = [];
    return said.map(({ event, user, status }) => [event, user, status]);
  }
}

test('[PRS1] who comes, changes and goes is told of', () => {
  const world = new BoardWorld();
  world.enter('ann');
  assert.deepEqual(world.told(), [['join', 'ann', 'online']]);
  world.enter('ann', 'ann-1', { ...online, status: 'busy' });
  assert.deepEqual(world.told(), [['change', 'ann', 'busy']]);
  world.leave('ann');
  assert.deepEqual(world.told(), [['leave', 'ann', 'offline']]);
});

test('[PRS1] what comes to nothing is not told', () => {
  const world = new BoardWorld();
  world.enter('ann');
  world.leave('ann');
  assert.deepEqual(world.told(), []);
  world.enter('ann');
  world.told();
  world.leave('ann');
  world.enter('ann', 'ann-2');
  world.enter('ann', 'ann-3');
  world.leave('ann', 'ann-2');
  assert.deepEqual(world.told(), []);
});

test('[PRS2] who was left out of a list for a moment is told to be there to whoever got the list', () => {
  const world = new BoardWorld();
  world.enter('ann');
  world.told();
  world.enter('ann', 'ann-1', { ...online, status: 'invisible' });
  assert.deepEqual(world.board.overview().users, []);
  world.enter('ann');
  assert.deepEqual(world.told(), [['change', 'ann', 'online']]);
});

test('[PRS1] who is invisible is not told of, also when a list was shown meanwhile', () => {
  const world = new BoardWorld();
  world.enter('ann', 'ann-1', { ...online, status: 'invisible' });
  world.board.overview();
  world.board.show('ann' as UserId);
  assert.deepEqual(world.told(), []);
});

test('[PRS1] a reconnect within the grace is not seen, and who does not come back leaves with its end', () => {
  const world = new BoardWorld();
  world.enter('ann');
  world.told();
  world.lose('ann');
  assert.deepEqual(world.told(graceMs - 100), []);
  world.enter('ann', 'ann-2');
  assert.deepEqual(world.told(2 * graceMs), []);
  world.lose('ann', 'ann-2');
  assert.deepEqual(world.told(graceMs - 100), []);
  assert.deepEqual(world.told(300), [['leave', 'ann', 'offline']]);
});

test('[PRS1] a device that comes back in another way is told of once, as it is now', () => {
  const world = new BoardWorld();
  world.enter('ann', 'ann-1', { ...online, device: { id: 'd1' } });
  world.told();
  world.lose('ann');
  world.enter('ann', 'ann-2', { ...online, status: 'away', device: { id: 'd1' } });
  assert.deepEqual(world.told(2 * graceMs), [['change', 'ann', 'away']]);
});

test('[PRS2] sessions of a shard that died have the grace to come back, and are gone behind it', () => {
  const world = new BoardWorld();
  world.enter('ann', 'ann-1', online, shard1);
  world.enter('ben', 'ben-1', online, shard1);
  world.enter('cat', 'cat-1', online, shard0);
  world.told();
  world.board.dropShard(shard1);
  world.enter('ann', 'ann-2', online, shard0);
  assert.deepEqual(world.told(2 * graceMs), [['leave', 'ben', 'offline']]);
  assert.deepEqual(
    world.board.page(undefined, 10).users.map(({ user }) => user),
    ['ann', 'cat'],
  );
});

test('the invisible are not told of, and not listed', () => {
  const world = new BoardWorld();
  world.enter('ann', 'ann-1', { ...online, status: 'invisible' });
  assert.deepEqual(world.told(), []);
  assert.deepEqual(world.board.page(undefined, 10), { users: [], memberCount: 0, hasMore: false });
  world.leave('ann');
  assert.deepEqual(world.told(), []);
});

test('of more than a list holds only the number is told, once a second', () => {
  const world = new BoardWorld();
  for (let index = 0; index <= presenceMembersMax; index++) world.enter(`u${index}`);
  const first = world.told();
  assert.ok(first.length >= 1 && first.length <= 2);
  assert.ok(first.every(([event, user]) => event === 'change' && user === undefined));
  for (let round = 0; round < 9; round++) {
    world.enter(`v${round}`);
    world.pass(100);
  }
  assert.ok(world.told(1000).length <= 2);
  assert.equal(world.board.page(undefined, 1).memberCount, presenceMembersMax + 10);
});

test('pages follow each other by name', () => {
  const world = new BoardWorld();
  for (const user of ['cat', 'ann', 'ben']) world.enter(user);
  const first = world.board.page(undefined, 2);
  assert.deepEqual(
    [first.users.map(({ user }) => user), first.memberCount, first.hasMore],
    [['ann', 'ben'], 3, true],
  );
  const second = world.board.page('ben' as UserId, 2);
  assert.deepEqual([second.users.map(({ user }) => user), second.hasMore], [['cat'], false]);
  assert.deepEqual(world.board.page('zoe' as UserId, 2).users, []);
});
