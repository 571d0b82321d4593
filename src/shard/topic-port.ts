/**
 * The way from sessions to topics: here when the home is this shard, through a ring when it is another.
 * Thread: shard. Called by session handlers and the HTTP routes.
 */
import { type ShardId, type TopicKey, type TopicName, topicOfKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { AnswerReceiver, Correlation, Requested, Subscriber, TopicPort } from '../session/ports.ts';
import { type Answer, type Message, messageToBody } from '../wire/message.ts';
import type { Homes } from './homes.ts';
import { homeCongested, homeRestarting, noCorrelation, type PendingRequests } from './pending-requests.ts';
import type { LocalLane, SubscriberTable } from './subscriber-table.ts';
import type { TopicTable } from './topic-table.ts';

export interface TopicRoute {
  homes: Homes;
  links: ThreadLinks;
  pending: PendingRequests;
  topics: TopicTable;
  subscribers: SubscriberTable;
  classOf: (topic: TopicName) => TopicClass;
}

export class RoutedTopicPort implements TopicPort {
  readonly #route: TopicRoute;

  constructor(route: TopicRoute) {
    this.#route = route;
  }

  subscribe(topic: TopicKey, spec: LaneSpec, subscriber: Subscriber & AnswerReceiver): Requested {
    const { homes, links, pending, topics, subscribers } = this.#route;
    const lane = subscribers.open(topic, spec);
    if (lane.isConfirmed) {
      lane.subscribers.add(subscriber);
      return { state: 'answered', answer: { ok: true } };
    }
    lane.joining.add(subscriber);
    const home = homes.of(topic);
    if (home === homes.self) {
      const answer = topics.subscribe(topic, home, spec);
      this.#finishJoin(topic, lane, subscriber, answer);
      return { state: 'answered', answer };
    }
    const join: AnswerReceiver = {
      onAnswer: (correlation, answer) => {
        this.#finishJoin(topic, lane, subscriber, answer);
        subscriber.onAnswer(correlation, answer);
      },
    };
    const correlation = pending.open(join, home);
    const sent = links.send(home, 'topicSubscribe', correlation, [topic, ...spec]);
    if (sent === 'taken') return { state: 'pending', correlation };
    lane.joining.delete(subscriber);
    subscribers.closeIfEmpty(topic, lane);
    return this.#notSent(correlation, sent);
  }

  unsubscribe(topic: TopicKey, spec: LaneSpec, subscriber: Subscriber): void {
    const { homes, links, topics, subscribers } = this.#route;
    const lane = subscribers.find(topic, spec);
    if (lane === undefined) return;
    lane.subscribers.delete(subscriber);
    lane.joining.delete(subscriber);
    if (!subscribers.closeIfEmpty(topic, lane)) return;
    const home = homes.of(topic);
    if (home === homes.self) topics.unsubscribe(topic, home, spec);
    else links.send(home, 'topicUnsubscribe', noCorrelation, [topic, ...spec]);
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

  /** The home of these topics was restarted: it knows nothing of our lanes. */
  onHomeUp(home: ShardId): void {
    const { homes, links, subscribers } = this.#route;
    for (const [topic, lane] of subscribers.lanes()) {
      if (homes.of(topic) !== home) continue;
      // Not confirmed by this: whoever joins meanwhile asks, and is answered behind it.
      links.send(home, 'topicResubscribe', noCorrelation, [topic, ...lane.spec]);
    }
  }

  onHomeDown(home: ShardId): void {
    const { homes, subscribers, classOf } = this.#route;
    for (const [key, lane] of [...subscribers.lanes()]) {
      if (homes.of(key) !== home) continue;
      lane.isConfirmed = false;
      const topic = topicOfKey(key);
      if (classOf(topic) !== 'durable') continue;
      for (const subscriber of [...lane.subscribers]) subscriber.onHomeLost(topic);
    }
  }

  /** Whoever left in the meantime is not joined. */
  #finishJoin(topic: TopicKey, lane: LocalLane, subscriber: Subscriber, answer: Answer): void {
    const isWaiting = lane.joining.delete(subscriber);
    if (answer.ok) lane.isConfirmed = true;
    if (answer.ok && isWaiting) lane.subscribers.add(subscriber);
    else this.#route.subscribers.closeIfEmpty(topic, lane);
  }

  #notSent(correlation: Correlation, sent: 'refused' | 'dropped' | 'down'): Requested {
    this.#route.pending.forget(correlation);
    return { state: 'answered', answer: sent === 'down' ? homeRestarting() : homeCongested() };
  }
}
