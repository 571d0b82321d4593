/** Claims of a log: offsets, what comes back, pages. */
import assert from 'node:assert/strict';
import type { PageRequest } from '../../../src/store/history-store.ts';
import { ben, boundsOf, bytes, type Claim, entry, nil, offsets, pageOf, tenant, topic } from '../entries.ts';

export function claimLog(claim: Claim): void {
  claimOffsets(claim);
  claimContent(claim);
  claimPages(claim);
}

function claimOffsets(claim: Claim): void {
  claim('offsets of a topic rise from 1 without holes, whatever else is in the batch', async (store) => {
    const [a, b] = [topic('a'), topic('b')];
    const batch = [a, b, a, a, b].map((name) => entry({ topic: name }));
    assert.deepEqual(offsets(await store.append(batch)), [1, 1, 2, 3, 2]);
    assert.deepEqual(offsets(await store.append([entry({ topic: b })])), [3]);
    assert.deepEqual(
      [await boundsOf(store, a), await boundsOf(store, b)],
      [
        [1, 3],
        [1, 3],
      ],
    );
  });

  claim('a batch of nothing is answered with nothing', async (store) => {
    assert.deepEqual(await store.append([]), []);
  });

  claim('a batch of 512 to 100 topics comes back in its order', async (store) => {
    const batch = Array.from({ length: 512 }, (_, index) => entry({ topic: topic(`t:${index % 100}`) }));
    assert.deepEqual(
      offsets(await store.append(batch)),
      batch.map((_, index) => Math.floor(index / 100) + 1),
    );
    const messages = await pageOf(store, topic('t:7'));
    assert.deepEqual(
      messages.map(({ messageId }) => messageId),
      batch.filter((_, index) => index % 100 === 7).map(({ messageId }) => messageId),
    );
  });

  claim('the same topic of two tenants is two topics', async (store) => {
    const batch = [entry({ topic: topic('a', 'one') }), entry({ topic: topic('a', 'two') })];
    assert.deepEqual(offsets(await store.append(batch)), [1, 1]);
    const messages = await pageOf(store, topic('a', 'two'));
    assert.deepEqual(
      messages.map(({ messageId }) => messageId),
      [batch[1]!.messageId],
    );
  });

  claim('a topic that nobody wrote to is empty, and asking does not make it', async (store) => {
    const nowhere = topic('nowhere');
    const empty = { messages: [], hasMore: false, firstOffset: 1, lastOffset: 0 };
    assert.deepEqual(await store.page({ topic: nowhere, view: 'log', limit: 5 }), empty);
    assert.deepEqual(await store.topics({ after: undefined, limit: 5 }), []);
    assert.deepEqual(offsets(await store.append([entry({ topic: nowhere })])), [1]);
  });
}

function claimContent(claim: Claim): void {
  claim('a message comes back as it was given', async (store) => {
    const full = entry({
      ...{ event: 'deploy', priority: 'high', key: 'k', digest: 2 ** 52 + 1, text: 'some words' },
      payload: Uint8Array.of(0xc4, 2, 0, 255),
    });
    const bare = entry({ payload: new Uint8Array() });
    await store.append([full, bare]);
    const messages = await pageOf(store, full.topic);
    const came = messages.map((message) => ({ ...message, payload: [...message.payload] }));
    const nothing = { peer: undefined, target: undefined, editedAtMs: undefined, deletedAtMs: undefined };
    const expected = [full, bare].map((given, index) => {
      const { kind, messageId, from, event, priority, timestampMs } = given;
      const payload = [...given.payload];
      return { kind, offset: index + 1, messageId, from, event, priority, payload, timestampMs, ...nothing };
    });
    assert.deepEqual(came, expected);
    assert.ok(messages.every(({ payload }) => payload instanceof Uint8Array));
  });

  claim('every character of a key and of an event is kept, NUL and backslash too', async (store) => {
    const odd = ['\u0000', 'a\u0000b', 'a\\0b', 'a\\\u0000', '\\', "it's", '"{},', 'NULL', '', 'Ω💡', '\n\t'];
    const batch = odd.map((text, index) => entry({ event: text, key: text, digest: index }));
    assert.ok((await store.append(batch)).every(({ state }) => state === 'stored'));
    assert.deepEqual(
      (await pageOf(store, topic('chat:a'))).map(({ event }) => event),
      odd,
    );
    const again = odd.map((text, index) => entry({ key: text, digest: index }));
    assert.deepEqual(
      offsets(await store.append(again)),
      odd.map((_, index) => index + 1),
    );
  });

  claim('half a character in a key harms nobody', async (store) => {
    const batch = ['\ud800', '\udfff', '\ud800'].map((key, digest) =>
      entry({ key, digest, event: key, text: key }),
    );
    const states = (await store.append([...batch, entry()])).map(({ state }) => state);
    assert.deepEqual([states[0], states[3]], ['stored', 'stored']);
    assert.equal((await pageOf(store, topic('chat:a')))[0]!.event, '\ufffd');
  });

  claim('times are kept to the millisecond, over many years', async (store) => {
    const times = [0, 1, 999, 1_000_000_000_001, 1_767_225_599_999, 1_767_225_600_000, 1_769_904_000_123];
    const farAway = 4_102_444_800_777;
    const batch = [...times, farAway].map((timestampMs) => entry({ timestampMs }));
    await store.append(batch);
    assert.deepEqual(
      (await pageOf(store, topic('chat:a'))).map(({ timestampMs }) => timestampMs),
      [...times, farAway],
    );
  });

  claim('a message of 1 MiB is kept, byte by byte', async (store) => {
    const payload = new Uint8Array(1024 ** 2).map((_, index) => (index * 31) % 256);
    await store.append([entry({ payload })]);
    const [message] = await pageOf(store, topic('chat:a'));
    assert.equal(Buffer.compare(message!.payload, payload), 0);
  });
}

function claimPages(claim: Claim): void {
  claim('pages go both ways, oldest first, and say whether there is more', async (store) => {
    await store.append(Array.from({ length: 10 }, () => entry()));
    const page = async (request: Partial<PageRequest>) => {
      const asked = { topic: topic('chat:a'), view: 'log' as const, limit: 3, ...request };
      const { messages, hasMore, firstOffset, lastOffset } = await store.page(asked);
      assert.deepEqual([firstOffset, lastOffset], [1, 10], 'those of the topic, whatever was asked');
      return [messages.map(({ offset }) => offset), hasMore];
    };
    assert.deepEqual(await page({}), [[8, 9, 10], true]);
    assert.deepEqual(await page({ before: 8 }), [[5, 6, 7], true]);
    assert.deepEqual(await page({ before: 3 }), [[1, 2], false]);
    assert.deepEqual(await page({ before: 1 }), [[], false]);
    assert.deepEqual(await page({ after: 0 }), [[1, 2, 3], true]);
    assert.deepEqual(await page({ after: 7 }), [[8, 9, 10], false]);
    assert.deepEqual(await page({ after: 2, before: 6, limit: 2 }), [[3, 4], true]);
    assert.deepEqual(await page({ after: 2, before: 6, limit: 5 }), [[3, 4, 5], false]);
    assert.deepEqual(await page({ after: 10 }), [[], false]);
    assert.deepEqual(await page({ after: 99 }), [[], false]);
    assert.deepEqual(await page({ limit: 10 }), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false]);
    assert.deepEqual(await page({ limit: 0 }), [[], true]);
    assert.deepEqual(await page({ after: 10, limit: 0 }), [[], false]);
  });

  claim('pages are of one topic, and the largest has 1,000 messages', async (store) => {
    for (let batch = 0; batch < 3; batch++) {
      const entries = Array.from({ length: 400 }, (_, index) => entry({ topic: topic(`t:${index % 2}`) }));
      await store.append([...entries, ...entries.map((given) => entry({ topic: given.topic }))]);
    }
    const page = await store.page({ topic: topic('t:1'), view: 'log', after: 100, limit: 1_000 });
    assert.deepEqual([page.messages.length, page.hasMore], [1_000, true]);
    assert.deepEqual(
      page.messages.map(({ offset }) => offset),
      Array.from({ length: 1_000 }, (_, index) => index + 101),
    );
  });

  claim('a message is found by its id in its tenant only', async (store) => {
    const [mine, theirs] = [entry({ from: ben, payload: bytes(7) }), entry({ topic: topic('b', 'other') })];
    await store.append([mine, theirs]);
    const here = await store.find({ tenant: tenant, messageId: mine.messageId });
    assert.deepEqual(
      here.map(({ topic: where, message }) => [where, message.offset, message.from, message.payload[0]]),
      [[mine.topic, 1, ben, 7]],
    );
    assert.deepEqual(await store.find({ tenant: tenant, messageId: theirs.messageId }), []);
    assert.deepEqual(await store.find({ tenant: tenant, messageId: 'no id' as never }), []);
    const edit = entry({
      kind: 'edited',
      topic: mine.topic,
      from: ben,
      target: mine.messageId,
      payload: nil,
    });
    await store.append([edit]);
    assert.deepEqual(await store.find({ tenant: tenant, messageId: edit.messageId }), []);
  });
}
