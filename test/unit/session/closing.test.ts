/** Sessions that end in the middle of something: what is counted, what is said, and what is not handled any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeCodes } from '#proto/close-codes.ts';
import { refusal } from '#proto/error-codes.ts';
import type { ShardId, TopicKey } from '#proto/names.ts';
import type { Session } from '../../../src/session/session.ts';
import { SessionWorld } from '../../kit/session-world.ts';

const home = 0 as ShardId;
const frame = (session: Session, value: unknown) => session.onFrame(Buffer.from(JSON.stringify(value)));
const pings = (count: number) => Array.from({ length: count }, () => ({ type: 'Ping' }));

/** Close codes as they are counted. */
function codesOf(world: SessionWorld): number[] {
  const codes: number[] = [];
  world.context.counters.closed = (code) => void codes.push(code);
  return codes;
}

test('what is counted is the code that this side closed with, whatever the peer answers', () => {
  const world = new SessionWorld();
  const codes = codesOf(world);
  for (const name of ['protocol_error', 'unauthorized', 'slow_consumer', 'going_away', 'internal'] as const) {
    for (const peerCode of [closeCodes[name].code, 1000, 1005, 1006]) {
      const { session } = world.open();
      session.close(name);
      session.onTransportClosed(peerCode);
      world.turn();
      assert.equal(codes.at(-1), closeCodes[name].code, `${name}, answered with ${peerCode}`);
    }
  }
  assert.equal(codes.length, 20);
});

test("the peer's code is counted where the peer closed, once", () => {
  const world = new SessionWorld();
  const codes = codesOf(world);
  for (const peerCode of [1000, 1001, 1006, 3000]) {
    const { session } = world.open();
    session.onTransportClosed(peerCode);
    session.onTransportClosed(1006);
    session.close('going_away');
  }
  assert.deepEqual(codes, [1000, 1001, 1006, 3000]);
});

test('a bad first token and ten frames of nothing are counted as 4500 and 4502', () => {
  const world = new SessionWorld();
  const codes = codesOf(world);
  world.context.tokens.verify = () => ({ ok: false, refusal: refusal('unauthorized', 'not good') });
  const { session: stranger } = world.connect();
  world.send(stranger, { type: 'Auth', data: { token: 'bad' } });
  const { session: noisy } = world.open();
  for (let count = 0; count < 10; count++) world.send(noisy, [1, 2]);
  for (const session of [stranger, noisy]) session.onTransportClosed(1000);
  world.turn();
  assert.deepEqual(codes, [4500, 4502]);
});

test('a session that closes for its slowness inside a frame leaves nothing in the mailbox gauge', () => {
  const world = new SessionWorld({ outboxBytesMax: 100_000 });
  const { session, transport } = world.open();
  for (let count = 0; count < 8192 / 64; count++) frame(session, pings(64));
  assert.equal(world.count('mailbox'), 8192);
  transport.stuckBytes = 99_990;
  frame(session, pings(64)); // the first is refused as busy, and that is too much
  assert.equal(transport.closed?.code, 4002);
  assert.equal(world.count('mailbox'), 0);
  assert.equal(world.count('error busy'), 1, 'the other sixty-three are not answered');
  session.onTransportClosed(1006);
  world.turn();
  assert.equal(world.count('mailbox'), 0);
});

test('[SES3] of a frame in which a refusal found the client too slow nothing further is taken', () => {
  const world = new SessionWorld({ outboxBytesMax: 100_000 });
  let published = 0;
  world.publish = () => {
    published++;
    return { state: 'answered', answer: { ok: true, messageId: 'm-1' as never } };
  };
  const publish = { type: 'Broadcast', id: 'b', data: { topic: 'a', payload: 1 } };
  const { session, transport } = world.open();
  transport.stuckBytes = 99_990;
  world.send(session, [publish, { id: 'junk' }, publish]);
  assert.equal(transport.closed?.code, 4002);
  assert.deepEqual([published, world.count('mailbox'), world.count('received')], [0, 0, 3]);
});

test('[SES3] of a frame in which a reply found the client too slow nothing further is handled', () => {
  const world = new SessionWorld({ outboxBytesMax: 100_000 });
  let published = 0;
  world.publish = () => {
    published++;
    return { state: 'answered', answer: { ok: true, messageId: 'm-1' as never } };
  };
  const { session, transport } = world.open();
  transport.stuckBytes = 99_990;
  const publish = (id: string) => ({ type: 'Broadcast', id, data: { topic: 'a', payload: 1 } });
  world.send(session, [publish('1'), publish('2'), publish('3')]);
  assert.equal(transport.closed?.code, 4002);
  assert.deepEqual([published, world.count('mailbox'), world.count('slow')], [1, 0, 1]);
});

test('a session that closes for its rate inside a frame of things that are no envelopes says no more', () => {
  const world = new SessionWorld({ envelopeRate: { permits: 1, intervalMs: 60_000, burst: 0 } });
  const { session, transport } = world.open();
  const named = (of: string) => Array.from({ length: 63 }, (_, index) => ({ id: `${of}${index}` }));
  world.send(session, [{ type: 'Ping' }, ...named('a')]);
  world.send(session, [{ type: 'Ping' }, ...named('b')]);
  assert.equal(transport.closed?.code, 4005);
  const said = transport.written.length;
  world.send(session, [{ type: 'Ping' }]);
  assert.deepEqual([transport.written.length, world.count('mailbox')], [said, 0]);
  // The one permit is the first thing's; a hundred refusals later it is enough.
  assert.equal(world.count('error rate_limited'), 100);
});

test('[SES1] a live session that its restarted home does not want hears why and is closed with 4501', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.attach = () => ({
    state: 'answered',
    answer: { ok: false, refusal: refusal('limit_exceeded', 'the user has 50 connections already') },
  });
  session.onHomeUp(home);
  world.turn();
  const error = transport.envelopes().at(-1)!;
  assert.deepEqual([error.type, error.id, error.data.code], ['Error', undefined, 'limit_exceeded']);
  assert.equal(transport.closed?.code, 4501);
  assert.equal(world.count('detached'), 1, 'whatever it kept of this session');
});

test('[SES1] the same when the home answers later', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  let answer: (() => void) | undefined;
  world.attach = (receiver) => {
    const reason = refusal('limit_exceeded', 'the user has 50 connections already');
    answer = () => receiver.onAnswer(9, { ok: false, refusal: reason });
    return { state: 'pending', correlation: 9 };
  };
  session.onHomeUp(home);
  world.turn();
  assert.equal(transport.closed?.code, undefined);
  answer?.();
  world.turn();
  assert.equal(transport.envelopes().at(-1)!.data.code, 'limit_exceeded');
  assert.equal(transport.closed?.code, 4501);
});

test('[SES1] a live session is told to its home again while that is busy, and nothing is said of it', () => {
  const world = new SessionWorld();
  world.context.classOf = () => 'volatile';
  const { session, transport } = world.open();
  const said = transport.written.length;
  let asked = 0;
  world.attach = () => {
    asked++;
    const answer =
      asked < 3 ? { ok: false as const, refusal: refusal('busy', 'restarting') } : { ok: true as const };
    return { state: 'answered', answer };
  };
  session.onHomeUp(home);
  world.pass(5_000);
  assert.deepEqual([asked, transport.written.length, transport.closed], [3, said, undefined]);
});

test('what came before the connection was lost is handled, and answered to nobody', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  const writtenBefore = transport.written.length;
  frame(session, [{ type: 'Subscribe', id: 's', data: { topic: 'a' } }]);
  session.onTransportClosed(1006);
  world.turn();
  assert.deepEqual(
    world.parked.at(-1)?.[1].subscriptions.map(({ topic }) => topic),
    ['a'],
  );
  assert.equal(transport.written.length, writtenBefore);
});

test('[RES2] what is sent between the end of a connection and its clearing up was not sent', () => {
  const cases = [
    ['cleared up', 'nothing is sent', 8],
    ['cleared up', 'one is sent', 7],
    ['replaced', 'one is sent', 7],
    ['going_away', 'one is sent', 7],
    ['close frame', 'one is sent', 7],
  ] as const;
  for (const [end, late, offset] of cases) {
    const world = new SessionWorld();
    const { session, transport } = world.open();
    const joined = { position: { offset: 7, epoch: 'e' }, isLive: true };
    world.join = () => ({ state: 'answered', answer: { ok: true, joined } });
    world.send(session, { type: 'Subscribe', data: { topic: 'a' } });
    const deliver = (upTo: number) => {
      const batch = { frames: Buffer.from('x'), frameCount: 1, delivery: 'normal', upTo } as const;
      world.subscribers.deliver('default|a' as TopicKey, ['json', ''], batch);
    };
    deliver(8);
    world.turn();
    if (end === 'close frame') transport.isClosing = true;
    else session.onTransportEnded();
    if (late === 'one is sent') deliver(9);
    world.turn();
    if (end === 'replaced' || end === 'going_away') session.close(end);
    session.onTransportClosed(1006, true);
    world.turn();
    assert.equal(session.isOpen, false);
    assert.equal(world.count('closed'), 1);
    const [told] = world.parked.at(-1)?.[1].subscriptions ?? [];
    assert.deepEqual(told?.position, { offset, epoch: 'e' }, `${end}, ${late}`);
  }
});

test('a Resume of a connection that is gone takes nothing over: its client may have asked again', () => {
  const world = new SessionWorld();
  const { session } = world.open();
  const asked: unknown[] = [];
  world.resume = (former) => {
    asked.push(former);
    return { state: 'pending', correlation: 1 };
  };
  frame(session, { type: 'Resume', id: 'r', data: { sessionId: 'old', resumeToken: 't' } });
  session.onTransportEnded();
  world.turn();
  assert.deepEqual(asked, []);
  session.onTransportClosed(1006);
  assert.equal(world.count('closed'), 1);
});

test('who is ended by an administrator when the connection is gone already is not resumed', () => {
  const world = new SessionWorld();
  const { session } = world.open();
  session.onTransportClosed(1006);
  session.close('disconnected');
  world.turn();
  assert.deepEqual([world.parked.length, world.count('detached'), world.count('closed')], [0, 1, 1]);
});

test('what comes for a connection that is gone takes no room, and is nobody slow', () => {
  const world = new SessionWorld({ outboxBytesMax: 1000 });
  const { session, transport } = world.open();
  session.onTransportEnded();
  for (let count = 0; count < 10; count++) session.deliver(Buffer.alloc(500), 1, 'normal');
  assert.equal(transport.closed, undefined);
  assert.equal(session.isOpen, true);
});

test('a token that came in time is good, also when its turn comes late', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  frame(session, { type: 'Auth', id: 'a', data: { token: 'good' } });
  world.context.tokens.verify = () => ({ ok: true, identity: world.identity('ann') });
  const { ready } = world;
  const waiting = [...ready];
  ready.clear(); // its turn does not come
  world.pass(11_000);
  assert.equal(transport.closed, undefined);
  assert.equal(session.isLive, true);
  for (const each of waiting) ready.add(each);
  world.turn();
});
