/**
 * A connection of a simulation: frames in both directions, which take their time, and are lost with it.
 * `ServerEnd` is the transport under a real session; the client's end is read by sim-client.ts.
 */
import type { Encoding } from '#proto/envelope.ts';
import type { ShardId, Tenant, UserId } from '#proto/names.ts';
import { PermissionSource } from '../../src/auth/permissions.ts';
import type { Identity } from '../../src/auth/token-claims.ts';
import type { Transport } from '../../src/session/ports.ts';
import type { Session } from '../../src/session/session.ts';
import { packMsgpack, unpackMsgpack } from '../../src/wire/codec.ts';
import type { Dice } from './sim-random.ts';
import type { SimShard } from './sim-shard.ts';

export interface SimEnvelope {
  type: string;
  id?: string;
  data: Record<string, unknown>;
}

export interface WireUser {
  tenant: string;
  user: string;
  encoding: Encoding;
}

const permissions = new PermissionSource({}).of({});
const dayMs = 86_400_000;
/** A closed connection whose peer does not answer is cut off, milliseconds. */
const closeTimeoutMs = 1000;
const abnormal = 1006;

/** One connection; its client's half. */
export class SimWire {
  readonly who: WireUser;
  readonly server: ServerEnd;
  /** On their way to the client, complete frames. */
  toClient: Uint8Array[] = [];
  toClientBytes = 0;
  /** On their way to the server. */
  toServer: Uint8Array[] = [];
  /** Undefined while it is open, as far as the client knows; told behind the last frame. */
  closeCode: number | undefined;
  pingCount = 0;
  /** The client gave it up: the server finds out. */
  isGivenUp = false;
  /** What the server is told of why. */
  givenUpCode = abnormal;

  constructor(who: WireUser, shard: SimShard, kernelBytes: number) {
    this.who = who;
    this.server = new ServerEnd(this, shard, kernelBytes);
  }

  send(envelopes: readonly object[]): void {
    if (this.closeCode !== undefined) return;
    const value = envelopes.length === 1 ? envelopes[0] : envelopes;
    this.toServer.push(
      this.who.encoding === 'json' ? Buffer.from(JSON.stringify(value)) : packMsgpack(value),
    );
  }

  /** What has arrived; `isClosed` once nothing more will. */
  receive(chunksMax: number): { envelopes: SimEnvelope[]; closed: number | undefined } {
    const chunks = this.toClient.splice(0, chunksMax);
    for (const chunk of chunks) this.toClientBytes -= chunk.length;
    if (this.pingCount > 0) {
      this.pingCount = 0;
      this.server.isPonged = true;
    }
    const envelopes = chunks.flatMap((chunk) => envelopesIn(chunk, this.who.encoding));
    return { envelopes, closed: this.toClient.length === 0 ? this.closeCode : undefined };
  }

  /** The client goes, without a word. Of what it sent last some may arrive. */
  giveUp(dice: Dice): void {
    this.isGivenUp = true;
    this.toClient = [];
    this.toClientBytes = 0;
    this.toServer.length = dice.between(0, this.toServer.length);
  }

  /** The client goes, and says so behind all that it sent. */
  sayGoodbye(): void {
    this.isGivenUp = true;
    this.givenUpCode = 1000;
    this.toClient = [];
    this.toClientBytes = 0;
  }

  /** The server's thread is gone. Of what it wrote last some may arrive. */
  cut(dice: Dice): void {
    if (dice.chance(0.5)) this.toClient.length = dice.between(0, this.toClient.length);
    this.toClientBytes = this.toClient.reduce((sum, { length }) => sum + length, 0);
    this.closeCode ??= abnormal;
  }
}

export class ServerEnd implements Transport {
  readonly #wire: SimWire;
  readonly #shard: SimShard;
  readonly #kernelBytes: number;
  readonly session: Session;
  isPonged = false;
  #isPaused = false;
  #closedAtMs: number | undefined;
  /** Largest number of bytes that the session had on their way. */
  pendingBytesMax = 0;

  constructor(wire: SimWire, shard: SimShard, kernelBytes: number) {
    this.#wire = wire;
    this.#shard = shard;
    this.#kernelBytes = kernelBytes;
    this.session = shard.open(this);
  }

  get shardId(): ShardId {
    return this.#shard.id;
  }

  get encoding(): Encoding {
    return this.#wire.who.encoding;
  }

  identity(wallMs: number): Identity {
    const { user, tenant } = this.#wire.who;
    return {
      ...{ userId: user as UserId, tenant: tenant as Tenant, permissions },
      expiresAtMs: wallMs + dayMs,
    };
  }

  /** What came in since the last turn. */
  hear(dice: Dice): void {
    const wire = this.#wire;
    if (this.isPonged) {
      this.isPonged = false;
      this.session.onHeard();
    }
    if (this.#closedAtMs === undefined && !this.#isPaused) {
      const count = dice.chance(0.8) ? wire.toServer.length : dice.between(0, wire.toServer.length);
      for (const frame of wire.toServer.splice(0, count)) this.session.onFrame(frame);
    }
    const isLate = this.#closedAtMs !== undefined && this.#shard.timeMs - this.#closedAtMs >= closeTimeoutMs;
    const isAnswered = this.#closedAtMs !== undefined && wire.toClient.length === 0;
    const isGone = wire.isGivenUp && wire.toServer.length === 0 && dice.chance(0.3);
    if (isLate || isAnswered || isGone) {
      wire.closeCode ??= abnormal;
      this.#shard.onClosed(this, this.session, isGone ? wire.givenUpCode : abnormal);
    }
  }

  /** The thread is gone. */
  cut(dice: Dice): void {
    this.#wire.cut(dice);
  }

  // ---- Transport

  /** Whoever is gone without a word is written to: the kernel takes it. */
  write(frames: Uint8Array | Uint8Array[]): boolean {
    const wire = this.#wire;
    if (!this.#shard.effects.take() || wire.isGivenUp) return true;
    for (const chunk of Array.isArray(frames) ? frames : [frames]) {
      wire.toClient.push(chunk);
      wire.toClientBytes += chunk.length;
    }
    this.pendingBytesMax = Math.max(this.pendingBytesMax, this.bufferedBytes());
    return true;
  }

  bufferedBytes(): number {
    return Math.max(0, this.#wire.toClientBytes - this.#kernelBytes);
  }

  pauseReading(): void {
    this.#isPaused = true;
  }

  resumeReading(): void {
    this.#isPaused = false;
  }

  ping(): void {
    this.#wire.pingCount++;
  }

  close(code: number): void {
    if (!this.#shard.effects.take()) return;
    this.#closedAtMs = this.#shard.timeMs;
    this.#wire.closeCode ??= code;
  }
}

function envelopesIn(bytes: Uint8Array, encoding: Encoding): SimEnvelope[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: SimEnvelope[] = [];
  for (let at = 0; at < buffer.length; ) {
    const short = buffer[at + 1] as number;
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    const length =
      short < 126 ? short : short === 126 ? buffer.readUInt16BE(at + 2) : buffer.readUInt32BE(at + 6);
    const message = buffer.subarray(start, start + length);
    found.push(
      (encoding === 'json' ? JSON.parse(message.toString()) : unpackMsgpack(message)) as SimEnvelope,
    );
    at = start + length;
  }
  return found;
}
