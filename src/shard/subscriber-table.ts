/**
 * The subscribers of this shard, by topic and lane, wherever the topic's home is.
 * Thread: shard. Written by topic-port.ts, read by every delivery. The home knows lanes, not sessions: it is told of the
 * first and of the last subscriber of a lane.
 */
import type { TopicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { LaneBatch } from '../fanout/flush-batch.ts';
import { laneKeyOf } from '../fanout/lanes.ts';
import type { Subscriber } from '../session/ports.ts';

export interface LocalLane {
  spec: LaneSpec;
  subscribers: Set<Subscriber>;
  /** Waiting for the home's answer, each with its last request; not delivered to yet. */
  joining: Map<Subscriber, object>;
  /** The home has answered: whoever joins now misses nothing. */
  isConfirmed: boolean;
  /** Of the last message that its subscribers got; 0 where none had one. */
  deliveredUpTo: number;
}

export class SubscriberTable {
  readonly #topics = new Map<TopicKey, Map<string, LocalLane>>();

  /** The lane, made when missing. */
  open(topic: TopicKey, spec: LaneSpec): LocalLane {
    const lanes = this.#topics.get(topic) ?? new Map<string, LocalLane>();
    this.#topics.set(topic, lanes);
    const laneKey = laneKeyOf(spec);
    const lane = lanes.get(laneKey) ?? {
      spec,
      subscribers: new Set(),
      joining: new Map(),
      isConfirmed: false,
      deliveredUpTo: 0,
    };
    lanes.set(laneKey, lane);
    return lane;
  }

  find(topic: TopicKey, spec: LaneSpec): LocalLane | undefined {
    return this.#topics.get(topic)?.get(laneKeyOf(spec));
  }

  /** Drops the lane when nobody is left; true when it did. */
  closeIfEmpty(topic: TopicKey, lane: LocalLane): boolean {
    if (lane.subscribers.size > 0 || lane.joining.size > 0) return false;
    const lanes = this.#topics.get(topic);
    const isDropped = lanes?.get(laneKeyOf(lane.spec)) === lane && lanes.delete(laneKeyOf(lane.spec));
    if (lanes?.size === 0) this.#topics.delete(topic);
    return isDropped === true;
  }

  /** The same bytes to everyone on the lane. */
  deliver(topic: TopicKey, spec: LaneSpec, { frames, frameCount, delivery, upTo }: LaneBatch): void {
    const lane = this.find(topic, spec);
    if (lane === undefined) return;
    if (upTo > 0) lane.deliveredUpTo = upTo;
    for (const subscriber of lane.subscribers) subscriber.deliver(frames, frameCount, delivery);
  }

  *lanes(): Iterable<[topic: TopicKey, lane: LocalLane]> {
    for (const [topic, lanes] of this.#topics) {
      for (const lane of lanes.values()) yield [topic, lane];
    }
  }
}
