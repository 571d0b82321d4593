/**
 * The way from sessions to topics: here when the home is this shard, through a ring when it is another.
 * Thread: shard. Called by session handlers and the HTTP routes.
 */
import {
  type ShardId,
  type TopicKey,
  type TopicName,
  topicOfKey,
  topicOfMembers,
  type UserId,
} from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type {
  AnswerReceiver,
  Correlation,
  LogMark,
  Requested,
  SchedulePort,
  Subscriber,
  TopicPort,
} from '../session/ports.ts';
import {
  type Amendment,
  type Answer,
  amendmentToBody,
  type Message,
  messageToBody,
  type Since,
  sinceToBody,
} from '../wire/message.ts';
import type { Homes } from './homes.ts';
import type { LaneHomes } from './lane-homes.ts';
import { noCorrelation, type PendingRequests } from './pending-requests.ts';
import { Sliced } from './sliced.ts';
import type { LocalLane, SubscriberTable } from './subscriber-table.ts';
import type { TopicTable } from './topic-table.ts';

export interface TopicRoute {
  homes: Homes;
  links: ThreadLinks;
  pending: PendingRequests;
  topics: TopicTable;
  laneHomes: LaneHomes;
  subscribers: SubscriberTable;
  schedule: Pick<SchedulePort, 'requestSlice'>;
  classOf: (topic: TopicName) => TopicClass;
}

/** One request of a subscriber to be on a lane. */
interface Join {
  topic: TopicKey;
  lane: LocalLane;
  subscriber: Subscriber;
}

export class RoutedTopicPort implements TopicPort {
  readonly #route: TopicRoute;
  /** By home: whoever is still to be told that it is down. */
  readonly #telling = new Map<ShardId, Sliced<[TopicKey, LocalLane, Subscriber]>>();

  constructor(route: TopicRoute) {
    this.#route = route;
  }

  subscribe(
    topic: TopicKey,
    spec: LaneSpec,
    subscriber: Subscriber,
    since: Since | undefined,
    receiver: AnswerReceiver,
  ): Requested {
    const { homes, pending, laneHomes, subscribers, classOf } = this.#route;
    const lane = subscribers.open(topic, spec);
    // Where there is no log there is no position to be told.
    if (lane.isConfirmed && classOf(topicOfKey(topic)) === 'volatile') {
      lane.subscribers.add(subscriber);
      return { state: 'answered', answer: { ok: true } };
    }
    const join: Join = { topic, lane, subscriber };
    lane.joining.set(subscriber, join);
    const home = homes.ofLane(topic);
    if (home !== homes.self) return this.#askHome(home, join, since, receiver);
    return pending.answerHere(home, receiver, (onAnswer) =>
      laneHomes.subscribe(topic, home, spec, since, (answer) => {
        this.#finishJoin(join, answer);
        onAnswer(answer);
      }),
    );
  }

  unsubscribe(topic: TopicKey, spec: LaneSpec, subscriber: Subscriber): void {
    const lane = this.#route.subscribers.find(topic, spec);
    if (lane === undefined) return;
    lane.subscribers.delete(subscriber);
    lane.joining.delete(subscriber);
    this.#closeIfEmpty(topic, lane);
  }

  deliveredUpTo(topic: TopicKey, spec: LaneSpec): number {
    return this.#route.subscribers.find(topic, spec)?.deliveredUpTo ?? 0;
  }

  publish(topic: TopicKey, message: Message, receiver: AnswerReceiver): Requested {
    const { homes, links, pending, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) {
      return pending.answerHere(home, receiver, (onAnswer) => topics.publish(topic, message, onAnswer));
    }
    const correlation = pending.open(receiver, home);
    const sent = links.send(home, 'topicPublish', correlation, [topic, ...messageToBody(message)]);
    return sent === 'taken' ? { state: 'pending', correlation } : this.#notSent(correlation, sent);
  }

  amend(topic: TopicKey, amendment: Amendment, receiver: AnswerReceiver): Requested {
    const { homes, links, pending, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) {
      return pending.answerHere(home, receiver, (onAnswer) => topics.amend(topic, amendment, onAnswer));
    }
    const correlation = pending.open(receiver, home);
    const sent = links.send(home, 'topicAmend', correlation, [topic, ...amendmentToBody(amendment)]);
    return sent === 'taken' ? { state: 'pending', correlation } : this.#notSent(correlation, sent);
  }

  mark(topic: TopicKey, user: UserId, mark: LogMark, receiver: AnswerReceiver): Requested {
    const { homes, links, pending, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) {
      return pending.answerHere(home, receiver, (onAnswer) => topics.mark(topic, user, mark, onAnswer));
    }
    const correlation = pending.open(receiver, home);
    const sent = links.send(home, 'topicMark', correlation, [topic, user, mark.kind, mark.offset]);
    return sent === 'taken' ? { state: 'pending', correlation } : this.#notSent(correlation, sent);
  }

  /** The home of these topics was restarted: it knows nothing of our lanes. */
  onHomeUp(home: ShardId): void {
    const { homes, links, subscribers } = this.#route;
    // Before anything comes from there again: it would come behind a hole. [DUR5]
    this.#telling.get(home)?.finish();
    this.#telling.delete(home);
    for (const [topic, lane] of subscribers.lanes()) {
      if (homes.ofLane(topic) !== home) continue;
      // Not confirmed by this: whoever joins meanwhile asks, and is answered behind it.
      links.send(home, 'topicResubscribe', noCorrelation, [topic, ...lane.spec]);
    }
  }

  /** Subscribers hear of it in slices: there may be thousands. */
  onHomeDown(home: ShardId): void {
    const { homes, subscribers, classOf, schedule } = this.#route;
    const lost: [TopicKey, LocalLane, Subscriber][] = [];
    for (const [key, lane] of subscribers.lanes()) {
      if (homes.ofLane(key) !== home) continue;
      lane.isConfirmed = false;
      // Those who follow a user are told how that one is when the home is back; of members somebody may be gone for good.
      const isTold = classOf(topicOfKey(key)) !== 'volatile' || topicOfMembers(key) !== undefined;
      if (isTold) for (const subscriber of lane.subscribers) lost.push([key, lane, subscriber]);
    }
    const telling = new Sliced(lost, ([key, lane, subscriber]) => {
      if (lane.subscribers.has(subscriber)) tellLost(key, subscriber, 'the home of the topic was lost');
    });
    this.#telling.set(home, telling);
    schedule.requestSlice(telling);
  }

  /** Deliveries were lost on the way from the home, which sends none to this lane any more. */
  onLost(topic: TopicKey, spec: LaneSpec): void {
    const lane = this.#route.subscribers.find(topic, spec);
    for (const subscriber of [...(lane?.subscribers ?? [])])
      tellLost(topic, subscriber, 'the way from the home of the topic was full');
  }

  #askHome(home: ShardId, join: Join, since: Since | undefined, receiver: AnswerReceiver): Requested {
    const { links, pending } = this.#route;
    const { topic, lane, subscriber } = join;
    const onAnswer: AnswerReceiver['onAnswer'] = (correlation, answer) => {
      this.#finishJoin(join, answer);
      receiver.onAnswer(correlation, answer);
    };
    const correlation = pending.open({ onAnswer }, home);
    const sent = links.send(home, 'topicSubscribe', correlation, [topic, ...lane.spec, sinceToBody(since)]);
    if (sent === 'taken') return { state: 'pending', correlation };
    lane.joining.delete(subscriber);
    this.#closeIfEmpty(topic, lane);
    return this.#notSent(correlation, sent);
  }

  /** Whoever left in the meantime is not joined, nor one who left and asked again: the second answer counts. */
  #finishJoin(join: Join, answer: Answer): void {
    const { topic, lane, subscriber } = join;
    const isWaiting = lane.joining.get(subscriber) === join;
    if (isWaiting) lane.joining.delete(subscriber);
    const isLive = answer.ok && (answer.joined?.isLive ?? true);
    if (isLive) lane.isConfirmed = true;
    if (isLive && isWaiting) lane.subscribers.add(subscriber);
    else this.#closeIfEmpty(topic, lane);
  }

  /** The home is told where it may have the lane: others may have been on it. */
  #closeIfEmpty(topic: TopicKey, lane: LocalLane): boolean {
    const { homes, links, laneHomes, subscribers } = this.#route;
    if (!subscribers.closeIfEmpty(topic, lane)) return false;
    const home = homes.ofLane(topic);
    if (home === homes.self) laneHomes.unsubscribe(topic, home, lane.spec);
    else links.send(home, 'topicUnsubscribe', noCorrelation, [topic, ...lane.spec]);
    return true;
  }

  #notSent(correlation: Correlation, sent: 'refused' | 'dropped' | 'down'): Requested {
    return { state: 'answered', answer: this.#route.pending.notSent(correlation, sent) };
  }
}

/** A hole must be told: the client subscribes again, and gets what it missed. [DUR5] */
function tellLost(topic: TopicKey, subscriber: Subscriber, reason: string): void {
  subscriber.onLost(topicOfKey(topic), `${reason}; subscribe again, with the last offset as since`);
}
