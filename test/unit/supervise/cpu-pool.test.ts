/** The pool for CPU work: real threads that come with the first job, answer, fail and go. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CpuPool } from '../../../src/supervise/cpu-pool.ts';
import { packObject } from '../../../src/wire/codec.ts';

const archiveDir = mkdtempSync(join(tmpdir(), 'carillon-pool-'));
after(() => rmSync(archiveDir, { recursive: true }));

function jobOf(offset: number) {
  const message = {
    kind: 'message',
    offset,
    messageId: 'id',
    from: 'ann',
    payload: Uint8Array.of(1),
    timestampMs: 1,
  };
  const pages = [new Uint8Array(packObject([message]))];
  const request = { archiveDir, topic: 'default|a', epoch: 'e', pages };
  return { name: 'writeArchive', request, transfer: pages.map(({ buffer }) => buffer) };
}

test('jobs are done in other threads, and their buffers are given away', async () => {
  const pool = new CpuPool();
  const jobs = [1, 2, 3].map(jobOf);
  const answers = (await Promise.all(jobs.map((job) => pool.run(job)))) as { file: string }[];
  assert.deepEqual(
    answers.map(({ file }) => Number(file.slice('default/a/'.length).split('-')[0])),
    [1, 2, 3],
  );
  assert.equal(readdirSync(join(archiveDir, 'default/a')).length, 3);
  assert.equal(jobs[0]!.transfer[0]!.byteLength, 0);
  await pool.stop();
});

test('a job that throws, and one that does not exist, are said', async () => {
  const pool = new CpuPool();
  const from = { file: 'nowhere', bytes: 1, sha256: '' };
  const request = { archiveDir, topic: 'default|a', epoch: 'e', from, erasures: [], targets: [] };
  await assert.rejects(pool.run({ name: 'eraseArchive', request, transfer: [] }), /archive file .*nowhere/);
  await assert.rejects(pool.run({ name: 'nothing', request, transfer: [] }), /handler/);
  await pool.stop();
});

test('what is too much is refused, and what is running when it stops is cut short', async () => {
  const pool = new CpuPool();
  const all = await Promise.allSettled([
    ...Array.from({ length: 40 }, (_, index) => pool.run(jobOf(index))),
    pool.stop(),
  ]);
  const refused = all.filter(({ status }) => status === 'rejected');
  assert.ok(refused.length > 20);
  await assert.rejects(pool.run(jobOf(1)), /stopped/);
  await pool.stop();
});

test('a pool that nobody stops does not keep the process', () => {
  const script = `
    import { CpuPool } from './src/supervise/cpu-pool.ts';
    const pool = new CpuPool();
    const request = { archiveDir: ${JSON.stringify(archiveDir)}, topic: 'default|b', epoch: 'e', pages: [] };
    console.log(typeof (await pool.run({ name: 'writeArchive', request, transfer: [] })).sha256);`;
  const child = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
    ...{ cwd: join(import.meta.dirname, '../../..'), encoding: 'utf8', timeout: 8_000 },
  });
  assert.deepEqual([child.stdout, child.status], ['string\n', 0], child.stderr);
});
