/** Jobs of the store: every one gets its own answer, or hears why there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FromStore } from '#proto/control.ts';
import { JobDesk } from '../../../src/store/job-desk.ts';
import { chat } from './archive-world.ts';

type Asked = Extract<FromStore, { kind: 'job' }>;
const request = { archiveDir: '/tmp', topic: chat, epoch: 'e', pages: [] };

function deskOf() {
  const asked: Asked[] = [];
  return { asked, desk: new JobDesk((message) => asked.push(message as Asked)) };
}

test('answers find their questions, in any order', async () => {
  const { asked, desk } = deskOf();
  const answers = Promise.all([desk.run('writeArchive', request), desk.run('writeArchive', request)]);
  for (const { id } of asked.toReversed())
    desk.onDone({ kind: 'jobDone', id, answer: { bytes: id }, failure: undefined });
  assert.deepEqual(
    (await answers).map(({ bytes }) => bytes),
    asked.map(({ id }) => id),
  );
});

test('a job that fails says why, and one that nobody asked for harms nobody', async () => {
  const { asked, desk } = deskOf();
  const answer = desk.run('writeArchive', request);
  desk.onDone({ kind: 'jobDone', id: 99, answer: undefined, failure: 'who?' });
  desk.onDone({ kind: 'jobDone', id: asked[0]!.id, answer: undefined, failure: 'no space' });
  await assert.rejects(answer, /^Error: no space$/);
});

test('a desk that is closed waits for nothing and takes nothing', async () => {
  const { asked, desk } = deskOf();
  const answer = desk.run('writeArchive', request);
  desk.close();
  await assert.rejects(answer, /abandoned/);
  await assert.rejects(desk.run('writeArchive', request), /no job is begun/);
  assert.equal(asked.length, 1);
});
