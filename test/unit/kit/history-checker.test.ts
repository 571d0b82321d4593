/** The history checker on small logs: what it calls a fault, in which words, and what it lets pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory } from '../../kit/history-checker.ts';
import {
  type FinalTopic,
  formatViolations,
  type History,
  type HistoryEvent,
  type HistoryStep,
  type Position,
} from '../../kit/history-events.ts';

const place = (offset: number, epoch = 'e'): Position => ({ epoch, offset });
const steps = {
  connect: { kind: 'connect', tenant: 't' },
  close: { kind: 'close' },
  ended: { kind: 'gap', topic: 'room', signal: 'ended' },
} satisfies Record<string, HistoryStep>;
const invoke = (key: string, body = `body of ${key}`): HistoryStep => ({
  ...{ kind: 'invoke', topic: 'room', key, body },
  sender: 'ann',
});
const ack = (key: string, offset: number, messageId = `id of ${key}`, epoch = 'e'): HistoryStep => ({
  ...{ kind: 'ack', key, messageId, epoch, offset, duplicate: false },
});
const reject = (key: string, code = 'busy'): HistoryStep => ({ kind: 'reject', key, code });
const message = (key: string, offset: number) => ({
  ...{ messageId: `id of ${key}`, sender: 'ann', body: `body of ${key}`, offset },
});
const deliver = (
  key: string,
  offset: number,
  other: { epoch?: string; messageId?: string } = {},
): HistoryStep => ({
  ...{ kind: 'deliver', topic: 'room', epoch: 'e', isReplay: false, ...message(key, offset), ...other },
});
const subscribe = (from?: Position): HistoryStep => ({
  kind: 'subscribe',
  topic: 'room',
  ...(from && { from }),
});
const resubscribe = (since: Position): HistoryStep => ({ kind: 'resubscribe', topic: 'room', since });

/** What each client did, in the order of the list; connected from the start. */
function log(...told: [client: string, ...HistoryStep[]][]): HistoryEvent[] {
  const clients = [...new Set(told.map(([client]) => client))];
  const lines: [string, HistoryStep][] = [
    ...clients.map((client): [string, HistoryStep] => [client, steps.connect]),
    ...told.flatMap(([client, ...list]) => list.map((step): [string, HistoryStep] => [client, step])),
  ];
  return lines.map(([client, step], at) => ({ at, client, ...step }));
}

function classesOf(history: History): string[] {
  return checkHistory(history).map((violation) => `${violation.class} ${violation.offsets.join('+')}`);
}

const stored = (...keys: string[]): FinalTopic[] => [
  { tenant: 't', topic: 'room', epoch: 'e', messages: keys.map((key, i) => message(key, i + 1)) },
];

test('a violation says what, where, who, and in a sentence', () => {
  const events = log(
    ['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 2), invoke('c'), ack('c', 3)],
    ['bob', subscribe(place(0)), deliver('a', 1), deliver('c', 3)],
    ['cid', subscribe(place(0)), deliver('a', 1), deliver('c', 3)],
  );
  const violations = checkHistory({ events, final: stored('a', 'b', 'c') });
  assert.deepEqual(violations, [
    {
      ...{ class: 'hole', tenant: 't', topic: 'room', epoch: 'e', offsets: [2], messages: ['id of b'] },
      ...{ clients: ['bob', 'cid'], sentence: 'offset 2 was left out without a signal' },
    },
  ]);
  assert.equal(
    formatViolations(violations),
    '1 hole\n  hole in t|room (epoch e): offset 2 was left out without a signal [bob, cid]',
  );
  assert.match(formatViolations([...violations, ...violations], 1), /^2 hole\n.*\n {2}and 1 more$/);
  assert.equal(formatViolations([]), 'no violation');
});

test('an acked message is lost when the store lacks it, or when nobody who watched its place saw it', () => {
  const sent = log(['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 2)]);
  assert.deepEqual(classesOf({ events: sent, final: stored('a') }), ['lost 2']);
  assert.deepEqual(classesOf({ events: sent }), [], 'nobody watched');
  const watched = [...sent, ...log(['bob', resubscribe(place(0)), deliver('a', 1)])];
  assert.deepEqual(classesOf({ events: watched }), ['lost 2']);
  assert.deepEqual(classesOf({ events: watched, isDrained: false }), [], 'it may be under way');
  const left = [...sent, ...log(['bob', resubscribe(place(0)), deliver('a', 1), steps.close])];
  assert.deepEqual(classesOf({ events: left }), [], 'nobody was there when it would have come');
});

test('retention makes the final history start later: what is older is not lost', () => {
  const events = log(['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 2)]);
  const kept = { tenant: 't', topic: 'room', epoch: 'e', from: 2, messages: [message('b', 2)] };
  assert.deepEqual(classesOf({ events, final: [kept] }), []);
  assert.deepEqual(classesOf({ events, final: [{ ...kept, from: 1 }] }), ['lost 1']);
});

test('a durable topic that ends in another epoch has lost what it acked before', () => {
  const events = log(['ann', invoke('a'), ack('a', 1)]);
  const final = [{ tenant: 't', topic: 'room', epoch: 'e2', messages: [] }];
  assert.deepEqual(classesOf({ events, final }), ['lost 1']);
});

test('an offset that is used again after a crash betrays the message that had it', () => {
  const events = log(
    ['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 1)],
    ['bob', subscribe(place(0)), deliver('b', 1)],
  );
  assert.deepEqual(classesOf({ events }), ['lost 1']);
  const unwatched = log(['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 1)]);
  assert.deepEqual(classesOf({ events: unwatched }), ['divergence 1']);
});

test('a hole is told once however wide, and what is lost in it is not told twice', () => {
  const far = 1e12;
  const events = log(
    ['ann', invoke('a'), invoke('z')],
    ['bob', subscribe(place(0)), deliver('a', 1), deliver('z', far)],
  );
  const [hole, ...more] = checkHistory({ events });
  assert.equal(hole?.sentence, `offsets 2 to ${far - 1} were left out without a signal`);
  assert.equal(hole.offsets.length, 20);
  assert.deepEqual(more, []);
  const partly = log(
    ['ann', invoke('a'), ack('a', 1), invoke('c'), ack('c', 3), invoke('e'), ack('e', 5)],
    ['bob', subscribe(place(0)), deliver('a', 1), deliver('e', 5)],
  );
  assert.deepEqual(classesOf({ events: partly }), ['lost 3', 'hole 2', 'hole 4']);
});

test('a signal excuses a hole: unrecovered, ended, unsubscribed, closed', () => {
  const sent = log(['ann', ...['a', 'b', 'c'].flatMap((key, i) => [invoke(key), ack(key, i + 1)])]);
  const excuses: HistoryStep[][] = [
    [{ kind: 'gap', topic: 'room', signal: 'unrecovered' }],
    [{ kind: 'gap', topic: 'room', signal: 'unrecovered', from: place(2) }],
    [steps.ended, subscribe()],
    [{ kind: 'unsubscribe', topic: 'room' }, subscribe(place(2))],
    [steps.close, steps.connect, subscribe(place(2))],
  ];
  for (const excuse of excuses) {
    const bob = log(['bob', subscribe(place(0)), deliver('a', 1), ...excuse, deliver('c', 3)]);
    assert.deepEqual(classesOf({ events: [...sent, ...bob], final: stored('a', 'b', 'c') }), []);
  }
  const silent = log(['bob', subscribe(place(0)), deliver('a', 1), resubscribe(place(1)), deliver('c', 3)]);
  assert.deepEqual(classesOf({ events: [...sent, ...silent], final: stored('a', 'b', 'c') }), ['hole 2']);
});

test('a new epoch without a signal is a hole, whether it is seen or slept through', () => {
  const ann = log(['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 1, 'id of b', 'e2')]);
  const bob = log(['bob', subscribe(place(0)), deliver('a', 1), deliver('b', 1, { epoch: 'e2' })]);
  assert.deepEqual(classesOf({ events: [...ann, ...bob] }), ['hole 1']);
  const told = log([
    'bob',
    subscribe(place(0)),
    deliver('a', 1),
    steps.ended,
    subscribe(),
    deliver('b', 1, { epoch: 'e2' }),
  ]);
  const asleep = log(['cid', subscribe(place(0)), deliver('a', 1)]);
  assert.deepEqual(classesOf({ events: [...ann, ...told] }), []);
  const [violation, ...more] = checkHistory({ events: [...ann, ...told, ...asleep] });
  assert.deepEqual(more, []);
  assert.equal(violation?.sentence, 'the topic went on in epoch e2, and subscribers of e were not told');
  assert.deepEqual(violation.clients, ['cid']);
});

test('a message twice in one subscription is doubled; again in the next one it is recovery', () => {
  const ann = log(['ann', invoke('a'), ack('a', 1), invoke('b'), ack('b', 2)]);
  const once = [subscribe(place(0)), deliver('a', 1), deliver('b', 2)];
  assert.deepEqual(classesOf({ events: [...ann, ...log(['bob', ...once, deliver('a', 1)])] }), ['doubled 1']);
  const recovered = log(['bob', ...once, resubscribe(place(0)), deliver('a', 1), deliver('b', 2)]);
  assert.deepEqual(classesOf({ events: [...ann, ...recovered] }), []);
  const tooMuch = log(['bob', ...once, resubscribe(place(1)), deliver('a', 1), deliver('b', 2)]);
  assert.deepEqual(classesOf({ events: [...ann, ...tooMuch] }), ['doubled 1']);
});

test('a key stored twice is doubled, by what was seen or by what was acked', () => {
  const resent = [invoke('a'), steps.close, steps.connect, invoke('a')];
  const seen = log(
    ['ann', ...resent, ack('a', 2, 'second')],
    [
      'bob',
      subscribe(place(0)),
      deliver('a', 1, { messageId: 'first' }),
      deliver('a', 2, { messageId: 'second' }),
    ],
  );
  assert.deepEqual(classesOf({ events: seen }), ['doubled 1+2']);
  const acked = log(['ann', invoke('a'), ack('a', 1, 'first'), invoke('a'), ack('a', 2, 'second')]);
  assert.deepEqual(classesOf({ events: acked }), ['doubled 1+2']);
  const anew = log(['ann', invoke('a'), ack('a', 1, 'first'), invoke('a'), ack('a', 1, 'second', 'e2')]);
  assert.deepEqual(classesOf({ events: anew }), [], 'a topic that began anew remembers no keys');
});

test('a late message is reordered, not a hole', () => {
  const ann = log(['ann', ...['a', 'b', 'c'].flatMap((key, i) => [invoke(key), ack(key, i + 1)])]);
  const bob = log(['bob', subscribe(place(0)), deliver('a', 1), deliver('c', 3), deliver('b', 2)]);
  assert.deepEqual(classesOf({ events: [...ann, ...bob] }), ['reordered 2']);
  const old = log(['cid', subscribe(), deliver('b', 2), deliver('a', 1), deliver('c', 3)]);
  assert.deepEqual(classesOf({ events: [...ann, ...old] }), ['reordered 1']);
});

test('a sender’s order holds on one connection, and from an ack on for all their devices', () => {
  const both = [ack('a', 2), ack('b', 1)];
  const sentences = (events: HistoryEvent[], mayRefuse = true) =>
    checkHistory({ events, mayRefuse, final: stored('b', 'a') }).map(({ sentence }) => sentence);
  const told = ['ann sent a before b, but they have the offsets 2 and 1'];
  assert.deepEqual(sentences(log(['phone', invoke('a'), invoke('b'), ...both])), told);
  assert.deepEqual(
    sentences(log(['phone', invoke('a'), ack('a', 2)], ['desk', invoke('b'), ack('b', 1)])),
    told,
  );
  assert.deepEqual(
    sentences(log(['phone', invoke('a')], ['desk', invoke('b'), ack('b', 1)], ['phone', ack('a', 2)])),
    [],
  );
});

test('whoever goes on without resending, or after a refusal, gave the order up', () => {
  const again = [steps.close, steps.connect];
  const final = stored('b', 'a');
  const skipped = log(['ann', invoke('a'), ...again, invoke('b'), ack('b', 1), invoke('a'), ack('a', 2)]);
  const refused = log(['ann', invoke('a'), invoke('b'), reject('a'), ack('b', 1), invoke('a'), ack('a', 2)]);
  const unsure = log([
    'ann',
    invoke('a'),
    invoke('b'),
    reject('a', 'internal'),
    ack('b', 1),
    invoke('a'),
    ack('a', 2),
  ]);
  const resent = log([
    'ann',
    invoke('a'),
    invoke('b'),
    ...again,
    invoke('a'),
    invoke('b'),
    ack('a', 2),
    ack('b', 1),
  ]);
  for (const events of [skipped, refused, unsure, resent]) assert.deepEqual(classesOf({ events, final }), []);
  assert.deepEqual(classesOf({ events: resent, final, mayRefuse: false }), ['reordered 1+2']);
  assert.deepEqual(classesOf({ events: skipped, final, mayRefuse: false }), []);
});

test('a phantom was never sent, was altered, was refused, or is an ack of nothing', () => {
  const bob = (step: HistoryStep): [string, ...HistoryStep[]] => ['bob', subscribe(place(0)), step];
  assert.deepEqual(classesOf({ events: log(bob(deliver('a', 1))) }), ['phantom 1']);
  const altered = { ...deliver('a', 1), body: 'another' } as HistoryStep;
  assert.deepEqual(classesOf({ events: log(['ann', invoke('a'), ack('a', 1)], bob(altered)) }), [
    'phantom 1',
  ]);
  const elsewhere = { ...deliver('a', 1), topic: 'hall' } as HistoryStep;
  const hall = log(
    ['ann', invoke('a'), ack('a', 1)],
    ['bob', { kind: 'subscribe', topic: 'hall' }, elsewhere],
  );
  assert.deepEqual(classesOf({ events: hall }), ['phantom 1']);
  assert.deepEqual(classesOf({ events: log(['ann', invoke('a'), reject('a')], bob(deliver('a', 1))) }), [
    'phantom 1',
  ]);
  const unsure = log(['ann', invoke('a'), reject('a', 'internal')], bob(deliver('a', 1)));
  assert.deepEqual(classesOf({ events: unsure }), []);
  assert.deepEqual(classesOf({ events: unsure, indefiniteCodes: [] }), ['phantom 1']);
  const conflict = log(['ann', invoke('a'), ack('a', 1), invoke('a', 'other'), reject('a', 'key_conflict')]);
  assert.deepEqual(classesOf({ events: [...conflict, ...log(bob(deliver('a', 1)))] }), []);
  assert.deepEqual(classesOf({ events: log(['ann', ack('a', 1)]) }), ['phantom 1']);
});

test('another tenant’s message is told as that, and takes no place in the topic', () => {
  const events = log(['ann', invoke('a'), ack('a', 1)]);
  for (const [at, step] of [steps.connect, subscribe(place(4)), deliver('a', 1)].entries()) {
    events.push({ at, client: 'eve', ...step, ...(step.kind === 'connect' && { tenant: 'other' }) });
  }
  assert.deepEqual(classesOf({ events }), ['cross-tenant 1']);
  const unacked = events.filter(({ kind }) => kind !== 'ack');
  assert.deepEqual(classesOf({ events: unacked }), ['cross-tenant 1']);
});

test('two messages at one position are a divergence, between clients or with the store', () => {
  const ann = log(['ann', invoke('a'), invoke('b')]);
  const bob = log(['bob', subscribe(place(0)), deliver('a', 1)]);
  const cid = log(['cid', subscribe(place(0)), deliver('b', 1)]);
  const [violation, ...more] = checkHistory({ events: [...ann, ...bob, ...cid] });
  assert.equal(violation?.class, 'divergence');
  assert.equal(violation.sentence, 'offset 1 is id of a to bob and id of b to cid');
  assert.deepEqual(more, []);
  assert.deepEqual(classesOf({ events: [...ann, ...bob], final: stored('b') }), ['divergence 1']);
});

test('an ack that names another place or another message is told, and its message is not lost', () => {
  const bob: [string, ...HistoryStep[]] = ['bob', subscribe(place(0)), deliver('a', 1)];
  assert.deepEqual(classesOf({ events: log(['ann', invoke('a'), ack('a', 7)], bob) }), ['ack-mismatch 7']);
  const epoch = log(['ann', invoke('a'), ack('a', 1, 'id of a', 'e2')], bob);
  assert.deepEqual(classesOf({ events: epoch }), ['ack-mismatch 1']);
  assert.deepEqual(classesOf({ events: log(['ann', invoke('a'), ack('a', 1, 'x')], bob) }), [
    'ack-mismatch 1',
  ]);
  const stolen = log(['ann', invoke('a'), invoke('b'), ack('a', 1), ack('b', 1, 'id of a')], bob);
  assert.deepEqual(classesOf({ events: stolen }), ['ack-mismatch 1']);
  const twice = log(['ann', invoke('a'), ack('a', 1), invoke('a'), ack('a', 2)]);
  assert.deepEqual(classesOf({ events: twice }), ['ack-mismatch 1', 'ack-mismatch 2']);
});

test('a delivery without a subscription is stray', () => {
  const ann = log(['ann', invoke('a'), invoke('b')]);
  const after = log(['bob', subscribe(place(0)), deliver('a', 1), steps.ended, deliver('b', 2)]);
  assert.deepEqual(classesOf({ events: [...ann, ...after] }), ['stray 2']);
});

test('a log that cannot have been is refused', () => {
  const early = log(['ann', invoke('a')]).slice(1);
  assert.throws(() => checkHistory({ events: early }), /bad log: invoke of ann at 1 before its connect/);
  const moved = [...log(['ann']), { at: 9, client: 'ann', kind: 'connect', tenant: 'other' } as const];
  assert.throws(() => checkHistory({ events: moved }), /bad log: ann changes its tenant/);
  const twins = log(['ann', invoke('a', 'same'), invoke('b', 'same')]);
  assert.throws(() => checkHistory({ events: twins }), /bad log: keys a and b of ann have one body/);
});
