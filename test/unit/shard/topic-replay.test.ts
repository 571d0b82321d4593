/** A stretch of the past, published anew: how long is waited for what, and what ends it. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import timers from 'node:timers/promises';
import { topicKey } from '#proto/names.ts';
import { replayTopic } from '../../../src/shard/topic-replay.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { ann, tenant } from '../log/log-world.ts';

const dayMs = 86_400_000;
/** What a timer of Node holds; with more it goes off at once. */
const timerMax = 2 ** 31 - 1;

function messagesAt(times: number[]): StoredMessage[] {
  return times.map((timestampMs, index) => ({
    ...{ kind: 'message', offset: index + 1, messageId: `m${index}` as never, from: ann, peer: undefined },
    ...{ target: undefined, event: undefined, priority: undefined, timestampMs },
    ...{ payload: Payload.ofValue(index).msgpack, editedAtMs: undefined, deletedAtMs: undefined },
  }));
}

/** A replay of messages that were accepted then; `published` are the keys. */
function open(times: number[], speed = 1) {
  const gone = new AbortController();
  const published: (string | undefined)[] = [];
  const result = { messages: messagesAt(times), hasMore: false, firstOffset: 1, lastOffset: times.length };
  const request = {
    ...{ id: 'r', source: topicKey(tenant, 'from' as never), into: topicKey(tenant, 'into' as never) },
    ...{ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, speed },
  };
  const offsets = replayTopic(request, {
    signal: gone.signal,
    history: { ask: () => ({ state: 'answered', answer: { ok: true, result } }) },
    topics: {
      publish: (_topic, { key }) => {
        published.push(key);
        return { state: 'answered', answer: { ok: true } };
      },
    },
  });
  return { gone, published, offsets };
}

/** Timers that go off at once; what they were asked for. */
function fakeTimers(t: TestContext): number[] {
  const waits: number[] = [];
  const { mock } = t.mock.method(timers, 'setTimeout', async (waitMs: number) => {
    waits.push(waitMs);
  });
  syncBuiltinESMExports();
  t.after(() => {
    mock.restore();
    syncBuiltinESMExports();
  });
  return waits;
}

const sum = (waits: number[]) => waits.reduce((total, waitMs) => total + waitMs, 0);

test('a gap longer than a timer holds is waited for in slices, all of it', async (t) => {
  const waits = fakeTimers(t);
  const { published, offsets } = open([0, 30.5 * dayMs, 30.5 * dayMs + 10]);
  await offsets.next();
  assert.deepEqual([waits, published], [[], ['replay:r:1']], 'the first one waits for nothing');
  await offsets.next();
  assert.ok(Math.max(...waits) <= timerMax);
  assert.equal(sum(waits), 30.5 * dayMs);
  waits.length = 0;
  await offsets.next();
  assert.deepEqual([waits, published.length], [[10], 3]);
  assert.equal((await offsets.next()).done, true);
});

test('a gap is so many times shorter as it was asked for, and none without end of speed', async (t) => {
  const waits = fakeTimers(t);
  for (const [speed, waitedMs] of [
    [0.001, 1000 * dayMs],
    [2, dayMs / 2],
    [1000, dayMs / 1000],
    [Number.POSITIVE_INFINITY, 0],
  ] as const) {
    waits.length = 0;
    for await (const _offset of open([0, dayMs], speed).offsets);
    assert.ok(waits.every((waitMs) => waitMs <= timerMax));
    assert.equal(sum(waits), waitedMs, `speed ${speed}`);
  }
});

test('who goes away while such a gap is waited for ends it, and nothing more is published', async () => {
  const { gone, published, offsets } = open([0, 30 * dayMs]);
  await offsets.next();
  const next = offsets.next();
  await new Promise((resolve) => setImmediate(resolve));
  gone.abort();
  await assert.rejects(next, { name: 'AbortError' });
  assert.deepEqual([published, getEventListeners(gone.signal, 'abort')], [['replay:r:1'], []]);
});
