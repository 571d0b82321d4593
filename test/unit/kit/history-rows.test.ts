/** The comparison of acks and rows finds what it is there for: each fault once, and nothing in good rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AckedMessage, offsetUnknown } from '../../kit/durable-record.ts';
import type { Rows, StoredTopic } from '../../kit/durable-rows.ts';
import { disagreements } from '../../kit/durable-verdict.ts';

const epoch = 'e1';

/** Three messages of one sender in a room, and a direct message in two inboxes. */
function world(): { rows: Rows; acked: AckedMessage[] } {
  const message = (offset: number, sender: string, name: string) => {
    return { offset, messageId: `m-${name}`, sender, body: `body-${name}` };
  };
  const topicOf = (topic: string, messages: StoredTopic['messages']): StoredTopic => {
    return { tenant: 'default', topic, epoch, lastOffset: messages.length, messages };
  };
  const names = ['k1', 'k2', 'k3'];
  const room = names.map((name, index) => message(index + 1, 'ann', name));
  const direct = (topic: string) => topicOf(topic, [message(1, 'ann>ben', 'd1')]);
  const keys = names.map((key, index) => {
    return { topic: 'room', sender: 'ann', key, messageId: `m-${key}`, offset: index + 1 };
  });
  const directKey = { topic: 'inbox:ben', sender: 'ann', key: 'd1', messageId: 'm-d1', offset: 1 };
  const ack = (topic: string, sender: string, key: string, name: string, offset: number): AckedMessage => {
    const step = { kind: 'ack', key, messageId: `m-${name}`, duplicate: false, epoch, offset } as const;
    return { topic, sender, key, body: `body-${name}`, step };
  };
  return {
    rows: {
      epoch,
      topics: [topicOf('room', room), direct('inbox:ann'), direct('inbox:ben')],
      keys: [...keys, directKey],
    },
    acked: [
      ...names.map((name, index) => ack('room', 'ann', name, name, index + 1)),
      ack('inbox:ann', 'ann>ben', 'd1/own', 'd1', 1),
      ack('inbox:ben', 'ann>ben', 'd1', 'd1', offsetUnknown),
    ],
  };
}

test('nothing is said of rows that agree with the acks, and the offset nobody was told is filled in', () => {
  const { rows, acked } = world();
  assert.deepEqual(disagreements(acked, rows), []);
  assert.equal(acked.at(-1)?.step.offset, 1);
});

const faults: [name: string, says: RegExp, spoil: (rows: Rows, room: StoredTopic) => unknown][] = [
  ['a row is missing', /acked at room 3/, (_rows, room) => rowsIn(room).pop()],
  ['there is a hole', /offset 3 at place 2/, (_rows, room) => rowsIn(room).splice(1, 1)],
  ['the end is another', /ends at 4 with 3 rows/, (_rows, room) => Object.assign(room, { lastOffset: 4 })],
  [
    'a body is there twice',
    /has 2 rows/,
    (_rows, room) => Object.assign(rowsIn(room)[2]!, { body: 'body-k2' }),
  ],
  [
    'it is another message',
    /key k2 was acked/,
    (_rows, room) => Object.assign(rowsIn(room)[1]!, { messageId: 'm-x' }),
  ],
  ['a key is there twice', /k1 is stored 2 times/, ({ keys }) => keys.push({ ...keys[0]! })],
  ['a key is forgotten', /k1 .* stored as undefined/, ({ keys }) => keys.shift()],
  ['a key is of another', /stored as .*m-k2/, ({ keys }) => Object.assign(keys[0]!, { messageId: 'm-k2' })],
  ['an inbox has nothing', /acked at inbox:ben/, ({ topics }) => topics.pop()],
  ['the inbox of the sender has nothing', /acked at inbox:ann/, ({ topics }) => topics.splice(1, 1)],
  ['the epoch is another', /acked in epoch e1/, (rows) => Object.assign(rows, { epoch: 'e2' })],
];

const rowsIn = ({ messages }: StoredTopic) => messages as StoredTopic['messages'][number][];

for (const [name, says, spoil] of faults) {
  test(`it is told when ${name}`, () => {
    const { rows, acked } = world();
    spoil(rows, rows.topics[0]!);
    assert.match(disagreements(acked, rows).join('\n'), says);
  });
}
