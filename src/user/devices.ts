/**
 * The sessions of one user, and the way of a frame to them.
 * Thread: the user's home shard. Owned by user.ts.
 */
import { SmallMap } from '#kit/small-map.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { SessionId, ShardId } from '#proto/names.ts';
import { deliveryOf, type Notice } from '../fanout/flush-batch.ts';
import { type DevicePresence, plainPresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import { encodeEnvelope, encodePublication, type Publication } from '../wire/encode-frame.ts';
import type { SessionPort } from './ports.ts';

export interface Device {
  shard: ShardId;
  encoding: Encoding;
  /** Of its resume token; undefined where it cannot be resumed. */
  tokenHash: string | undefined;
  /** What it would be resumed with; undefined while that is nothing. */
  told: SessionTold | undefined;
  /** Gets what comes; one that is still catching up does not. */
  isLive: boolean;
}

interface DeviceGroup {
  shard: ShardId;
  encoding: Encoding;
  sessions: SessionId[];
}

export class Devices {
  readonly #devices = new SmallMap<SessionId, Device>();

  get size(): number {
    return this.#devices.size;
  }

  get(session: SessionId): Device | undefined {
    return this.#devices.get(session);
  }

  has(session: SessionId): boolean {
    return this.#devices.has(session);
  }

  set(session: SessionId, device: Device): void {
    this.#devices.set(session, device);
  }

  delete(session: SessionId): void {
    this.#devices.delete(session);
  }

  /** Somebody is there beside that session. */
  hasOther(than: SessionId | undefined): boolean {
    return this.#devices.size > (than !== undefined && this.#devices.has(than) ? 1 : 0);
  }

  [Symbol.iterator](): Iterator<[SessionId, Device]> {
    return this.#devices[Symbol.iterator]();
  }

  /** By its own name, or the one that its client knew before. */
  find(name: SessionId): SessionId | undefined {
    if (this.#devices.has(name)) return name;
    for (const [session, { told }] of this.#devices) if (told?.former?.session === name) return session;
    return undefined;
  }

  onShard(shard: ShardId): SessionId[] {
    return [...this.#devices].filter(([, device]) => device.shard === shard).map(([session]) => session);
  }

  /** What they said of their user; undefined where one has said nothing. */
  told(): (DevicePresence | undefined)[] {
    return [...this.#devices].map(([, { told }]) => told?.presence);
  }

  presences(): DevicePresence[] {
    return [...this.#devices].map(([, { told }]) => told?.presence ?? plainPresence);
  }

  /** To all but one. Encoded once per encoding, one record per shard. */
  deliver(publication: Publication, except: SessionId | undefined, port: SessionPort): void {
    const frames: { [Key in Encoding]?: Uint8Array } = {};
    const { offset } = publication;
    const delivery = deliveryOf(publication);
    for (const { shard, encoding, sessions } of this.#groupsWithout(except)) {
      frames[encoding] ??= encodePublication(publication, encoding);
      const sent = port.deliver(shard, sessions, offset, frames[encoding], delivery);
      if (sent === 'lost' && offset !== undefined) this.#lose(shard, sessions, port);
    }
  }

  /** To all; where there is no room it is dropped: the next one says more. */
  deliverNotice({ envelope, delivery }: Notice, port: SessionPort): void {
    for (const { shard, encoding, sessions } of this.#groupsWithout(undefined)) {
      port.deliver(shard, sessions, undefined, encodeEnvelope(envelope, encoding), delivery);
    }
  }

  /** They come back when they have caught up with what they missed. */
  #lose(shard: ShardId, sessions: SessionId[], port: SessionPort): void {
    for (const session of sessions) {
      const device = this.#devices.get(session);
      if (device !== undefined) device.isLive = false;
    }
    port.tellLost(shard, sessions);
  }

  /** Devices that get the same bytes by the same way. A handful, so that looking through them beats a map. */
  #groupsWithout(except: SessionId | undefined): DeviceGroup[] {
    const groups: DeviceGroup[] = [];
    for (const [session, { shard, encoding, isLive }] of this.#devices) {
      if (session === except || !isLive) continue;
      const group = groups.length === 0 ? undefined : groupOf(groups, shard, encoding);
      if (group === undefined) groups.push({ shard, encoding, sessions: [session] });
      else group.sessions.push(session);
    }
    return groups;
  }
}

function groupOf(groups: DeviceGroup[], shard: ShardId, encoding: Encoding): DeviceGroup | undefined {
  return groups.find((other) => other.shard === shard && other.encoding === encoding);
}
