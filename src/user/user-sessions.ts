/**
 * All sessions of one user: those with a connection, those that lost theirs, and the way from one to the other.
 * Thread: the user's home shard. Owned by user.ts.
 * A session that is resumed has one way back here, whatever became of its connection: it parks. One that still has a
 * connection is told to close and to park; one whose shard died parks by that, with what it had told before. What is not
 * here any more (a home that died, a process before this one) the store knows. [RES1]
 */
import { refusal } from '#proto/error-codes.ts';
import type { SessionId, ShardId, UserKey } from '#proto/names.ts';
import { type DevicePresence, plainPresence } from '../presence/device-presence.ts';
import { nothingTold, type SessionTold } from '../presence/session-told.ts';
import type { KeptSession } from '../store/history-store.ts';
import { packObject, unpackObject } from '../wire/codec.ts';
import { type Answer, refused } from '../wire/message.ts';
import { type DetachedOwner, DetachedSessions } from './detached-sessions.ts';
import { type Device, Devices } from './devices.ts';
import type { KeepSource } from './keep-buffer.ts';
import type { QuietListener, UserContext } from './ports.ts';
import { UserPresenceDesk } from './user-presence.ts';

type OnAnswer = (answer: Answer) => void;

/** Somebody wants to go on where another session ended. */
interface Takeover {
  /** The new session. */
  session: SessionId;
  /** As its client called the old one. */
  former: SessionId;
  tokenHash: string;
  onAnswer: OnAnswer;
}

export class UserSessions implements KeepSource, DetachedOwner {
  readonly devices = new Devices();
  readonly detached: DetachedSessions;
  readonly presence: UserPresenceDesk;
  readonly #key: UserKey;
  readonly #ctx: UserContext;
  readonly #listener: QuietListener;
  readonly #isKept: boolean;
  /** By the old session, which was told to park. Made with the first one. */
  #takeovers: Map<SessionId, Takeover> | undefined;
  /** The user is invisible. */
  isHidden = false;

  constructor(key: UserKey, ctx: UserContext, listener: QuietListener) {
    this.#key = key;
    this.#ctx = ctx;
    this.#isKept = ctx.isKept(key);
    this.#listener = listener;
    this.detached = new DetachedSessions(ctx, this);
    this.presence = new UserPresenceDesk(key, ctx, this, listener);
  }

  get isIdle(): boolean {
    return this.devices.size === 0 && this.detached.size === 0 && !this.presence.isWatched;
  }

  /** Nobody can resume it any more. */
  onOver(session: SessionId): void {
    this.#forget(session);
    this.#listener.onQuiet();
  }

  /** It is there from now on; one that is there already stays as it is. */
  open(session: SessionId, device: Device): void {
    this.devices.set(session, device);
    if (this.#isKept && device.tokenHash !== undefined) this.#ctx.keeps.keep(session, this);
    this.#look();
    this.#show(session, device);
    // One that was here before may have heard of a device that is gone.
    const isAgain = device.told !== undefined;
    if (this.isHidden || isAgain) this.#ctx.sessions.hide(device.shard, [session], this.isHidden);
  }

  /** It said goodbye: nobody will resume it. */
  close(session: SessionId): void {
    const device = this.devices.get(session);
    // Also of one that a home that was restarted has not heard of yet.
    this.#forget(session);
    if (device === undefined) return;
    this.devices.delete(session);
    this.presence.onLeft(session, device.told?.presence, this.isHidden);
    this.#finishTakeover(session, device.told);
    this.#look();
  }

  /** All that lost their connections, for good. Those with one are closed by their shards. */
  forget(): void {
    for (const session of this.detached.names()) this.forgetOne(session);
  }

  /** False: it has not lost its connection, or is not of this user. */
  forgetOne(session: SessionId): boolean {
    if (this.detached.get(session) === undefined) return false;
    this.detached.delete(session);
    this.#forget(session);
    this.#look();
    return true;
  }

  /** What it would be resumed with has changed. */
  tell(session: SessionId, told: SessionTold): void {
    const device = this.devices.get(session);
    if (device === undefined) return;
    if (isOutdated(device.told, told)) return;
    device.told = told;
    if (this.#isKept) this.#ctx.keeps.keep(session, this);
    this.#look();
    this.#show(session, device);
  }

  /** It lost its connection. It may be unknown: when this home was restarted, and it could not attach again. */
  park(session: SessionId, told: SessionTold, tokenHash: string): void {
    const known = this.devices.get(session);
    this.devices.delete(session);
    const last = known?.told !== undefined && isOutdated(known.told, told) ? known.told : told;
    this.#lose(session, { tokenHash, told: last });
    this.#look();
  }

  /** The thread of `shard` died, and its connections with it. */
  dropShard(shard: ShardId): void {
    for (const session of this.devices.onShard(shard)) {
      const device = this.devices.get(session) as Device;
      this.devices.delete(session);
      this.#lose(session, device);
    }
    this.presence.dropShard(shard);
    this.#look();
  }

  /** `session` goes on where `former` ended. Answered once, with what that had told. */
  resume(session: SessionId, former: SessionId, tokenHash: string, onAnswer: OnAnswer): void {
    const takeover: Takeover = { session, former, tokenHash, onAnswer: this.#andCount(onAnswer) };
    if (!this.devices.has(session)) return takeover.onAnswer(gone());
    const living = this.devices.find(former);
    if (living !== undefined) return this.#replace(living, takeover);
    const lost = this.detached.find(former);
    if (lost !== undefined) return this.#takeBack(lost, takeover);
    if (!this.#isKept) return takeover.onAnswer(resumeFailed());
    this.#askStore(takeover);
  }

  keptOf(session: SessionId): KeptSession | undefined {
    const device = this.devices.get(session);
    const detached = device === undefined ? this.detached.get(session) : undefined;
    const { tokenHash, told } = device ?? detached ?? {};
    if (tokenHash === undefined) return undefined;
    const { clock } = this.#ctx;
    const leftMs = detached === undefined ? 0 : detached.endsAtMs - clock.monotonicMs();
    return {
      ...{
        session,
        tokenHash,
        user: this.#key,
        home: this.#ctx.self,
        former: told?.former,
        state: packObject(told ?? nothingTold),
      },
      expiresAtMs: detached === undefined ? undefined : Math.round(clock.wallMs() + leftMs),
    };
  }

  #lose(session: SessionId, { tokenHash, told }: Pick<Device, 'tokenHash' | 'told'>): void {
    const graceEndMs = this.#ctx.clock.monotonicMs() + this.#ctx.presenceGraceMs;
    this.presence.onLost(session, told?.presence, graceEndMs, this.isHidden);
    if (this.#finishTakeover(session, told)) return;
    if (tokenHash === undefined || tokenHash === '') return this.#forget(session);
    this.detached.add(session, { tokenHash, told: told ?? nothingTold, graceEndMs });
    if (this.#isKept) this.#ctx.keeps.keep(session, this);
  }

  #replace(living: SessionId, takeover: Takeover): void {
    const device = this.devices.get(living) as Device;
    if (living === takeover.session || !isNameOf(living, device, takeover))
      return takeover.onAnswer(resumeFailed());
    this.#takeovers ??= new Map();
    this.#takeovers.get(living)?.onAnswer(resumeFailed()); // the younger connection wins
    this.#takeovers.set(living, takeover);
    this.#ctx.sessions.replace(device.shard, living);
  }

  #takeBack(lost: SessionId, takeover: Takeover): void {
    const detached = this.detached.get(lost);
    if (detached === undefined || !isNameOf(lost, detached, takeover))
      return takeover.onAnswer(resumeFailed());
    this.detached.delete(lost);
    this.#handOver(lost, detached.told, takeover);
  }

  #askStore(takeover: Takeover): void {
    const { session, former, tokenHash, onAnswer } = takeover;
    if (this.#ctx.keeps.hasEnded(former)) return onAnswer(resumeFailed());
    const request = { session: former, user: this.#key, nowMs: this.#ctx.clock.wallMs() };
    const sent = this.#ctx.store.ask('kept', request, (kept) => {
      if (kept === undefined) return onAnswer(storeAway());
      if (kept === null || this.#ctx.keeps.hasEnded(kept.session)) return onAnswer(resumeFailed());
      const told = unpackObject(kept.state) as SessionTold;
      if (!isNameOf(kept.session, { tokenHash: kept.tokenHash, told }, takeover))
        return onAnswer(resumeFailed());
      // Two may have asked for the same one: the second finds it gone over to the first.
      if (this.devices.find(former) !== undefined || this.detached.find(former) !== undefined)
        return this.resume(session, former, tokenHash, onAnswer);
      this.#handOver(kept.session, told, takeover);
    });
    if (sent !== 'sent') onAnswer(storeAway());
  }

  /** False: nobody waits for it any more. */
  #finishTakeover(old: SessionId, told: SessionTold = nothingTold): boolean {
    const takeover = this.#takeovers?.get(old);
    this.#takeovers?.delete(old);
    if (takeover === undefined) return false;
    if (this.devices.has(takeover.session)) {
      this.#handOver(old, told, takeover);
      return true;
    }
    takeover.onAnswer(gone());
    return false;
  }

  #handOver(old: SessionId, told: SessionTold, { session, former, tokenHash, onAnswer }: Takeover): void {
    const device = this.devices.get(session);
    if (device === undefined) return onAnswer(gone());
    this.#forget(old);
    const taken = { ...told, former: { session: former, tokenHash } };
    device.told = taken;
    if (this.#isKept) this.#ctx.keeps.keep(session, this);
    this.#look();
    this.#show(session, device);
    this.presence.onTakenOver(old);
    onAnswer({ ok: true, result: taken });
  }

  /** Whoever is invisible on one device is so on all, and with a session that may still come back, until one says otherwise. */
  #look(): void {
    const here = this.devices.told();
    const isSaid = here.some((presence) => presence !== undefined);
    const isHidden = here.some(isInvisible) || (!isSaid && this.detached.presences().some(isInvisible));
    if (isHidden === this.isHidden) return;
    this.isHidden = isHidden;
    for (const [session, device] of this.devices) {
      this.#show(session, device);
      this.#ctx.sessions.hide(device.shard, [session], isHidden);
    }
  }

  #show(session: SessionId, { shard, told }: Device): void {
    const { presence = plainPresence } = told ?? {};
    this.presence.onHere(session, shard, this.isHidden ? { ...presence, status: 'invisible' } : presence);
  }

  #forget(session: SessionId): void {
    if (this.#isKept) this.#ctx.keeps.end(session);
  }

  #andCount(onAnswer: OnAnswer): OnAnswer {
    return (answer) => {
      this.#ctx.counters.resumed(answer.ok ? 'resumed' : 'failed');
      onAnswer(answer);
    };
  }
}

function isInvisible(presence: DevicePresence | undefined): boolean {
  return presence?.status === 'invisible';
}

/** It was said before the session knew what it took over. */
function isOutdated(known: SessionTold | undefined, told: SessionTold): boolean {
  return known?.former !== undefined && told.former === undefined;
}

/** By its own name and token, or those of the session that it took over. */
function isNameOf(
  session: SessionId,
  { tokenHash, told }: Pick<Device, 'tokenHash' | 'told'>,
  asked: Pick<Takeover, 'former' | 'tokenHash'>,
): boolean {
  if (asked.former === session) return tokenHash === asked.tokenHash;
  return told?.former?.session === asked.former && told.former.tokenHash === asked.tokenHash;
}

/** One answer for all: whoever guesses learns nothing. */
function resumeFailed(): Answer {
  return refused(
    refusal('resume_failed', 'there is no such session, its time is over, or the token is wrong'),
  );
}

function storeAway(): Answer {
  return refused(refusal('store_unavailable', 'the store, which may know the session, is away', 2000));
}

function gone(): Answer {
  return refused(refusal('busy', 'the session was detached meanwhile'));
}
