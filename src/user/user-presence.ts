/**
 * How one user is, over all devices.
 * Thread: the user's home shard. Owned by user.ts, which tells of every session that comes and goes. There is a board only
 * while somebody watches: most users of a large server are watched by nobody.
 */
import type { SessionId, ShardId } from '#proto/names.ts';
import { presenceOfUser, type UserKey, userOfKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import { sameDevice } from '../presence/attendance.ts';
import {
  type DevicePresence,
  mergedDevices,
  noPast,
  type Past,
  plainPresence,
  presenceOf,
  type UserPresence,
} from '../presence/device-presence.ts';
import { PresenceBoard } from '../presence/presence-board.ts';
import type { DetachedSessions } from './detached-sessions.ts';
import type { Devices } from './devices.ts';
import type { QuietListener, UserContext } from './ports.ts';

export interface UserSessions {
  devices: Devices;
  detached: DetachedSessions;
  /** The user is invisible. */
  readonly isHidden: boolean;
}

export class UserPresenceDesk {
  readonly #key: UserKey;
  readonly #ctx: UserContext;
  readonly #sessions: UserSessions;
  readonly #listener: QuietListener;
  #board: PresenceBoard | undefined;
  #past: Past = noPast;

  constructor(key: UserKey, ctx: UserContext, sessions: UserSessions, listener: QuietListener) {
    this.#key = key;
    this.#ctx = ctx;
    this.#sessions = sessions;
    this.#listener = listener;
  }

  get isWatched(): boolean {
    return this.#board?.isWatched ?? false;
  }

  /** `isAgain`: whoever watches has missed what happened while this home was away. */
  watch(shard: ShardId, spec: LaneSpec, isAgain: boolean): void {
    this.#board ??= this.#openBoard();
    this.#board.watch(shard, spec, isAgain);
  }

  unwatch(shard: ShardId, spec: LaneSpec): void {
    this.#board?.unwatch(shard, spec);
    this.#closeBoard();
  }

  dropShard(shard: ShardId): void {
    this.#board?.dropShard(shard);
    this.#closeBoard();
  }

  /** A device is there, or is in another way. */
  onHere(session: SessionId, shard: ShardId, presence: DevicePresence = plainPresence): void {
    this.#board?.enter(userOfKey(this.#key), session, shard, presence);
  }

  /** Another session goes on where it ended. */
  onTakenOver(session: SessionId): void {
    this.#board?.leave(userOfKey(this.#key), session);
  }

  /** A device said goodbye. */
  onLeft(session: SessionId, presence: DevicePresence | undefined, isHidden: boolean): void {
    if (!isHidden) this.#remember(presence);
    this.#board?.leave(userOfKey(this.#key), session);
  }

  /** A device was lost: it may come back. */
  onLost(
    session: SessionId,
    presence: DevicePresence | undefined,
    graceEndMs: number,
    isHidden: boolean,
  ): void {
    if (!isHidden) this.#remember(presence);
    this.#board?.lose(userOfKey(this.#key), session, graceEndMs);
  }

  /** To be shown to somebody. */
  now(): UserPresence {
    if (this.#board !== undefined) return this.#board.show(userOfKey(this.#key));
    if (this.#sessions.isHidden) return this.#describe([]);
    const here = this.#sessions.devices.presences();
    const lost = [...this.#sessions.detached.inGrace()].map(([, presence = plainPresence]) => presence);
    const isBack = (gone: DevicePresence) => here.some(({ device }) => sameDevice(device, gone.device));
    return this.#describe([...lost.filter((presence) => !isBack(presence)), ...here]);
  }

  #describe(here: readonly DevicePresence[]): UserPresence {
    return presenceOf(userOfKey(this.#key), here, this.#past);
  }

  /** Not of a user who is invisible, who is not seen to leave either. */
  #remember(presence: DevicePresence = plainPresence): void {
    const lastSeenMs = this.#ctx.clock.wallMs();
    const { id, ...device } = presence.device ?? {};
    const gone = id === undefined ? [] : [{ id, ...device, lastSeenMs }];
    this.#past = { lastSeenMs, devices: mergedDevices(gone, this.#past.devices) };
    if (this.#sessions.devices.size === 0 && this.#ctx.isKept(this.#key))
      this.#ctx.keeps.seen(this.#key, { lastSeenMs, devices: this.#past.devices });
  }

  #openBoard(): PresenceBoard {
    const user = userOfKey(this.#key);
    const describe = (_user: unknown, here: readonly DevicePresence[]) => this.#describe(here);
    const subject = { key: presenceOfUser(this.#key), about: { user }, describe };
    const board = new PresenceBoard(subject, this.#ctx, () => {
      this.#closeBoard();
      this.#listener.onQuiet();
    });
    for (const [session, { shard, told }] of this.#sessions.devices)
      board.enter(user, session, shard, this.#shown(told?.presence));
    for (const [session, presence = plainPresence, graceEndMs] of this.#sessions.detached.inGrace()) {
      board.enter(user, session, this.#ctx.self, this.#shown(presence));
      board.lose(user, session, graceEndMs);
    }
    board.settle();
    return board;
  }

  #shown(presence: DevicePresence = plainPresence): DevicePresence {
    return this.#sessions.isHidden ? { ...presence, status: 'invisible' } : presence;
  }

  #closeBoard(): void {
    if (this.#board?.isWatched === false) this.#board = undefined;
  }
}
