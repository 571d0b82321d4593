/** The sessions of this shard, by id. Thread: shard. */
import type { SessionId } from '#proto/names.ts';
import type { DirectFrames } from '../session/ports.ts';
import type { Session } from '../session/session.ts';

export class SessionTable {
  readonly #sessions = new Map<SessionId, Session>();

  get size(): number {
    return this.#sessions.size;
  }

  get(id: SessionId): Session | undefined {
    return this.#sessions.get(id);
  }

  add(session: Session): void {
    this.#sessions.set(session.id, session);
  }

  delete(id: SessionId): void {
    this.#sessions.delete(id);
  }

  /** Bytes on their way to clients; looks at every session. */
  get outboxBytes(): number {
    let bytes = 0;
    for (const session of this.#sessions.values()) bytes += session.outboxBytes;
    return bytes;
  }

  /** The same bytes to each of these; those that are gone are skipped. `inboxOffset` is 0 where they are not of the inbox. */
  deliver(ids: readonly SessionId[], inboxOffset: number, frames: DirectFrames): void {
    for (const id of ids) this.#sessions.get(id)?.deliverDirect(frames, inboxOffset);
  }

  hide(ids: readonly SessionId[], isHidden: boolean): void {
    for (const id of ids) this.#sessions.get(id)?.setHidden(isHidden);
  }

  onInboxLost(ids: readonly SessionId[]): void {
    for (const id of ids) this.#sessions.get(id)?.onInboxLost();
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#sessions.values();
  }
}
