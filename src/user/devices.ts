/**
 * The sessions of one user, and the way of a frame to them.
 * Thread: the user's home shard. Owned by user.ts.
 */
import type { Clock } from '#kit/clock.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { SessionId, ShardId } from '#proto/names.ts';
import { encodeEnvelope, encodePublication, type Publication } from '../wire/encode-frame.ts';
import type { SessionPort } from './ports.ts';

export interface Device {
  shard: ShardId;
  encoding: Encoding;
  /** Gets what comes; one that is still catching up does not. */
  isLive: boolean;
}

interface DeviceGroup {
  shard: ShardId;
  encoding: Encoding;
  sessions: SessionId[];
}

export class Devices {
  readonly #devices = new Map<SessionId, Device>();

  get size(): number {
    return this.#devices.size;
  }

  get(session: SessionId): Device | undefined {
    return this.#devices.get(session);
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

  dropShard(shard: ShardId): void {
    for (const [session, device] of this.#devices) {
      if (device.shard === shard) this.#devices.delete(session);
    }
  }

  /** To all but one. Encoded once per encoding, one record per shard. */
  deliver(publication: Publication, except: SessionId | undefined, port: SessionPort): void {
    const frames: { [Key in Encoding]?: Uint8Array } = {};
    const { offset } = publication;
    for (const { shard, encoding, sessions } of this.#groupsWithout(except)) {
      frames[encoding] ??= encodePublication(publication, encoding);
      const sent = port.deliver(shard, sessions, offset, frames[encoding]);
      if (sent === 'lost' && offset !== undefined) this.#lose(shard, sessions, port);
    }
  }

  /** To all; where there is no room it is dropped: the next one says more. */
  deliverReceipt(receipt: object, { sessions: port, clock }: { sessions: SessionPort; clock: Clock }): void {
    const envelope = { type: 'Receipt', data: receipt, timestamp: clock.wallMs() } as const;
    for (const { shard, encoding, sessions } of this.#groupsWithout(undefined)) {
      port.deliver(shard, sessions, undefined, encodeEnvelope(envelope, encoding));
    }
  }

  /** They come back when they have caught up with what they missed. */
  #lose(shard: ShardId, sessions: SessionId[], port: SessionPort): void {
    for (const session of sessions) this.#devices.delete(session);
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
