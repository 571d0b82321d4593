/**
 * The seam of archives: which entries are in which file, and how they go there and come back.
 * Thread: store, or the process of `npm run archive`. Part of HistoryStore, so that an entry is always in one place: taking
 * it out of the log and recording its file is one transaction, and so is the way back. Files are the business of
 * archive-files.ts; a file that no row names is nobody's, and archive-sweep.ts takes it away.
 */
import type { MessageId, Tenant, TopicKey, UserId } from '#proto/names.ts';
import type { StoredMessage } from './history-store.ts';

/** A file as it lies on the disk. */
export interface ArchiveFile {
  /** Below ARCHIVE_DIR, with `/` between folders. */
  file: string;
  bytes: number;
  /** Of the file, hexadecimal. */
  sha256: string;
}

/** A stretch of a topic's log in a file: whole entries, without holes. */
export interface Archive extends ArchiveFile {
  topic: TopicKey;
  firstOffset: number;
  lastOffset: number;
  /** Of its oldest and of its youngest entry, wall clock, milliseconds. */
  fromMs: number;
  toMs: number;
  /** Without edits and deletions, which are entries, too. */
  messageCount: number;
}

/** A user's content was erased from the log, and is still to be erased from archives. */
export interface Erasure {
  id: number;
  tenant: Tenant;
  user: UserId;
  /** What they wrote until then. */
  atMs: number;
}

export interface TopicAge {
  topic: TopicKey;
  /** Of the oldest entry in the log; undefined when it is empty. */
  oldestMs: number | undefined;
  /** Was restored, and is not to be archived before. */
  heldUntilMs: number | undefined;
}

/** An entry on its way back, with what a search finds it by. */
export type RestoredEntry = StoredMessage & { text: string | undefined };

/** `apart`: offsets would have a hole. `gone`: there is no such archive any more, or it has another file. */
export type RestoreResult = 'restored' | 'apart' | 'gone';

export interface ArchiveIndex {
  /** By topic and offset; at most `limit` behind `after`. `endedBeforeMs`: only those whose youngest entry is older. */
  archives(request: {
    topic?: TopicKey | undefined;
    tenant?: Tenant | undefined;
    endedBeforeMs?: number | undefined;
    after?: Pick<Archive, 'topic' | 'firstOffset'> | undefined;
    limit: number;
  }): Promise<Archive[]>;
  /** All topics, by key; at most `limit` behind `after`. */
  topicAges(request: { after: TopicKey | undefined; limit: number }): Promise<TopicAge[]>;
  /** Written by `erase` where the tenant has archives; the oldest first. */
  erasures(): Promise<Erasure[]>;
  /**
   * The right to change archives: of all processes on one database one has it. Undefined: another has it for longer than
   * `waitMs`. Whoever lost it (the connection broke) can write no more through it.
   */
  leadArchives(request: { waitMs: number }): Promise<ArchiveLead | undefined>;
}

/** Each rejects with StoreUnavailableError; then it may be done or not, and asking again is right. */
export interface ArchiveLead {
  /** Out of the log, with receipts and words. False: the log does not begin there, or is not what was read any more. */
  move(request: { archive: Archive; fingerprint: string }): Promise<boolean>;
  /** The same entries in another file. False: there is no such archive any more. */
  replace(request: { archive: Archive; by: ArchiveFile }): Promise<boolean>;
  /** Forgets it. */
  drop(archive: Archive): Promise<void>;
  /** Back to the beginning of the log, without what pending erasures took; the topic is held. */
  restore(request: {
    archive: Archive;
    entries: readonly RestoredEntry[];
    heldUntilMs: number;
  }): Promise<RestoreResult>;
  /** Takes the content of edits in the log, of messages that were erased from archives. */
  blankEdits(request: { topic: TopicKey; targets: readonly MessageId[] }): Promise<void>;
  /** It reached all archives. */
  settle(erasure: Erasure): Promise<void>;
  release(): Promise<void>;
}
