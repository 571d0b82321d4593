/**
 * The way from sessions to those who know who is there: here when the home is this shard, through a ring when it is another.
 * Thread: shard. Called by session handlers and the HTTP routes.
 */
import type { SessionId, ShardId, TopicKey, UserId, UserKey } from '#proto/names.ts';
import type { RecordBodies } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { UserPresence } from '../presence/device-presence.ts';
import type { AnswerReceiver, PresencePort, Requested, TopicMember } from '../session/ports.ts';
import { packObject } from '../wire/codec.ts';
import type { Answer } from '../wire/message.ts';
import type { Homes } from './homes.ts';
import { noCorrelation, type PendingRequests } from './pending-requests.ts';
import type { TopicTable } from './topic-table.ts';
import type { UserTable } from './user-table.ts';

export interface PresenceRoute {
  homes: Homes;
  links: ThreadLinks;
  pending: PendingRequests;
  topics: TopicTable;
  users: UserTable;
}

type OnAnswer = (answer: Answer) => void;

export class RoutedPresencePort implements PresencePort {
  readonly #route: PresenceRoute;

  constructor(route: PresenceRoute) {
    this.#route = route;
  }

  users(users: readonly UserKey[], receiver: AnswerReceiver): Requested {
    const { homes, pending } = this.#route;
    // This shard last: what it says is then not older than what its own boards tell meanwhile.
    const byHome = [...Map.groupBy(users, (user) => homes.of(user))].toSorted(([home]) =>
      home === homes.self ? 1 : -1,
    );
    const found = new Map<UserKey, UserPresence>();
    return pending.answerHere(homes.self, receiver, (onAnswer) => {
      let missing = byHome.length;
      for (const [home, asked] of byHome) {
        this.#askUsers(home, asked, (answer) => {
          if (missing === 0) return; // refused by another home
          if (!answer.ok) {
            missing = 0;
            return onAnswer(answer);
          }
          const presences = answer.result as UserPresence[];
          for (const [index, user] of asked.entries()) found.set(user, presences[index] as UserPresence);
          missing--;
          if (missing === 0) onAnswer({ ok: true, result: users.map((user) => found.get(user)) });
        });
      }
    });
  }

  enter(topic: TopicKey, member: TopicMember, receiver: AnswerReceiver): Requested {
    const { homes, pending, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self)
      return pending.answerHere(home, receiver, (onAnswer) => topics.enter(topic, home, member, onAnswer));
    const { user, session, presence } = member;
    return this.#request(home, 'topicEnter', [topic, user, session, packObject(presence)], receiver);
  }

  change(topic: TopicKey, member: TopicMember): void {
    const { homes, links, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) return topics.change(topic, home, member);
    const { user, session, presence } = member;
    links.send(home, 'topicMember', noCorrelation, [topic, user, session, packObject(presence)]);
  }

  leave(topic: TopicKey, user: UserId, session: SessionId, isLost: boolean): void {
    const { homes, links, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) topics.leave(topic, user, session, isLost);
    else links.send(home, 'topicLeave', noCorrelation, [topic, user, session, isLost]);
  }

  members(topic: TopicKey, after: UserId | undefined, limit: number, receiver: AnswerReceiver): Requested {
    const { homes, pending, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self)
      return pending.answerHere(home, receiver, (onAnswer) => topics.members(topic, after, limit, onAnswer));
    return this.#request(home, 'topicMembers', [topic, after ?? null, limit], receiver);
  }

  typingInTopic(topic: TopicKey, user: UserId, isActive: boolean): void {
    const { homes, links, topics } = this.#route;
    const home = homes.of(topic);
    if (home === homes.self) topics.typing(topic, user, isActive);
    else links.send(home, 'topicTyping', noCorrelation, [topic, user, isActive]);
  }

  typingTo(to: UserKey, from: UserId, isActive: boolean): void {
    const { homes, links, users } = this.#route;
    const home = homes.of(to);
    if (home === homes.self) users.typing(to, from, isActive);
    else links.send(home, 'userTyping', noCorrelation, [to, from, isActive]);
  }

  #askUsers(home: ShardId, asked: UserKey[], onAnswer: OnAnswer): void {
    const { homes, users } = this.#route;
    if (home === homes.self) return users.presences(asked, onAnswer);
    const receiver = { onAnswer: (_correlation: number, answer: Answer) => onAnswer(answer) };
    const requested = this.#request(home, 'userPresences', [asked], receiver);
    if (requested.state === 'answered') onAnswer(requested.answer);
  }

  #request<Kind extends 'userPresences' | 'topicEnter' | 'topicMembers'>(
    home: ShardId,
    kind: Kind,
    body: RecordBodies[Kind],
    receiver: AnswerReceiver,
  ): Requested {
    const { links, pending } = this.#route;
    const correlation = pending.open(receiver, home);
    const sent = links.send(home, kind, correlation, body);
    if (sent === 'taken') return { state: 'pending', correlation };
    return { state: 'answered', answer: pending.notSent(correlation, sent) };
  }
}
