/**
 * The sessions through which one user is somewhere: in a topic, or at all.
 * Thread: the home shard. Owned by presence-board.ts.
 * A session that was lost counts until its grace is over, unless the same device comes back in the meantime: a reconnect
 * is not seen by others.
 */
import type { SessionId, ShardId } from '#proto/names.ts';
import type { DevicePresence } from './device-presence.ts';

interface Attendee {
  /** Undefined: the session was lost. */
  shard: ShardId | undefined;
  presence: DevicePresence;
  /** Monotonic, milliseconds; Infinity while the session is there. */
  leavesAtMs: number;
}

export class Attendance {
  readonly #attendees = new Map<SessionId, Attendee>();

  get isEmpty(): boolean {
    return this.#attendees.size === 0;
  }

  /** It is there, and not only seen still. */
  has(session: SessionId): boolean {
    return this.#attendees.get(session)?.shard !== undefined;
  }

  /** It comes, or is there in another way. */
  enter(session: SessionId, shard: ShardId, presence: DevicePresence): void {
    const known = this.#attendees.get(session);
    if (known === undefined || !sameDevice(known.presence.device, presence.device))
      this.#forgetGhostOf(presence);
    this.#attendees.set(session, { shard, presence, leavesAtMs: Number.POSITIVE_INFINITY });
  }

  /** It said goodbye. */
  leave(session: SessionId): void {
    this.#attendees.delete(session);
  }

  /** Its connection was lost; it counts until `leavesAtMs`. */
  lose(session: SessionId, leavesAtMs: number): void {
    const attendee = this.#attendees.get(session);
    if (attendee === undefined || attendee.shard === undefined) return;
    attendee.shard = undefined;
    attendee.leavesAtMs = leavesAtMs;
  }

  /** The thread of `shard` died, and its sessions with it. True when one of them was here. */
  loseShard(shard: ShardId, leavesAtMs: number): boolean {
    const lost = [...this.#attendees].filter(([, attendee]) => attendee.shard === shard);
    for (const [session] of lost) this.lose(session, leavesAtMs);
    return lost.length > 0;
  }

  /** Forgets whose grace is over. */
  expire(nowMs: number): void {
    for (const [session, { leavesAtMs }] of this.#attendees) {
      if (leavesAtMs <= nowMs) this.#attendees.delete(session);
    }
  }

  /** The oldest first. */
  presences(): DevicePresence[] {
    return [...this.#attendees.values()].map(({ presence }) => presence);
  }

  #forgetGhostOf({ device }: DevicePresence): void {
    for (const [session, { shard, presence }] of this.#attendees) {
      if (shard === undefined && sameDevice(presence.device, device))
        return void this.#attendees.delete(session);
    }
  }
}

/** As far as the client says what it runs on. */
export function sameDevice(one: DevicePresence['device'], other: DevicePresence['device']): boolean {
  return one?.id === other?.id && one?.kind === other?.kind && one?.platform === other?.platform;
}
