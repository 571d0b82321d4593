/** Publishing to, and changing, what is stored: who is told what, when, and what the owner of the log has had by then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageId, SessionId, ShardId, TopicName, UserId } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import { DurableLog } from '../../../src/log/durable-log.ts';
import type { HotLog } from '../../../src/log/hot-log.ts';
import { digestOf } from '../../../src/protect/recent-keys.ts';
import type { Amendment, Answer, Message, Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { ann, ben, entry, LogWorld, range, replayedOffsets, tenant, topic } from './log-world.ts';

const keptMs = 5 * 60_000;

const inbox = topicKey(tenant, 'inbox:ben' as TopicName);

function open(of = topic) {
  const world = new LogWorld();
  const log = new DurableLog(of, world.ctx, world.owner);
  const answers: Answer[] = [];
  const onAnswer = (answer: Answer) => void answers.push(answer);
  const publish = (payload: unknown, fields: Partial<Message> = {}) =>
    log.publish({ from: ann, payload: Payload.ofValue(payload), ...fields }, onAnswer);
  const amend = (fields: Partial<Amendment> & Pick<Amendment, 'kind' | 'target'>) =>
    log.amend({ from: ann, mayAmendAny: false, ...fields }, onAnswer);
  const mark = (offset: number) => log.mark({ user: ben, kind: 'read', offset }, onAnswer);
  return { world, log, answers, onAnswer, publish, amend, mark };
}

const at = (offset: number) => ({ offset, epoch: 'e1' });
const accepted = (messageId: string, offset: number, atMs: number) => ({
  ...{ ok: true, messageId, isDuplicate: false, position: at(offset), atMs },
});
const codeOf = (answer: Answer | undefined) => (answer?.ok === false ? answer.refusal.code : answer);

test('[DUR1] a message is answered and handed on behind its commit, with its place, and handed on first', () => {
  const { world, log, answers } = open();
  const order: string[] = [];
  log.publish({ from: ann, payload: Payload.ofValue('hi'), event: 'said', priority: 'high' }, (answer) => {
    answers.push(answer);
    order.push(`answer, ${world.emitted.length} emitted`);
  });
  assert.deepEqual([answers, world.emitted, world.counts.accepted], [[], [], 0]);
  world.store.settle();
  assert.deepEqual(answers, [accepted('m1', 1, world.clock.wallMs())]);
  assert.deepEqual(order, ['answer, 1 emitted']);
  const { payload, ...emitted } = world.emitted[0]!;
  assert.deepEqual(emitted, {
    ...{ type: 'Broadcast', id: 'm1', topic: 'chat:a', offset: 1, from: 'ann', to: undefined },
    ...{ target: undefined, event: 'said', priority: 'high', timestamp: world.clock.wallMs() },
    copyOffset: undefined,
  });
  assert.deepEqual([payload.value, world.counts], ['hi', { accepted: 1, duplicate: 0 }]);
});

test('[DUR1] answers come in the order of the calls, and places follow each other', () => {
  const { world, answers, publish } = open();
  for (const index of range(1, 5)) publish(index);
  world.store.settle();
  assert.deepEqual(
    answers.map((answer) => answer.ok && [answer.messageId, answer.position?.offset]),
    range(1, 5).map((index) => [`m${index}`, index]),
  );
  assert.deepEqual(world.emittedOffsets, range(1, 5));
});

test('[DUR2] a key that was used before answers what became of it, and nothing is handed on', () => {
  const { world, answers, publish } = open();
  publish('hi', { key: 'k' });
  publish('hi', { key: 'k' });
  publish('ho', { key: 'k' });
  publish('ho', { key: 'k', from: ben });
  world.store.settle();
  assert.deepEqual(answers[1], { ok: true, messageId: 'm1', isDuplicate: true, position: at(1) });
  assert.equal(codeOf(answers[2]), 'key_conflict');
  assert.equal(answers[3]?.ok, true);
  assert.deepEqual([world.emittedOffsets, world.counts], [[1, 2], { accepted: 2, duplicate: 1 }]);
});

test('[REC2] what a home that died had stored is handed on when its sender tries again, and the sender is told of the first', () => {
  const { world, log, answers, publish } = open();
  log.whenKnown(undefined, () => {});
  world.store.settle();
  const message = { payload: Payload.ofValue('hi'), key: 'k' };
  const messageId = 's-first' as MessageId;
  world.store.commit(
    entry({ key: 'k', digest: digestOf(message), messageId, payload: message.payload.msgpack }),
  );
  publish('hi', { key: 'k' });
  world.store.settle();
  assert.deepEqual(answers, [{ ok: true, messageId, isDuplicate: true, position: at(1) }]);
  assert.deepEqual(
    world.emitted.map(({ id, offset, payload }) => [id, offset, payload.value]),
    [[messageId, 1, 'hi']],
  );
  publish('hi', { key: 'k' });
  world.store.settle();
  assert.deepEqual([world.emittedOffsets, world.counts], [[1], { accepted: 0, duplicate: 2 }]);
});

test('[REC2] behind such a message nothing is handed on before it', () => {
  const { world, log, publish } = open();
  log.whenKnown(undefined, () => {});
  world.store.settle();
  const digest = digestOf({ payload: Payload.ofValue('hi'), key: 'k' });
  world.commit(1);
  world.store.commit(entry({ key: 'k', digest }));
  publish('hi', { key: 'k' });
  publish('next');
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1, 2, 3]);
});

test('[REC2] while nobody has asked for the end of a log a repeat emits nothing: who asks will find it', () => {
  const { world, log, publish } = open();
  const digest = digestOf({ payload: Payload.ofValue('hi'), key: 'k' });
  world.store.commit(entry({ key: 'k', digest }));
  publish('hi', { key: 'k' });
  world.store.settle();
  assert.deepEqual([world.emitted, world.store.asked, log.isIdle], [[], [], true]);
  const ends: (number | undefined)[] = [];
  log.whenKnown(undefined, (hot) => ends.push(hot?.position));
  world.store.settle();
  assert.deepEqual(ends, [1]);
});

test('[REC2] what another home heard was stored here is read and handed on, once', () => {
  const { world, log } = open(inbox);
  log.whenKnown(undefined, () => {});
  world.store.settle();
  world.commit(2, { topic: inbox });
  log.onHeard(2);
  log.onHeard(1);
  world.store.settle();
  log.onHeard(2);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1, 2]);
});

test('a store that is away, full, or fails is told as such, and nothing is handed on', () => {
  const { world, log, answers, publish, amend, mark } = open();
  for (const [door, code] of [
    ['down', 'store_unavailable'],
    ['full', 'busy'],
  ] as const) {
    world.store.door = door;
    publish('hi');
    amend({ kind: 'deleted', target: 'm1' as MessageId });
    assert.deepEqual(answers.splice(0).map(codeOf), [code, code]);
    mark(1);
    assert.deepEqual(answers.splice(0).map(codeOf), ['store_unavailable'], 'the end of the log is not known');
  }
  world.store.door = 'sent';
  publish('hi');
  mark(1);
  world.store.fail();
  assert.deepEqual(answers.splice(0).map(codeOf), ['store_unavailable', 'store_unavailable']);
  assert.deepEqual([world.emitted, log.isIdle], [[], true]);
  publish('hi');
  world.store.settle();
  assert.deepEqual(answers, [accepted('m6', 1, world.clock.wallMs())]);
});

test('every refusal of a store that is away says when to come back', () => {
  const { world, answers, publish } = open();
  for (const door of ['down', 'full'] as const) {
    world.store.door = door;
    publish('hi');
  }
  for (const answer of answers) assert.ok(!answer.ok && answer.refusal.retryAfterMs! > 0);
});

test('an edit and a deletion are entries of their own, and change what those get who come back', () => {
  const { world, log, answers, publish, amend } = open();
  publish('first');
  publish('second');
  amend({ kind: 'edited', target: 'm1' as MessageId, payload: Payload.ofValue('better') });
  amend({ kind: 'deleted', target: 'm2' as MessageId });
  world.store.settle();
  assert.deepEqual(answers[2], accepted('m3', 3, world.clock.wallMs()));
  assert.deepEqual(answers[3], accepted('m4', 4, world.clock.wallMs()));
  assert.deepEqual(
    world.emitted.map(({ type, offset, from, target, payload }) => [
      type,
      offset,
      from,
      target,
      payload.value,
    ]),
    [
      ['Broadcast', 1, 'ann', undefined, 'first'],
      ['Broadcast', 2, 'ann', undefined, 'second'],
      ['Edited', 3, 'ann', 'm1', 'better'],
      ['Deleted', 4, 'ann', 'm2', null],
    ],
  );
  let hot: HotLog | undefined;
  log.whenKnown(undefined, (known) => {
    hot = known;
  });
  assert.deepEqual(
    hot!.between(0, 9).map(({ publication: { type, payload } }) => [type, payload.value]),
    [
      ['Broadcast', 'better'],
      ['Deleted', null],
      ['Edited', 'better'],
      ['Deleted', null],
    ],
  );
});

test('what is not there, is deleted, or is of another user is not changed, unless the permission says so', () => {
  const { world, answers, publish, amend } = open();
  publish('mine');
  const target = 'm1' as MessageId;
  const payload = Payload.ofValue('x');
  amend({ kind: 'edited', target: 'none' as MessageId, payload });
  amend({ kind: 'edited', target, payload, from: ben });
  amend({ kind: 'edited', target, payload, from: ben, mayAmendAny: true });
  amend({ kind: 'deleted', target });
  amend({ kind: 'deleted', target });
  amend({ kind: 'edited', target, payload });
  world.store.settle();
  assert.deepEqual(
    answers.map((answer) => (answer.ok ? answer.position?.offset : answer.refusal.code)),
    [1, 'not_found', 'permission_denied', 2, 3, 'not_found', 'not_found'],
  );
  assert.deepEqual(world.emittedOffsets, [1, 2, 3]);
});

test("a message of a conversation is stored in both inboxes, and answered with its place in the sender's", () => {
  const inboxOfAnn = topicKey(tenant, 'inbox:ann' as TopicName);
  const { world, log, answers, onAnswer } = open(inbox);
  world.commit(4, { topic: inboxOfAnn });
  const copy = { topic: inboxOfAnn, peer: ben, home: 1 as ShardId, except: 's1' as SessionId };
  const copied: unknown[] = [];
  world.store.onCopied = (to, message) => copied.push([to, message.offset, message.peer, message.messageId]);
  const message = { from: ann, payload: Payload.ofValue('hi') };
  const messageId = log.publish(message, onAnswer, { peer: ann, copy });
  world.store.settle();
  assert.equal(messageId, 'm1');
  assert.deepEqual(answers, [accepted('m1', 5, world.clock.wallMs())]);
  const [{ type, offset, copyOffset, to }] = world.emitted as [(typeof world.emitted)[0]];
  assert.deepEqual([type, offset, copyOffset, to], ['DirectMessage', 1, 5, 'ben']);
  assert.deepEqual(copied, [[copy, 5, ben, 'm1']]);
  log.amend({ kind: 'deleted', target: messageId, from: ann, mayAmendAny: false }, onAnswer, {
    peer: ann,
    copy,
  });
  world.store.settle();
  assert.deepEqual(answers[1], accepted('m2', 6, world.clock.wallMs()));
  assert.equal(world.store.entries(inboxOfAnn)[4]?.deletedAtMs, world.clock.wallMs());
});

test('[REC2] what another home had stored here is emitted in its place, and read where the word of it came too late', () => {
  const { world, log, publish } = open();
  publish('own');
  world.store.settle();
  world.commit(2);
  const [, second, third] = world.store.entries(topic);
  log.onCopied(third!);
  assert.deepEqual(world.emittedOffsets, [1]);
  log.onCopied(second!);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1, 2, 3]);
});

/** What `whenKnown` calls back with, for somebody who has everything up to `since`. */
function ask(log: DurableLog, since: Since | undefined) {
  const told: { log: HotLog | undefined; down: Answer }[] = [];
  log.whenKnown(since, (known, down) => told.push({ log: known, down }));
  return told;
}

test('whoever comes back to what is at hand is answered without the store', () => {
  const { world, log, publish } = open();
  for (const index of range(1, 3)) publish(index);
  world.store.settle();
  world.store.door = 'down';
  for (const since of [undefined, at(0), at(1), at(3), { offset: 0, epoch: 'e0' }]) {
    assert.equal(ask(log, since)[0]?.log?.position, 3, JSON.stringify(since));
  }
  assert.equal(world.store.asked.length, 0);
});

test('whoever is behind what is at hand is answered when the store has said what it still has', () => {
  const { world, log, publish } = open();
  for (const index of range(1, 3)) publish(index);
  world.store.settle();
  world.clock.advance(keptMs + 1);
  world.windows.expire(world.clock.monotonicMs());
  publish(4);
  world.store.settle();
  world.store.prune(topic, 3);
  const told = ask(log, at(1));
  assert.equal(told.length, 0);
  publish(5);
  world.store.settle();
  const join = (offset: number) => told[0]!.log!.join(at(offset), 'json', undefined);
  assert.deepEqual([join(1).recovered, join(2).isLive, join(2).recovered], [false, false, true]);
  assert.deepEqual(replayedOffsets(join(3).replay), [4, 5]);

  const failed = ask(log, at(1));
  world.store.fail();
  world.store.door = 'down';
  for (const [answer] of [failed, ask(log, at(1))]) {
    assert.deepEqual([answer?.log, codeOf(answer?.down)], [undefined, 'store_unavailable']);
  }
});

test('nobody is told where the log ends while the store cannot say it', () => {
  const { world, log } = open();
  world.commit(2);
  const told = ask(log, at(0));
  world.store.fail();
  assert.deepEqual([told[0]?.log, codeOf(told[0]?.down)], [undefined, 'store_unavailable']);
  const again = ask(log, undefined);
  world.store.settle();
  assert.equal(again[0]?.log?.position, 2);
});

test('a mark is taken up to the end of the log, told with the log, and not beyond', () => {
  const { world, log, answers, publish, mark } = open();
  publish('hi');
  world.store.settle();
  answers.length = 0;
  const given: (HotLog | undefined)[] = [];
  log.mark({ user: ben, kind: 'delivered', offset: 1 }, (answer, hot) => {
    answers.push(answer);
    given.push(hot);
  });
  mark(2);
  assert.deepEqual([answers[0], codeOf(answers[1])], [{ ok: true }, 'bad_request']);
  assert.equal(given[0]?.position, 1);
  world.pass(250);
  world.store.settle();
  assert.deepEqual(world.store.marks, [
    { topic, user: 'ben', kind: 'delivered', offset: 1, atMs: 1_767_225_600_000 },
  ]);
});

test('where too many marks wait for the store one more is busy, and nobody is told of it', () => {
  const { world, log, answers, publish } = open();
  publish('hi');
  world.store.settle();
  world.store.door = 'down';
  for (const index of range(1, 20_000)) {
    world.marks.add({ topic, user: `u${index}` as UserId, kind: 'read', offset: 1, atMs: 1 });
  }
  answers.length = 0;
  log.mark({ user: ben, kind: 'read', offset: 1 }, (answer, hot) => {
    answers.push(answer);
    assert.equal(hot, undefined);
  });
  assert.deepEqual(answers.map(codeOf), ['busy']);
});

test('a log is not idle while the store owes an answer, or something is at hand', () => {
  const { world, log, publish } = open();
  assert.equal(log.isIdle, true);
  publish('hi', { key: 'k' });
  assert.equal(log.isIdle, false);
  world.store.settle();
  assert.equal(log.isIdle, false);
  world.clock.advance(keptMs + 1);
  world.windows.expire(world.clock.monotonicMs());
  assert.deepEqual([log.isIdle, world.coldCount], [true, 1]);
  publish('hi', { key: 'k' });
  assert.equal(log.isIdle, false);
  world.store.settle();
  assert.equal(log.isIdle, true, 'a duplicate leaves nothing');
});
