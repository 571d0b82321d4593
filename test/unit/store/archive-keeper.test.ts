/** What is old moves to files: when, in which pieces, and what happens when something comes between. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readArchiveFile } from '../../../src/store/archive-files.ts';
import { StoreUnavailableError } from '../../../src/store/history-store.ts';
import { ann, ben, boundsOf, entry, pageOf, startMs, tenant, topic } from '../../contract/entries.ts';
import { ArchiveWorld, chat, dayMs } from './archive-world.ts';

test('messages older than ARCHIVE_AFTER move, and the file has them as they were', async () => {
  const world = new ArchiveWorld();
  await world.addDays(100);
  const before = await pageOf(world.store, chat);
  world.nowMs = startMs + 99.5 * dayMs;
  await world.round();
  assert.deepEqual(world.ranges(), [[1, 70]]);
  assert.deepEqual(await boundsOf(world.store, chat), [71, 100]);
  const [archive] = await world.store.archives({ limit: 9 });
  const read = readArchiveFile(world.archiveDir, archive!);
  assert.deepEqual(
    read.map((message) => ({ ...message, payload: [...message.payload] })),
    before.slice(0, 70).map((message) => ({ ...message, payload: [...message.payload] })),
  );
  assert.deepEqual(
    [archive!.fromMs, archive!.toMs, archive!.messageCount],
    [startMs, startMs + 69 * dayMs, 70],
  );
  assert.deepEqual(world.files(), [archive!.file]);
});

test('a quiet topic waits for a day, so that it gets one file and not one per message', async () => {
  const world = new ArchiveWorld();
  await world.store.append(
    [0, 1, 2, 23, 24].map((hour) => entry({ timestampMs: startMs + (hour * dayMs) / 24 })),
  );
  for (let hour = 0; hour < 30; hour++) {
    world.nowMs = startMs + 30 * dayMs + hour * 3_600_000 + 1;
    await world.round();
  }
  assert.deepEqual(world.ranges(), [[1, 5]]);
});

test('where retention is close, nothing waits so long that it would be taken away', async () => {
  const retentionMs = 30 * dayMs + 3_600_000;
  const world = new ArchiveWorld({ retentionMs });
  await world.addDays(1);
  world.nowMs = startMs + 30 * dayMs + 1_700_000;
  await world.round();
  assert.deepEqual(world.ranges(), []);
  world.nowMs = startMs + 30 * dayMs + 1_900_000;
  await world.round();
  assert.deepEqual(world.ranges(), [[1, 1]]);
});

test('a large topic moves in several files, by entries', async () => {
  const world = new ArchiveWorld();
  for (let batch = 0; batch < 5; batch++)
    await world.store.append(Array.from({ length: 500 }, () => entry()));
  world.nowMs = startMs + 40 * dayMs;
  await world.round();
  assert.deepEqual(world.ranges(), [
    [1, 1_000],
    [1_001, 2_000],
    [2_001, 2_500],
  ]);
});

test('and by bytes', async () => {
  const world = new ArchiveWorld({ messageBytesMax: 2 * 1024 ** 2 });
  for (let count = 0; count < 9; count++)
    await world.store.append([entry({ payload: payloadOf(1024 ** 2) })]);
  world.nowMs = startMs + 40 * dayMs;
  await world.round();
  assert.deepEqual(world.ranges(), [
    [1, 4],
    [5, 8],
    [9, 9],
  ]);
  assert.deepEqual(await boundsOf(world.store, chat), [10, 9]);
});

test('where messages may be large, few of them are in memory at once', async () => {
  const world = new ArchiveWorld({ messageBytesMax: 16 * 1024 ** 2 });
  await world.addDays(5);
  let pageMax = 0;
  const page = world.store.page.bind(world.store);
  world.store.page = (request) => {
    pageMax = Math.max(pageMax, request.limit);
    return page(request);
  };
  world.nowMs = startMs + 60 * dayMs;
  await world.round();
  assert.deepEqual([world.ranges(), pageMax], [[[1, 5]], 1]);
});

test('nothing behind a younger entry moves, and what was restored is left where it is', async () => {
  const world = new ArchiveWorld();
  await world.store.append([0, 100, 1].map((day) => entry({ timestampMs: startMs + day * dayMs })));
  world.nowMs = startMs + 50 * dayMs;
  await world.round();
  await world.round();
  assert.deepEqual(world.ranges(), [[1, 1]]);
  const [archive] = await world.store.archives({ limit: 1 });
  const entries = readArchiveFile(world.archiveDir, archive!).map((message) => ({
    ...message,
    text: undefined,
  }));
  const lead = await world.store.leadArchives();
  const heldUntilMs = startMs + 60 * dayMs;
  assert.equal(await lead.restore({ archive: archive!, entries, heldUntilMs }), 'restored');
  await world.round();
  assert.equal(world.archived.length, 1);
  world.nowMs = heldUntilMs;
  await world.round();
  assert.equal(world.archived.length, 2);
});

test('without ARCHIVE_AFTER nothing moves', async () => {
  const world = new ArchiveWorld({ archiveAfterMs: undefined });
  await world.addDays(3);
  world.nowMs = startMs + 1_000 * dayMs;
  await world.round();
  assert.deepEqual([world.ranges(), world.files()], [[], []]);
});

test("a message that is deleted while its file is written stays deleted: the file is nobody's, and goes", async () => {
  const world = new ArchiveWorld();
  await world.addDays(3);
  world.nowMs = startMs + 60 * dayMs;
  const [, target] = await pageOf(world.store, chat);
  world.beforeJob = async () => {
    world.beforeJob = () => {};
    const at = { timestampMs: startMs + 3 * dayMs };
    await world.store.append([entry({ kind: 'deleted', target: target!.messageId, from: ann, ...at })]);
  };
  const keeper = world.keeper();
  await keeper.round();
  assert.deepEqual([world.ranges(), world.files().length], [[], 1]);
  await keeper.round();
  assert.deepEqual([world.ranges(), world.files().length], [[[1, 4]], 1]);
  const [archive] = await world.store.archives({ limit: 1 });
  assert.equal(readArchiveFile(world.archiveDir, archive!)[1]!.payload[0], 0xc0);
});

test('files of a crash are swept at the next start; what is not understood is left', async () => {
  const world = new ArchiveWorld();
  await world.addDays(40);
  world.nowMs = startMs + 50 * dayMs;
  await world.round();
  const folder = join(world.archiveDir, dirname(world.files()[0]!));
  const { epoch } = world.store;
  const name = (first: number, last: number, of = epoch) =>
    `${String(first).padStart(13, '0')}-${String(last).padStart(13, '0')}.${of}.abcdef012345.ndjson.gz`;
  const [swept, left] = [
    [name(21, 40), name(21, 33), name(1, 20), `${name(1, 20)}.1234.part`],
    [name(21, 40, 'other'), name(3, 7), 'notes.txt'],
  ];
  for (const file of [...swept, ...left]) writeFileSync(join(folder, file), 'x');
  await world.round();
  const there = world.files().map((file) => file.slice(file.lastIndexOf('/') + 1));
  const [kept] = await world.store.archives({ limit: 1 });
  assert.deepEqual(there, [...left, kept!.file.slice(kept!.file.lastIndexOf('/') + 1)].sort());
});

test('an archive goes when its youngest message is older than the retention of its topic', async () => {
  const rules = [{ match: 'long:*', class: 'durable' as const, retentionMs: 100 * dayMs }];
  const world = new ArchiveWorld({ retentionMs: 50 * dayMs, rules });
  await world.addDays(10);
  await world.addDays(10, topic('long:b'));
  world.nowMs = startMs + 45 * dayMs;
  await world.round();
  const spans = world.archived.map(({ fromMs, toMs }) => toMs - fromMs);
  assert.ok(Math.max(...spans) <= 5 * dayMs, 'files span a part of the retention only');
  world.nowMs = startMs + 70 * dayMs;
  await world.round();
  assert.deepEqual(new Set(world.expired.map((archive) => archive.topic)), new Set([chat]));
  const left = await world.store.archives({ limit: 99 });
  assert.ok(left.length > 0 && left.every((archive) => archive.topic === topic('long:b')));
  assert.deepEqual(world.files(), left.map(({ file }) => file).sort());
});

test('what fails with one topic is said, and the others go on; a store that is away ends the round', async () => {
  const world = new ArchiveWorld();
  await world.addDays(3, topic('a'));
  await world.addDays(3, topic('b'));
  world.nowMs = startMs + 60 * dayMs;
  world.beforeJob = () => {
    world.beforeJob = () => {};
    throw new Error('no space left on device');
  };
  await world.round();
  assert.deepEqual(
    world.archived.map((archive) => archive.topic),
    [topic('b')],
  );
  assert.match(String(world.failures), /no space left/);
  world.store.topicAges = () => Promise.reject(new StoreUnavailableError('away'));
  await assert.rejects(world.round(), StoreUnavailableError);
});

test('a keeper that is stopped begins nothing more, and says nothing', async () => {
  const world = new ArchiveWorld();
  await world.addDays(3);
  world.nowMs = startMs + 60 * dayMs;
  const keeper = world.keeper();
  world.beforeJob = () => {
    keeper.stop();
    throw new Error('the job was abandoned');
  };
  await keeper.round();
  assert.deepEqual([world.ranges(), world.failures], [[], []]);
  assert.deepEqual(await boundsOf(world.store, chat), [1, 3]);
});

test('two calls are one round', async () => {
  const world = new ArchiveWorld();
  await world.addDays(3);
  world.nowMs = startMs + 60 * dayMs;
  const keeper = world.keeper();
  await Promise.all([keeper.round(), keeper.round()]);
  assert.deepEqual(world.ranges(), [[1, 3]]);
});

test('an erasure reaches what is archived: content and edits, in files and in the log', async () => {
  const world = new ArchiveWorld();
  const day = (number: number) => ({ timestampMs: startMs + number * dayMs });
  const [mine, theirs] = [entry({ ...day(0), event: 'e' }), entry({ ...day(1), from: ben })];
  const edit = (number: number) =>
    entry({ ...day(number), kind: 'edited', target: mine.messageId, from: ben, mayAmendAny: true });
  await world.store.append([mine, theirs, edit(2)]);
  await world.store.append([edit(40)]);
  world.nowMs = startMs + 50 * dayMs;
  await world.round();
  const [before] = world.files();
  const atMs = world.nowMs;
  await world.store.erase({ tenant, user: ann, atMs });
  await world.round();
  const [archive] = await world.store.archives({ limit: 1 });
  assert.deepEqual(world.files(), [archive!.file]);
  assert.notEqual(archive!.file, before);
  assert.deepEqual(
    readArchiveFile(world.archiveDir, archive!).map(({ payload, event, deletedAtMs }) => [
      payload[0],
      event,
      deletedAtMs,
    ]),
    [
      [0xc0, undefined, atMs],
      [theirs.payload[0], undefined, undefined],
      [0xc0, undefined, undefined],
    ],
  );
  assert.equal((await pageOf(world.store, chat))[0]!.payload[0], 0xc0, 'the edit that is still in the log');
  assert.deepEqual(await world.store.erasures(), []);
});

test('an erasure that meets a damaged file waits for it, and takes the others', async () => {
  const world = new ArchiveWorld();
  await world.addDays(3, topic('a'));
  await world.addDays(3, topic('b'));
  world.nowMs = startMs + 60 * dayMs;
  await world.round();
  const [first, second] = await world.store.archives({ limit: 9 });
  writeFileSync(join(world.archiveDir, first!.file), 'damage');
  await world.store.erase({ tenant, user: ann, atMs: world.nowMs });
  await world.round();
  assert.match(String(world.failures), /is damaged/);
  assert.equal((await world.store.erasures()).length, 1);
  const [, after] = await world.store.archives({ limit: 9 });
  assert.notEqual(after!.sha256, second!.sha256);
});

/** msgpack of bytes. */
function payloadOf(bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes + 5);
  payload.set([0xc6, ...[24, 16, 8, 0].map((shift) => (bytes >> shift) & 0xff)]);
  return payload;
}
