/** Names of archive files, and what is said of one that is not what was written. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  ArchiveFileError,
  archiveFolder,
  parseArchiveName,
  readArchiveFile,
  writeArchiveFile,
} from '../../../src/store/archive-files.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import { ann, bytes, idOf, startMs, topic } from '../../contract/entries.ts';
import { chat, newFolder } from './archive-world.ts';

const messages: StoredMessage[] = [3, 4].map((offset) => ({
  ...{ kind: 'message', offset, messageId: idOf(offset), from: ann, peer: undefined, target: undefined },
  ...{ event: undefined, priority: undefined, payload: bytes(offset), timestampMs: startMs },
  ...{ editedAtMs: undefined, deletedAtMs: undefined },
}));
const place = { topic: chat, epoch: '0a1b2c3d' };

test('every topic has a folder of its own, safe on every disk', () => {
  const names = [
    ...['chat:a', 'chat:A', 'chat_a', 'chat/a', 'chat-a', '.', '..', '../../etc', 'con', 'CON', 'nul', '-x'],
    ...['x'.repeat(128), `${'x'.repeat(127)}y`, 'a.b', 'a@b', 'chat_a-1f2e3d4c5b6a7980'],
  ];
  const folders = names.map((name) => archiveFolder(topic(name)));
  assert.equal(new Set(folders.map((folder) => folder.toLowerCase())).size, names.length);
  for (const folder of folders) assert.match(folder, /^default\/[a-z0-9_][a-z0-9_-]{0,79}$|^default\/-x-/);
  for (const folder of folders) assert.doesNotMatch(folder, /\/(?:con|nul)$/);
  assert.equal(archiveFolder(topic('orders')), 'default/orders');
  assert.match(archiveFolder(topic('a', '..')), /^__-[0-9a-f]{16}\/a$/);
});

test('a name says offsets, epoch and content, and is parsed again', () => {
  const dir = newFolder();
  const { file, bytes: size, sha256 } = writeArchiveFile(dir, place, messages);
  const name = file.slice(file.lastIndexOf('/') + 1);
  assert.equal(name, `0000000000003-0000000000004.0a1b2c3d.${sha256.slice(0, 12)}.ndjson.gz`);
  assert.deepEqual(parseArchiveName(name), { firstOffset: 3, lastOffset: 4, epoch: '0a1b2c3d' });
  assert.equal(parseArchiveName(`${name}.part`), undefined);
  const packed = readFileSync(join(dir, file));
  assert.equal(packed.length, size);
  assert.equal(gunzipSync(packed).toString().trim().split('\n').length, 2);
  assert.equal(writeArchiveFile(dir, place, messages).file, file, 'the same content is the same file');
});

test('a file that is missing, cut or another one is refused with a sentence', () => {
  const dir = newFolder();
  const written = writeArchiveFile(dir, place, messages);
  assert.equal(readArchiveFile(dir, written).length, 2);
  const refuses = (says: RegExp) =>
    assert.throws(
      () => readArchiveFile(dir, written),
      (error: Error) => error instanceof ArchiveFileError && says.test(error.message),
    );
  truncateSync(join(dir, written.file), written.bytes - 1);
  refuses(/^the archive file \S+ is damaged: its SHA-256 is not the one that was recorded$/);
  rmSync(join(dir, written.file));
  refuses(/^the archive file \S+ cannot be read: ENOENT/);
});
