/** `Resume`: what is asked for again, what its reply says, and what comes behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId, TopicName, UserId } from '#proto/names.ts';
import type { SessionTold } from '../../../src/presence/session-told.ts';
import type { AnswerReceiver } from '../../../src/session/ports.ts';
import type { Since } from '../../../src/wire/message.ts';
import { SessionWorld } from '../../kit/session-world.ts';

const former = { session: 'old' as SessionId, tokenHash: 'hash of t' };
const told: SessionTold = {
  former,
  presence: { status: 'busy', isIdle: false, device: { id: 'd1' } },
  watching: ['cat' as UserId],
  inbox: undefined,
  subscriptions: [
    { topic: 'a' as TopicName, filter: '', isMember: true },
    {
      topic: 'b' as TopicName,
      filter: '{"event":"x"}',
      isMember: false,
      position: { offset: 3, epoch: 'e1' },
    },
  ],
};

/** A session that resumes `old`; the topics' homes answer when the test says so. */
function open(answer = { ok: true as const, result: told as unknown }) {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  const asked: { since: Since | undefined; settle: () => void }[] = [];
  let correlation = 100;
  world.join = (since: Since | undefined, receiver: AnswerReceiver) => {
    const own = ++correlation;
    const settle = () => {
      receiver.onAnswer(own, { ok: true });
      world.turn();
    };
    asked.push({ since, settle });
    return { state: 'pending', correlation: own };
  };
  world.presence.users = () => ({
    state: 'answered',
    answer: { ok: true, result: [{ user: 'cat', status: 'away', devices: [] }] },
  });
  const names: object[] = [];
  world.resume = (name) => {
    names.push(name);
    return { state: 'answered', answer };
  };
  const resume = (positions?: object) =>
    world.send(session, {
      type: 'Resume',
      id: 'r1',
      data: { sessionId: 'old', resumeToken: 't', ...(positions === undefined ? {} : { positions }) },
    });
  const heard = () => transport.envelopes().slice(1);
  return { world, session, transport, asked, names, resume, heard };
}

/** Answers what is open, the topics of a session one behind the other; nobody waits for the boards of presence. */
function settleAll(asked: { settle: () => void }[]): void {
  while (asked.length > 0) asked.shift()?.settle();
}

test('the home is asked by the name and the hash of the token, never the token', () => {
  const { names, resume } = open();
  resume();
  assert.deepEqual(names, [former]);
});

test('[RES2] the reply to Resume comes before anything that came while it was made, and the presence of others behind', () => {
  const { world, session, transport, asked, resume, heard } = open();
  resume();
  session.deliver(Buffer.from('\x81\x10{"type":"early"}', 'latin1'), 1, 'normal');
  world.turn();
  assert.deepEqual(heard(), [], 'held back');
  settleAll(asked);
  assert.deepEqual(
    heard().map(({ type, data }) => [type, data?.['op'] ?? data?.['user']]),
    [
      ['Status', 'Resume'],
      ['early', undefined],
      ['Presence', 'cat'],
    ],
  );
  assert.equal(transport.closed, undefined);
});

test('a resumed session is what the former one was: subscriptions with their filters, member, presence, followed users', () => {
  const { world, session, asked, resume, heard } = open();
  resume();
  settleAll(asked);
  const { phase } = session.live ?? assert.fail('not live');
  assert.deepEqual(
    phase.subscriptions.values().map(({ key, lane, members }) => [key, lane[1], members !== undefined]),
    [
      ['default|a', '', true],
      ['default|b', '{"event":"x"}', false],
    ],
  );
  assert.deepEqual(
    [phase.former, phase.presence, [...(phase.watching ?? [])]],
    [former, told.presence, ['cat']],
  );
  assert.equal(world.count('entered'), 1);
  const { resumed, sessionId, topics } = heard()[0]!.data as Record<string, unknown>;
  assert.deepEqual([resumed, sessionId], [true, session.id]);
  assert.deepEqual(
    (topics as { topic: string }[]).map(({ topic }) => topic),
    ['inbox:ann', 'a', 'b'],
  );
});

test('the positions that the client names count, and where it names none those that the server knows', () => {
  for (const [positions, since] of [
    [undefined, { offset: 3, epoch: 'e1' }],
    [{ b: { offset: 2, epoch: 'e1' } }, { offset: 2, epoch: 'e1' }],
  ] as const) {
    const { asked, resume } = open();
    resume(positions);
    const sinces: unknown[] = [];
    while (asked.length > 0) {
      const next = asked.shift()!;
      sinces.push(next.since);
      next.settle();
    }
    assert.deepEqual(
      sinces.filter((one) => one !== undefined),
      [since],
    );
  }
});

test('a session goes on where one other ended, and then no more', () => {
  const { world, session, asked, names, resume, heard } = open();
  resume();
  settleAll(asked);
  world.send(session, { type: 'Resume', id: 'r2', data: { sessionId: 'other', resumeToken: 't' } });
  assert.equal(heard().at(-1)?.data?.['code'], 'bad_request');
  assert.equal(names.length, 1);
});

test('a session that cannot be resumed leaves the new one as it was', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.send(session, { type: 'Resume', id: 'r1', data: { sessionId: 'old', resumeToken: 't' } });
  assert.equal(transport.envelopes().at(-1)?.data?.['code'], 'resume_failed');
  world.send(session, { type: 'Subscribe', id: 's1', data: { topic: 'a' } });
  assert.equal(transport.envelopes().at(-1)?.data?.['op'], 'Subscribe');
});

test('[RES2] a topic that is lost before the reply to Resume brings no reply, and can be resumed from where it was', () => {
  const { world, session, transport, asked, resume, heard } = open();
  resume();
  for (const { since, settle } of asked) if (since === undefined) settle(); // until `b` is asked for
  session.onLost('b' as TopicName, 'the home of the topic was lost');
  world.turn();
  assert.deepEqual([heard(), transport.closed?.code], [[], 4001]);
  const positions = world.parked.at(-1)?.[1].subscriptions.map(({ topic, position }) => [topic, position]);
  assert.deepEqual(positions, [
    ['a', undefined],
    ['b', { offset: 3, epoch: 'e1' }],
  ]);
});
