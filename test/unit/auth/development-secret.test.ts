/** The secret of development tokens: one per data folder, for its owner's eyes only. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { developmentSecret } from '../../../src/auth/development-secret.ts';

const root = mkdtempSync(join(tmpdir(), 'carillon-secret-'));
after(() => rmSync(root, { recursive: true }));

test('it is made once, folders included, and is the same ever after', () => {
  const dir = join(root, 'a', 'b');
  const secret = developmentSecret(dir);
  assert.ok(Buffer.from(secret, 'base64url').length >= 32);
  assert.equal(developmentSecret(dir), secret);
  assert.deepEqual(readdirSync(dir), ['development-secret']);
});

test('two folders have two secrets', () => {
  assert.notEqual(developmentSecret(join(root, 'one')), developmentSecret(join(root, 'two')));
});

test('only the owner may read it', () => {
  const dir = join(root, 'mode');
  developmentSecret(dir);
  assert.equal(statSync(join(dir, 'development-secret')).mode & 0o777, 0o600);
});

test('a secret that is there is taken as it is, without the line break of an editor', () => {
  const dir = mkdtempSync(join(root, 'given-'));
  writeFileSync(join(dir, 'development-secret'), 'a secret that somebody wrote by hand\n');
  assert.equal(developmentSecret(dir), 'a secret that somebody wrote by hand');
});

test('a folder that cannot be made is refused with the reason', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  assert.throws(() => developmentSecret(file), /EEXIST|ENOTDIR/);
  assert.throws(() => developmentSecret(join(file, 'below')), /ENOTDIR/);
});

test('a folder that may not be written is refused', {
  skip: process.getuid?.() === 0 && 'root may write anywhere',
}, () => {
  const dir = mkdtempSync(join(root, 'locked-'));
  chmodSync(dir, 0o500);
  assert.throws(() => developmentSecret(dir), /EACCES/);
});

test('an empty file is never used as the secret', () => {
  const dir = mkdtempSync(join(root, 'empty-'));
  writeFileSync(join(dir, 'development-secret'), '');
  let secret = 'refused';
  try {
    secret = developmentSecret(dir);
  } catch {
    // a refusal is as good as a new secret
  }
  assert.notEqual(secret, '');
});

test('two servers that start at once get the same secret', async () => {
  const rounds = 300;
  const dir = mkdtempSync(join(root, 'race-'));
  const start = new SharedArrayBuffer(4 * rounds);
  const secrets = await Promise.all([0, 1].map(() => secretsOf({ dir, rounds, start })));
  assert.equal(readFileSync(join(dir, '0', 'development-secret'), 'utf8').length, 43);
  const isDifferent = (round: number) =>
    secrets[0]?.[round] !== secrets[1]?.[round] || secrets[0]?.[round] === '';
  const differing = Array.from({ length: rounds }, (_, round) => round).filter(isDifferent);
  assert.deepEqual(differing, [], `${differing.length} of ${rounds} starts got two secrets`);
});

/** A thread that makes one secret after the other, each at the same moment as its twin. */
async function secretsOf(workerData: object): Promise<string[]> {
  const module = new URL('../../../src/auth/development-secret.ts', import.meta.url).href;
  const code = `
    import { join } from 'node:path';
    import { parentPort, workerData } from 'node:worker_threads';
    import { developmentSecret } from ${JSON.stringify(module)};
    const { dir, rounds, start } = workerData;
    const arrived = new Int32Array(start);
    const secrets = [];
    for (let round = 0; round < rounds; round++) {
      Atomics.add(arrived, round, 1);
      while (Atomics.load(arrived, round) < 2);
      secrets.push(developmentSecret(join(dir, String(round))));
    }
    parentPort.postMessage(secrets);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData });
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}
