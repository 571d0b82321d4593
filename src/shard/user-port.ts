/**
 * The way from sessions to users: here when the home is this shard, through a ring when it is another.
 * Thread: shard. Called by sessions, their handlers and the HTTP routes.
 */
import type { SessionId, ShardId, UserKey } from '#proto/names.ts';
import type { RecordBodies } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { SessionName, SessionTold } from '../presence/session-told.ts';
import type { AnswerReceiver, AttachingSession, LogMark, Requested, UserPort } from '../session/ports.ts';
import { packObject } from '../wire/codec.ts';
import {
  type Amendment,
  amendmentToBody,
  type Message,
  messageToBody,
  type Since,
  sinceToBody,
} from '../wire/message.ts';
import type { Homes } from './homes.ts';
import { noCorrelation, type PendingRequests } from './pending-requests.ts';
import type { UserTable } from './user-table.ts';

export interface UserRoute {
  homes: Homes;
  links: ThreadLinks;
  pending: PendingRequests;
  users: UserTable;
}

export class RoutedUserPort implements UserPort {
  readonly #route: UserRoute;

  constructor(route: UserRoute) {
    this.#route = route;
  }

  homeOf(user: UserKey): ShardId {
    return this.#route.homes.of(user);
  }

  attach(
    user: UserKey,
    { id, encoding, tokenHash, told }: AttachingSession,
    since: Since | undefined,
    receiver: AnswerReceiver,
  ): Requested {
    const { homes, users, pending } = this.#route;
    const home = homes.of(user);
    if (home !== homes.self)
      return this.#request(
        user,
        'userAttach',
        [user, id, encoding, sinceToBody(since), tokenHash, told === undefined ? null : packObject(told)],
        receiver,
      );
    return pending.answerHere(home, receiver, (onAnswer) =>
      users.attach(user, { session: id, shard: home, encoding, tokenHash, told }, since, onAnswer),
    );
  }

  detach(user: UserKey, session: SessionId): void {
    const { homes, links, users } = this.#route;
    const home = homes.of(user);
    if (home === homes.self) users.detach(user, session);
    else links.send(home, 'userDetach', noCorrelation, [user, session]);
  }

  tell(user: UserKey, session: SessionId, told: SessionTold): void {
    const { homes, links, users } = this.#route;
    const home = homes.of(user);
    if (home === homes.self) users.tell(user, session, told);
    else links.send(home, 'userTell', noCorrelation, [user, session, packObject(told)]);
  }

  park(user: UserKey, { id, tokenHash }: { id: SessionId; tokenHash: string }, told: SessionTold): void {
    const { homes, links, users } = this.#route;
    const home = homes.of(user);
    if (home === homes.self) users.park(user, id, told, tokenHash);
    else links.send(home, 'userPark', noCorrelation, [user, id, packObject(told), tokenHash]);
  }

  forget(user: UserKey): void {
    const { homes, links, users } = this.#route;
    const home = homes.of(user);
    if (home === homes.self) users.forget(user);
    else links.send(home, 'userForget', noCorrelation, [user]);
  }

  resume(
    user: UserKey,
    session: SessionId,
    { session: former, tokenHash }: SessionName,
    receiver: AnswerReceiver,
  ): Requested {
    const { homes, users, pending } = this.#route;
    if (homes.of(user) === homes.self) {
      return pending.answerHere(homes.self, receiver, (onAnswer) =>
        users.resume(user, { session, former, tokenHash }, onAnswer),
      );
    }
    return this.#request(user, 'userResume', [user, session, former, tokenHash], receiver);
  }

  direct(
    to: UserKey,
    message: Message,
    from: UserKey,
    session: SessionId | null,
    receiver: AnswerReceiver,
  ): Requested {
    const { homes, users, pending } = this.#route;
    if (homes.of(to) === homes.self) {
      return pending.answerHere(homes.self, receiver, (onAnswer) =>
        users.direct(to, message, from, session ?? undefined, onAnswer),
      );
    }
    const body: RecordBodies['userDirect'] = [to, from, session, ...messageToBody(message)];
    return this.#request(to, 'userDirect', body, receiver);
  }

  amend(user: UserKey, other: UserKey, amendment: Amendment, receiver: AnswerReceiver): Requested {
    const { homes, users, pending } = this.#route;
    if (homes.of(user) === homes.self) {
      return pending.answerHere(homes.self, receiver, (onAnswer) =>
        users.amend(user, other, amendment, onAnswer),
      );
    }
    return this.#request(user, 'userAmend', [user, other, ...amendmentToBody(amendment)], receiver);
  }

  mark(user: UserKey, { kind, offset }: LogMark, receiver: AnswerReceiver): Requested {
    const { homes, users, pending } = this.#route;
    if (homes.of(user) === homes.self) {
      return pending.answerHere(homes.self, receiver, (onAnswer) => users.mark(user, kind, offset, onAnswer));
    }
    return this.#request(user, 'userMark', [user, kind, offset], receiver);
  }

  #request<Kind extends 'userAttach' | 'userResume' | 'userDirect' | 'userAmend' | 'userMark'>(
    user: UserKey,
    kind: Kind,
    body: RecordBodies[Kind],
    receiver: AnswerReceiver,
  ): Requested {
    const { homes, links, pending } = this.#route;
    const home = homes.of(user);
    const correlation = pending.open(receiver, home);
    const sent = links.send(home, kind, correlation, body);
    if (sent === 'taken') return { state: 'pending', correlation };
    return { state: 'answered', answer: pending.notSent(correlation, sent) };
  }
}
