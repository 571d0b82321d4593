/** A session catching up with a log: pages of the store, what its home has at hand, then live; at the pace of its client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { refusal } from '#proto/error-codes.ts';
import type { ShardId, UserId } from '#proto/names.ts';
import { DurableLog } from '../../../src/log/durable-log.ts';
import { compileFilter, type Filter } from '../../../src/routing/filter.ts';
import type { AnswerReceiver, Requested } from '../../../src/session/ports.ts';
import { type RecoveringSession, Recovery } from '../../../src/session/recovery.ts';
import { StoredHistoryPort } from '../../../src/shard/history-port.ts';
import { PendingRequests } from '../../../src/shard/pending-requests.ts';
import type { PageRequest } from '../../../src/store/history-store.ts';
import { encodePublication } from '../../../src/wire/encode-frame.ts';
import { type Answer, type Joined, refused, type Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { SessionWorld } from '../../kit/session-world.ts';
import { ann, entry, LogWorld, offsetsIn, range, topic } from '../log/log-world.ts';
import { envelopesIn } from '../topic/topic-world.ts';

const keptMs = 5 * 60_000;
const paceMs = 50;
const retryMs = 500;
const pageMax = 200;
const pageBytesMax = 64 * 1024;
const outboxBytesMax = 1024 ** 2;
const home = 0 as ShardId;

/** One topic at its home with a store behind it, and one session that takes part in it. */
class RecoveryWorld implements RecoveringSession {
  readonly encoding = 'json';
  isOpen = true;
  outboxBytes = 0;
  readonly world = new LogWorld();
  readonly log: DurableLog;
  /** Offsets of all that the client was sent, of what it missed and of what came by itself. */
  readonly received: number[] = [];
  readonly frames: Buffer[] = [];
  readonly joins: Since[] = [];
  /** What the recovery came to. */
  readonly ends: (number | 'lost')[] = [];
  readonly pending = new PendingRequests();
  filter: Filter | undefined;
  /** Answers of the home before it is asked. */
  readonly homeAnswers: Answer[] = [];
  #isLive = false;
  recovery: Recovery | undefined;

  constructor() {
    const emit = (publication: Parameters<typeof encodePublication>[0]) => {
      if (this.#isLive) this.deliver(encodePublication(publication, 'json'), 1);
    };
    this.log = new DurableLog(topic, this.world.ctx, { emit, onCold: () => {} });
  }

  deliver = (frames: Uint8Array, frameCount: number): void => {
    this.outboxBytes += frames.length;
    this.frames.push(Buffer.from(frames));
    const offsets = offsetsIn(frames);
    assert.equal(offsets.length, frameCount);
    this.received.push(...offsets);
  };

  /** As the handler of `Subscribe` does with the home's first answer. */
  recover(since: Since): Joined {
    let first: Answer | undefined;
    const receiver: AnswerReceiver = {
      onAnswer: (_correlation, answer) => {
        first = answer;
      },
    };
    const requested = this.#join(since, receiver);
    if (requested.state === 'answered') first = requested.answer;
    else this.world.store.settle();
    assert.ok(first?.ok && first.joined !== undefined, JSON.stringify(first));
    this.recovery = new Recovery(
      since,
      {
        ...{ topic, filter: this.filter },
        join: (next, asking) => this.#join(next, asking),
        onLive: (offset) => void this.ends.push(offset),
        onLost: () => void this.ends.push('lost'),
      },
      this,
      {
        ...{ clock: this.world.clock, timers: this.world.timers },
        history: new StoredHistoryPort(this.world.store, this.pending),
        limits: { ...new SessionWorld().context.limits, outboxBytesMax },
      },
    );
    this.recovery.begin(first.joined);
    return first.joined;
  }

  publish(count: number, bytes = 1, event?: string): void {
    for (let index = 0; index < count; index++) {
      const message = { from: 'ann' as UserId, payload: Payload.ofValue('x'.repeat(bytes)), event };
      this.log.publish(message, () => {});
    }
  }

  /** Nothing is at hand at the home any more. */
  cool(): void {
    this.world.clock.advance(keptMs + 1);
    this.world.timers.turn(this.world.clock.monotonicMs());
    this.world.windows.expire(this.world.clock.monotonicMs());
  }

  /** The client has read all that it was sent. */
  read(): void {
    this.outboxBytes = 0;
  }

  /** Answers, reads and waits until the recovery has ended. */
  finish(): void {
    for (let round = 0; round < 2000 && this.ends.length === 0; round++) {
      this.world.store.settle();
      this.read();
      this.world.pass(paceMs);
    }
  }

  /** Pages that were asked for; a question for the end of the log is none. */
  get pages(): PageRequest[] {
    const pages = this.world.store.asked.flatMap(([name, request]) =>
      name === 'page' ? [request as PageRequest] : [],
    );
    return pages.filter(({ limit }) => limit > 0);
  }

  get pagesAsked(): number {
    return this.pages.length;
  }

  #join(since: Since, receiver: AnswerReceiver): Requested {
    this.joins.push(since);
    const answer = this.homeAnswers.shift();
    if (answer !== undefined) return { state: 'answered', answer };
    return this.pending.answerHere(home, receiver, (onAnswer) =>
      this.log.whenKnown(since, (log, down) => {
        if (log === undefined) return onAnswer(down);
        const joined = log.join(since, 'json', this.filter);
        if (joined.isLive) this.#isLive = true;
        onAnswer({ ok: true, joined });
      }),
    );
  }
}

/** With `stored` entries that are in the store only, and then `hot` ones that are at hand. */
function open(stored: number, hot: number, bytes = 1): RecoveryWorld {
  const opened = new RecoveryWorld();
  opened.publish(stored, bytes);
  opened.world.store.settle();
  opened.cool();
  opened.publish(hot, bytes);
  opened.world.store.settle();
  opened.world.store.asked.length = 0;
  return opened;
}

const since = (offset: number, upTo?: number): Since => ({ offset, epoch: 'e1', upTo });

test('[REC1] what is at hand comes with the first answer, and the session is live behind it', () => {
  const opened = open(0, 10);
  opened.recover(since(3));
  assert.deepEqual([opened.received, opened.ends], [range(4, 10), [10]]);
  opened.publish(2);
  opened.world.store.settle();
  assert.deepEqual(opened.received, range(4, 12));
  assert.equal(opened.pagesAsked, 0, 'the store was not asked');
});

test('whoever has everything is live at once, and is sent nothing', () => {
  const opened = open(5, 0);
  opened.recover(since(5));
  assert.deepEqual([opened.received, opened.ends, opened.joins.length], [[], [5], 1]);
});

test('[REC3] what is not at hand is read from the store page by page, then the rest at the home, each entry once', () => {
  const opened = open(2 * pageMax + 50, 30);
  const end = 2 * pageMax + 80;
  const { isLive, recovered, position } = opened.recover(since(20));
  assert.deepEqual([isLive, recovered, position.offset], [false, true, end]);
  opened.finish();
  assert.deepEqual([opened.received, opened.ends], [range(21, end), [end]]);
  assert.ok(envelopesIn(Buffer.concat(opened.frames)).every(({ data }) => data['replay'] === true));
  assert.deepEqual(opened.pages[0], { topic, view: 'log', after: 20, before: undefined, limit: pageMax });
  assert.equal(opened.pages.length, 3);
});

test('[REC1] what is published while it catches up comes once, in its place', () => {
  const opened = open(3 * pageMax, 0);
  opened.recover(since(0));
  for (let round = 0; round < 200 && opened.ends.length === 0; round++) {
    opened.publish(7);
    opened.world.store.answerNext();
    opened.read();
    opened.world.pass(paceMs);
  }
  opened.world.store.settle();
  opened.publish(3);
  opened.world.store.settle();
  assert.equal(opened.ends.length, 1);
  assert.deepEqual(opened.received, range(1, opened.world.store.entries(topic).length));
});

test('[REC3] with a quarter of its outbox on the way the next page waits until the client has read', () => {
  const opened = open(20 * pageMax, 0, 2000);
  opened.recover(since(0));
  for (let round = 0; round < 100; round++) {
    opened.world.store.settle();
    opened.world.pass(paceMs);
  }
  const pagesOfQuarter = opened.pagesAsked;
  const pageBytes = pageMax * 2200;
  assert.ok(opened.outboxBytes > outboxBytesMax / 4 && opened.outboxBytes < outboxBytesMax / 4 + pageBytes);
  opened.world.pass(100 * paceMs);
  assert.deepEqual(
    [opened.pagesAsked, opened.ends],
    [pagesOfQuarter, []],
    'nobody asks for a client that does not read',
  );
  opened.read();
  opened.world.pass(2 * paceMs);
  assert.equal(opened.pagesAsked, pagesOfQuarter + 1);
  opened.finish();
  assert.deepEqual(opened.received, range(1, 20 * pageMax));
});

test('[REC3] what is at hand at the home is paced like the pages of the store', () => {
  const opened = open(0, 50, 10_000);
  opened.recover(since(0));
  assert.ok(opened.outboxBytes <= outboxBytesMax / 4 + pageBytesMax + 11_000, `${opened.outboxBytes}`);
  assert.deepEqual(opened.ends, []);
  opened.world.pass(10 * paceMs);
  const { length } = opened.received;
  assert.ok(length < 50);
  opened.finish();
  assert.deepEqual(opened.received, range(1, 50));
});

test('[REC3] a store that could not answer is asked again after a while, and nothing is missed', () => {
  const opened = open(pageMax + 10, 0);
  opened.recover(since(0));
  opened.world.store.fail();
  const asked = opened.pagesAsked;
  opened.world.pass(retryMs - paceMs);
  assert.equal(opened.pagesAsked, asked);
  opened.world.store.door = 'down';
  opened.world.pass(3 * 1000);
  assert.deepEqual([opened.received, opened.ends], [[], []]);
  opened.world.store.door = 'sent';
  opened.world.pass(2 * 1000);
  opened.finish();
  assert.deepEqual([opened.received, opened.ends], [range(1, pageMax + 10), [pageMax + 10]]);
});

test('a home that is busy is asked again when it said so', () => {
  const opened = open(3, 0);
  opened.recover(since(0));
  opened.homeAnswers.push(refused(refusal('busy', 'the home of this name is being restarted', 700)));
  opened.world.store.settle();
  assert.deepEqual([opened.received, opened.joins.length], [[1, 2, 3], 2]);
  opened.world.pass(650);
  assert.equal(opened.joins.length, 2);
  opened.world.pass(100);
  assert.deepEqual([opened.joins.length, opened.ends], [3, [3]]);
  assert.deepEqual(opened.joins.at(-1), since(3), 'with what it has by now');
});

test('[REC3] what retention takes away meanwhile ends it: the hole is told, and nothing behind it is sent', () => {
  const opened = open(3 * pageMax, 0);
  opened.recover(since(0));
  opened.world.store.answerNext();
  assert.deepEqual(opened.received, range(1, pageMax));
  opened.world.store.prune(topic, pageMax + 100);
  opened.world.store.settle();
  assert.deepEqual([opened.received, opened.ends], [range(1, pageMax), ['lost']]);
  opened.world.pass(3 * retryMs);
  opened.world.store.settle();
  assert.deepEqual([opened.received.length, opened.ends], [pageMax, ['lost']]);
});

test('[REC3] a home that cannot have what is missing, or refuses for good, ends it', () => {
  const gone: Joined = { position: { offset: 3, epoch: 'e2' }, isLive: true, recovered: false };
  for (const answer of [
    { ok: true as const, joined: gone },
    refused(refusal('not_subscribed', 'the subscription was ended meanwhile')),
  ]) {
    const opened = open(3, 0);
    opened.recover(since(0));
    opened.homeAnswers.push(answer);
    opened.finish();
    assert.deepEqual([opened.received, opened.ends], [[1, 2, 3], ['lost']]);
  }
});

test('stopped, it sends nothing, asks nothing and says nothing, whatever is on its way', () => {
  const opened = open(3 * pageMax, 0);
  opened.recover(since(0));
  opened.recovery?.stop();
  opened.world.store.settle();
  opened.world.pass(5 * retryMs);
  assert.deepEqual([opened.received, opened.ends, opened.pagesAsked], [[], [], 1]);

  const waiting = open(3 * pageMax, 0);
  waiting.recover(since(0));
  waiting.world.store.fail();
  waiting.recovery?.stop();
  waiting.world.pass(5 * retryMs);
  assert.deepEqual([waiting.pagesAsked, waiting.world.timers.size], [1, 0]);
});

test('of a session that has closed nothing more is asked', () => {
  const opened = open(3 * pageMax, 0);
  opened.recover(since(0));
  opened.isOpen = false;
  opened.world.store.settle();
  opened.world.pass(5 * retryMs);
  assert.deepEqual([opened.received, opened.ends, opened.pagesAsked], [[], [], 1]);
});

test('a store that has not yet what the home tells of is not asked without a pause', () => {
  const opened = open(3, 0);
  const behind: Joined = { position: { offset: 9, epoch: 'e1' }, isLive: false, recovered: true };
  opened.recover(since(0));
  for (let round = 0; round < 100; round++) opened.homeAnswers.push({ ok: true, joined: behind });
  for (let round = 0; round < 10; round++) {
    opened.world.store.settle();
    opened.world.pass(paceMs);
  }
  assert.deepEqual([opened.received, opened.ends], [[1, 2, 3], []]);
  assert.ok(opened.joins.length <= 14, `${opened.joins.length} questions in ${10 * paceMs} ms`);
});

test('[REC3] with an end of what is missed the store is asked up to it, and no entry behind it is sent', () => {
  const opened = open(pageMax + 50, 20);
  opened.recover(since(10, pageMax + 40));
  opened.finish();
  assert.deepEqual(opened.received, range(11, pageMax + 40));
  assert.equal(opened.ends.length, 1);
  assert.deepEqual(
    opened.pages.map(({ before }) => before),
    [pageMax + 41, pageMax + 41],
  );
});

test('a filter holds for what comes from the store and from the home', () => {
  const opened = new RecoveryWorld();
  for (const part of ['stored', 'hot']) {
    for (const event of ['a', 'b', 'a']) opened.publish(1, 1, event);
    opened.world.store.settle();
    if (part === 'stored') opened.cool();
  }
  opened.filter = compileFilter({ event: 'a' }) as Filter;
  opened.recover(since(0));
  opened.finish();
  assert.deepEqual([opened.received, opened.ends], [[1, 3, 4, 6], [6]]);
});

test('[REC1] an entry that the store has and its home has not heard of yet is no hole: the session goes on when it has', () => {
  const opened = open(3, 0);
  opened.world.commit(1);
  opened.recover(since(0));
  opened.world.store.settle();
  assert.deepEqual([opened.received, opened.ends.includes('lost')], [range(1, 4), false], 'the page had it');
  opened.log.onCopied(opened.world.store.entries(topic)[3]!);
  opened.finish();
  opened.publish(1);
  opened.world.store.settle();
  assert.deepEqual([opened.received, opened.ends], [range(1, 5), [4]]);
});

test('[REC1] [REC3] whatever fails, waits, is forgotten or is published meanwhile: all behind the position, once and in order', () => {
  for (const seed of range(1, 40)) {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random.next() * limit);
    const opened = open(below(700), below(60), 1 + below(3000));
    const { store } = opened.world;
    const from = below(store.entries(topic).length + 1);
    opened.recover(since(from));
    for (let step = 0; step < 300; step++) {
      const draw = below(12);
      if (draw < 3) opened.publish(below(5), 1 + below(3000));
      else if (draw < 7) store.answerNext();
      else if (draw < 9) opened.read();
      else if (draw < 10 && below(6) === 0) opened.cool();
      // Entries that another home has stored, whose word comes with the next one.
      else if (draw < 10) store.commit(entry({ from: ann }));
      else opened.world.pass(paceMs * (1 + below(20)));
    }
    opened.finish();
    opened.publish(1);
    for (let round = 0; round < 5; round++) {
      store.settle();
      opened.world.pass(retryMs + 50);
    }
    assert.equal(typeof opened.ends[0], 'number', `seed ${seed}`);
    assert.deepEqual(opened.received, range(from + 1, store.entries(topic).length), `seed ${seed}`);
  }
});
