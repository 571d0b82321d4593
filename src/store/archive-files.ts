/**
 * Archive files: their names, and how they are written and read so that each is whole or not there.
 * Thread: CPU pool, or the process of `npm run archive`; its calls wait for the disk. A name tells the offsets, the epoch in
 * which they count, and the beginning of the file's SHA-256: another content is another file, none is ever overwritten.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type TopicKey, tenantOfKey, topicOfKey } from '#proto/names.ts';
import type { ArchiveFile } from './archive-index.ts';
import { decodeLine, encodeLine } from './archive-lines.ts';
import type { StoredMessage } from './history-store.ts';

/** Of an offset in a name: files are listed in their order. SQLite's words know offsets below 2^40. */
const offsetDigits = 13;
/** Of SHA-256 in a name, hexadecimal. */
const shaDigits = 12;
/** Names that some systems keep for devices. */
const deviceName = /^(?:con|prn|aux|nul|com\d|lpt\d)$/;
/** What a hashed name looks like. */
const hashedName = /-[0-9a-f]{16}$/;
/** Longest readable part of a folder's name. */
const readableCharsMax = 60;
/** A file that is not whole yet. */
const unfinishedSuffix = '.part';

/** What a name says. */
export interface ArchiveName {
  firstOffset: number;
  lastOffset: number;
  epoch: string;
}

/** A file is missing or is not what was written; the message is a sentence. */
export class ArchiveFileError extends Error {
  override readonly name = 'ArchiveFileError';
}

/** Below ARCHIVE_DIR: `tenant/topic`. Safe on every disk, and never shared by two topics. */
export function archiveFolder(topic: TopicKey): string {
  return `${safeName(tenantOfKey(topic))}/${safeName(topicOfKey(topic))}`;
}

/** Undefined: no archive, or an unfinished one. */
export function parseArchiveName(name: string): ArchiveName | undefined {
  const match = /^(\d+)-(\d+)\.([0-9a-z]+)\.[0-9a-f]+\.ndjson\.gz$/.exec(name);
  if (match === null) return undefined;
  return { firstOffset: Number(match[1]), lastOffset: Number(match[2]), epoch: match[3] as string };
}

export function isUnfinished(name: string): boolean {
  return name.endsWith(unfinishedSuffix);
}

/** Of the entries of one topic, in order. Returns when the file would survive the end of the machine. */
export function writeArchiveFile(
  archiveDir: string,
  { topic, epoch }: { topic: TopicKey; epoch: string },
  messages: readonly StoredMessage[],
): ArchiveFile {
  const [first, last] = [messages[0]?.offset ?? 0, messages.at(-1)?.offset ?? 0];
  const packed = gzipSync(messages.map((message) => `${encodeLine(topic, message)}\n`).join(''));
  const sha256 = createHash('sha256').update(packed).digest('hex');
  const offsets = [first, last].map((offset) => String(offset).padStart(offsetDigits, '0'));
  const name = `${offsets.join('-')}.${epoch}.${sha256.slice(0, shaDigits)}.ndjson.gz`;
  const file = `${archiveFolder(topic)}/${name}`;
  const path = join(archiveDir, file);
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${randomBytes(4).toString('hex')}${unfinishedSuffix}`;
  try {
    writeFileSync(unfinished, packed, { flush: true, mode: 0o640 });
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
  // The folders may be new, too.
  for (const folder of [dirname(path), dirname(dirname(path)), archiveDir]) syncFolder(folder);
  return { file, bytes: packed.length, sha256 };
}

/** Throws ArchiveFileError. */
export function readArchiveFile(archiveDir: string, { file, sha256 }: ArchiveFile): StoredMessage[] {
  const path = join(archiveDir, file);
  let packed: Buffer;
  try {
    packed = readFileSync(path);
  } catch (error) {
    throw new ArchiveFileError(`the archive file ${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (createHash('sha256').update(packed).digest('hex') !== sha256)
    throw new ArchiveFileError(
      `the archive file ${path} is damaged: its SHA-256 is not the one that was recorded`,
    );
  return gunzipSync(packed).toString().split('\n').slice(0, -1).map(decodeLine);
}

/** Small letters, digits, `_` and `-`; what loses something by that, or looks as if it had, ends in a hash of the name. */
function safeName(name: string): string {
  const isPlain = /^[a-z0-9][a-z0-9_-]*$/.test(name) && name.length <= readableCharsMax;
  if (isPlain && !hashedName.test(name) && !deviceName.test(name)) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  const readable = name.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '_');
  return `${readable.slice(0, readableCharsMax)}-${hash}`;
}

/** A name is on the disk when its folder is. Not every system can say so: there it is when it is. */
function syncFolder(folder: string): void {
  let handle: number | undefined;
  try {
    handle = openSync(folder, 'r');
    fsyncSync(handle);
  } catch (error) {
    if (process.platform !== 'win32') throw error;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
