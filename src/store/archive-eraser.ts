/**
 * Takes the content of erased users out of entries of one topic, as `erase` does in the log.
 * Pure. Used wherever entries of archives are read: by the CPU job that rewrites a file, by restore and by export. Entries
 * come oldest first: an edit is behind its message, and goes with it, whoever made it.
 */
import type { MessageId, UserId } from '#proto/names.ts';
import type { Erasure } from './archive-index.ts';
import type { StoredMessage } from './history-store.ts';

/** msgpack. */
const nil = 0xc0;

export class ArchiveEraser {
  /** Edited messages of erased users: their edits are in this file, in a later one, or in the log. */
  readonly targets: Set<MessageId>;
  readonly #atMs = new Map<UserId, number>();

  constructor(erasures: readonly Pick<Erasure, 'user' | 'atMs'>[], targets: Iterable<MessageId> = []) {
    for (const { user, atMs } of erasures) {
      this.#atMs.set(user, Math.max(atMs, this.#atMs.get(user) ?? atMs));
    }
    this.targets = new Set(targets);
  }

  /** The same object when there is nothing to be taken. */
  erased<Entry extends StoredMessage>(entry: Entry): Entry {
    const atMs = this.#atMs.get(entry.from);
    const isTheirs = atMs !== undefined && entry.timestampMs <= atMs;
    const isMessage = entry.kind === 'message';
    if (isTheirs && isMessage && entry.editedAtMs !== undefined) this.targets.add(entry.messageId);
    const isTheirEdit = entry.target !== undefined && this.targets.has(entry.target);
    if (!isTheirs && !isTheirEdit) return entry;
    const isEmpty = entry.payload.length === 1 && entry.payload[0] === nil;
    const isDone = isEmpty && (!isTheirs || entry.event === undefined);
    if (isDone && (!isMessage || entry.deletedAtMs !== undefined)) return entry;
    return {
      ...entry,
      payload: Uint8Array.of(nil),
      ...(isTheirs ? { event: undefined } : {}),
      ...(isTheirs && isMessage ? { deletedAtMs: entry.deletedAtMs ?? atMs } : {}),
    };
  }
}
