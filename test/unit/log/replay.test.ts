/** Stored messages → what their receivers see: of each kind, in topics and inboxes, and as missed frames. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { passes, publicationOf, receiverOf, replayOfPage, tombstone } from '../../../src/log/replay.ts';
import { compileFilter, type Filter } from '../../../src/routing/filter.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { envelopesIn } from '../topic/topic-world.ts';
import { ann, ben, publication, topicName } from './log-world.ts';

const inboxOfAnn = 'inbox:ann' as TopicName;
const m1 = 'm1' as MessageId;

function stored(fields: Partial<StoredMessage> = {}): StoredMessage {
  return {
    ...{ kind: 'message', offset: 7, messageId: m1, from: ann, peer: undefined, target: undefined },
    ...{ event: 'said', priority: 'high', payload: Payload.ofValue('hi').msgpack, timestampMs: 1000 },
    ...{ editedAtMs: undefined, deletedAtMs: undefined, ...fields },
  };
}

const shown = (topic: TopicName, message: StoredMessage) => {
  const { payload, ...rest } = publicationOf(topic, message);
  return { ...rest, payload: payload.value };
};

test('a message of a topic is what was broadcast', () => {
  assert.deepEqual(shown(topicName, stored()), {
    ...{ type: 'Broadcast', id: m1, topic: topicName, offset: 7, from: ann, to: undefined },
    ...{ target: undefined, event: 'said', priority: 'high', payload: 'hi', timestamp: 1000 },
  });
});

test('a message of an inbox is a direct one, to its owner or to the one whom the owner wrote to', () => {
  const seen = (from: UserId, peer: UserId | undefined) => {
    const { type, to, topic } = publicationOf(inboxOfAnn, stored({ from, peer }));
    return [type, to, topic];
  };
  assert.deepEqual(seen(ben, ben), ['DirectMessage', ann, inboxOfAnn]);
  assert.deepEqual(seen(ann, ben), ['DirectMessage', ben, inboxOfAnn]);
  assert.deepEqual(seen(ann, ann), ['DirectMessage', ann, inboxOfAnn]);
  assert.equal(receiverOf(ann, { from: ann, peer: undefined }), ann);
});

test('an edit or a deletion is itself, in a topic as in an inbox, and is to nobody', () => {
  for (const topic of [topicName, inboxOfAnn]) {
    for (const [kind, type] of [
      ['edited', 'Edited'],
      ['deleted', 'Deleted'],
    ] as const) {
      const message = stored({ kind, target: 'm0' as MessageId, event: undefined, peer: ben });
      const { type: told, id, target, to } = publicationOf(topic, message);
      assert.deepEqual([told, id, target, to], [type, m1, 'm0', undefined]);
    }
  }
});

test('a message that was edited is as it is now; one that was deleted is its place, with nothing of what it said', () => {
  const payload = Payload.ofValue('new').msgpack;
  assert.equal(shown(topicName, stored({ payload, editedAtMs: 2000 })).payload, 'new');
  for (const topic of [topicName, inboxOfAnn]) {
    const left = shown(topic, stored({ deletedAtMs: 3000, peer: ben }));
    assert.deepEqual(
      [left.type, left.offset, left.target, left.from, left.to, left.event, left.payload],
      ['Deleted', 7, m1, ann, undefined, undefined, null],
    );
  }
});

test('what is left of a message keeps its place, id and author', () => {
  const { payload, ...left } = tombstone(publication(3, { event: 'said', to: ben }));
  const { payload: _, ...expected } = publication(3, { type: 'Deleted', target: 'm3' as MessageId });
  assert.deepEqual([left, payload.value], [expected, null]);
});

function filterOf(conditions: Record<string, unknown>): Filter {
  const filter = compileFilter(conditions);
  assert.ok(typeof filter === 'function', String(filter));
  return filter;
}

test('a filter speaks of messages, and lets everything pass that becomes of them', () => {
  const filter = filterOf({ event: 'said', offset: { gt: 5 }, priority: 'normal' });
  assert.equal(passes(publication(6, { event: 'said' }), filter), true);
  assert.equal(passes(publication(5, { event: 'said' }), filter), false);
  assert.equal(passes(publication(6), filter), false);
  for (const type of ['Edited', 'Deleted'] as const)
    assert.equal(passes(publication(1, { type }), filter), true);
  assert.equal(passes(publication(1), undefined), true);
});

test('the frames of a page say that they were missed, in order, in the encoding of who missed them', () => {
  const messages = [3, 4, 5].map((offset) => stored({ offset, messageId: `m${offset}` as MessageId }));
  for (const encoding of ['json', 'msgpack'] as const) {
    const { upTo, frameCount, frames } = replayOfPage(topicName, messages, encoding, undefined);
    assert.deepEqual([upTo, frameCount], [5, 3]);
    assert.equal(frames[0], encoding === 'json' ? 0x81 : 0x82);
    assert.deepEqual(
      envelopesIn(frames).map(({ id, data }) => [id, data['offset'], data['replay'], data['payload']]),
      [
        ['m3', 3, true, 'hi'],
        ['m4', 4, true, 'hi'],
        ['m5', 5, true, 'hi'],
      ],
    );
  }
});

test('[REC1] a page goes as far as its last entry, although a filter lets none of it pass', () => {
  const replay = replayOfPage(
    topicName,
    [stored(), stored({ offset: 8 })],
    'json',
    filterOf({ event: 'other' }),
  );
  assert.deepEqual([replay.upTo, replay.frameCount, replay.frames.length], [8, 0, 0]);
});
