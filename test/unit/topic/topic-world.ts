/** A topic with everything around it in memory: what it delivers, what it asks for, what it counts. */
import { Unpackr } from 'msgpackr';
import type { Encoding } from '#proto/envelope.ts';
import type { ShardId, Tenant, TopicKey, TopicName, UserId } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { LaneBatch } from '../../../src/fanout/flush-batch.ts';
import type { FlushTarget, FlushWait } from '../../../src/fanout/ports.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import type { TopicContext } from '../../../src/topic/ports.ts';
import { Topic } from '../../../src/topic/topic.ts';
import type { Answer, Message, Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';

export const [shard0, shard1, shard2] = [0, 1, 2] as ShardId[] as [ShardId, ShardId, ShardId];
export const json: LaneSpec = ['json', ''];
export const msgpack: LaneSpec = ['msgpack', ''];

/** A lane with a filter, in its canonical form. */
export function filtered(encoding: Encoding, conditions: object): LaneSpec {
  return [encoding, JSON.stringify(conditions)];
}

export interface Delivery extends LaneBatch {
  shard: ShardId;
  topic: TopicKey;
  lane: LaneSpec;
}

export class TopicWorld {
  readonly clock = new ManualClock();
  readonly deliveries: Delivery[] = [];
  /** Waits that were asked for since the last look. */
  readonly waits: FlushWait[] = [];
  readonly counts = { accepted: 0, duplicate: 0, expired: 0, waiting: 0, dropped: 0 };
  readonly topic: Topic;
  /** Deliveries find no room on their way. */
  isWayFull = false;
  readonly toldLost: [ShardId, LaneSpec][] = [];
  /** How often the topic said by itself that it is idle. */
  idleCount = 0;

  /** `log`: what another class than volatile needs. */
  constructor(name = 'chat:a', log: Partial<TopicContext> = {}) {
    const ctx: TopicContext = {
      ...noStore,
      clock: this.clock,
      recentKeys: new RecentKeys(this.clock, countingIds(), {
        accepted: () => void this.counts.accepted++,
        duplicate: () => void this.counts.duplicate++,
      }),
      subscribers: {
        deliver: (shard, topic, lane, batch) => {
          if (this.isWayFull) return 'lost';
          this.deliveries.push({ shard, topic, lane, ...batch });
          return 'sent';
        },
        tellLost: (shard, _topic, lane) => void this.toldLost.push([shard, lane]),
      },
      flushes: { requestFlush: (_topic: FlushTarget, wait) => void this.waits.push(wait) },
      counters: {
        dropped: (_what, count) => {
          this.counts.dropped += count;
        },
        expired: (count) => {
          this.counts.expired += count;
        },
        waiting: (change) => {
          this.counts.waiting += change;
        },
      },
      ...log,
    };
    this.topic = new Topic(topicKey('default' as Tenant, name as TopicName), ctx, () => this.idleCount++);
  }

  /** The answer, where it comes at once: of a topic that is not durable it does. */
  subscribe(shard: ShardId, lane: LaneSpec, since?: Since): Answer {
    let answered: Answer | undefined;
    this.topic.subscribe(shard, lane, since, (answer) => {
      answered = answer;
    });
    return answered as Answer;
  }

  /** To a topic that is not durable, which answers at once. */
  publish(payload: unknown, fields: Partial<Omit<Message, 'payload'>> = {}): Answer {
    let answered: Answer | undefined;
    const message = { from: 'ann' as UserId, payload: Payload.ofValue(payload), ...fields };
    this.topic.publish(message, (answer) => {
      answered = answer;
    });
    return answered as Answer;
  }

  /** Payloads that a lane of a shard got, in order, over all its deliveries. */
  received(shard: ShardId, [encoding, filter]: LaneSpec): unknown[] {
    return this.envelopes(shard, [encoding, filter]).map(({ data }) => data['payload']);
  }

  envelopes(shard: ShardId, [encoding, filter]: LaneSpec): ReceivedEnvelope[] {
    const own = this.deliveries.filter(
      ({ shard: to, lane }) => to === shard && lane[0] === encoding && lane[1] === filter,
    );
    return own.flatMap(({ frames }) => envelopesIn(frames));
  }
}

export interface ReceivedEnvelope {
  type: string;
  id: string;
  data: Record<string, unknown>;
  timestamp: number;
}

const unpackr = new Unpackr({ useRecords: false });

/** Envelopes of joined server frames (RFC 6455, 5.2: unmasked, text or binary). */
export function envelopesIn(frames: Uint8Array): ReceivedEnvelope[] {
  const bytes = Buffer.from(frames);
  const envelopes: ReceivedEnvelope[] = [];
  let at = 0;
  while (at < bytes.length) {
    const isText = bytes[at] === 0x81;
    const short = bytes[at + 1] as number;
    const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    const size =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6);
    const body = bytes.subarray(at + headerBytes, at + headerBytes + size);
    envelopes.push((isText ? JSON.parse(body.toString()) : unpackr.unpack(body)) as ReceivedEnvelope);
    at += headerBytes + size;
  }
  return envelopes;
}
