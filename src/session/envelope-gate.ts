/**
 * What stands between the mailbox and the handlers: the rate of the connection, and the patience with frames that are
 * no envelopes. Thread: shard. Owned by session.ts; decides, and leaves the acting to it.
 */
import type { CloseName } from '#proto/close-codes.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { undecodableFramesMax } from '#proto/limits.ts';
import { TokenBucket } from '../protect/token-bucket.ts';
import type { Decoded } from '../wire/decode-frame.ts';
import type { SessionContext } from './ports.ts';
import type { Subject } from './replies.ts';

/** Envelopes refused for their rate in a row before the connection closes with 4005. */
const rateStrikesMax = 100;

export type GateVerdict =
  | { do: 'handle'; envelope: ClientEnvelope }
  | { do: 'refuse'; subject: Subject; refusal: Refusal }
  | { do: 'close'; close: CloseName };

export class EnvelopeGate {
  readonly #ctx: Pick<SessionContext, 'clock' | 'limits'>;
  /** Made with the first envelope: most connections of a large server are silent. */
  #bucket: TokenBucket | undefined;
  #rateStrikes = 0;
  /** Frames in a row that were no envelopes. */
  #undecodableCount = 0;

  constructor(ctx: Pick<SessionContext, 'clock' | 'limits'>) {
    this.#ctx = ctx;
  }

  judge(entry: Decoded): GateVerdict {
    const waitMs = this.#rateWaitMs();
    if (waitMs > 0) return this.#tooFast(entry, waitMs);
    return entry.ok
      ? { do: 'handle', envelope: entry.envelope }
      : { do: 'refuse', subject: entry, refusal: entry.refusal };
  }

  /** Once per frame, with what was in it: whether that was the last one in a row without an envelope. */
  isPatienceOver(decoded: Decoded[]): boolean {
    const hasEnvelope = decoded.some((entry) => entry.ok || entry.isEnvelope);
    this.#undecodableCount = hasEnvelope ? 0 : this.#undecodableCount + 1;
    return this.#undecodableCount >= undecodableFramesMax;
  }

  #rateWaitMs(): number {
    const rate = this.#ctx.limits.envelopeRate;
    if (rate === undefined) return 0;
    const nowMs = this.#ctx.clock.monotonicMs();
    this.#bucket ??= new TokenBucket(rate, nowMs);
    const waitMs = this.#bucket.take(rate, nowMs);
    if (waitMs === 0) this.#rateStrikes = 0;
    return waitMs;
  }

  #tooFast(entry: Decoded, waitMs: number): GateVerdict {
    this.#rateStrikes++;
    if (this.#rateStrikes > rateStrikesMax) return { do: 'close', close: 'rate_limited' };
    const reason = refusal('rate_limited', 'too many envelopes from this connection', waitMs);
    return { do: 'refuse', subject: entry.ok ? entry.envelope : entry, refusal: reason };
  }
}
