/**
 * Who is there: the members of the topics, and the other users of conversations, who are followed as long as these are
 * open. Owned by chat.js.
 */
import * as presence from '../presence.js';
import * as steps from '../state.js';

/** Users of one command. Whoever has more conversations open sees how those people are who were opened first. */
const followedMax = 200;

export class Presence {
  #core;
  /** Whom the server tells of, as far as this page knows. */
  #followed = new Set();
  /** Topics of which the list is asked for. */
  #asked = new Set();
  /** By topic that is being joined: news that came before its list, and are not in it perhaps. */
  #early = new Map();

  constructor(core) {
    this.#core = core;
  }

  /** `isResumed`: the server follows whom it followed before. */
  onConnected(isResumed) {
    const { state } = this.#core;
    const gone = isResumed ? [...this.#followed].filter((user) => !isOpen(state, user)) : [];
    if (gone.length > 0) void this.#core.ask('PresenceUnsubscribe', { users: gone });
    this.#followed.clear();
    this.follow();
  }

  /** Follows whom it does not yet, of those whose conversations are open. */
  follow() {
    const { state } = this.#core;
    if (state.phase.name !== 'connected') return;
    const wanted = steps.namesOf(state, 'user').slice(0, followedMax);
    const users = wanted.filter((user) => !this.#followed.has(user));
    if (users.length === 0) return;
    for (const user of users) this.#followed.add(user);
    void this.#ask(users);
  }

  unfollow(user) {
    if (this.#core.state.phase.name !== 'connected') return; // the next connection sees that it is not open
    if (this.#followed.delete(user)) void this.#core.ask('PresenceUnsubscribe', { users: [user] });
  }

  /** A subscription is asked for; its list will come. */
  onJoining(topic) {
    this.#early.delete(topic);
  }

  /** The list that comes with a subscription. */
  onMembers(topic, { members, memberCount }) {
    const early = this.#early.get(topic) ?? [];
    this.#early.delete(topic);
    if (members === undefined) return this.#set(topic, undefined);
    this.#set(topic, early.reduce(presence.withNews, presence.listed(members, memberCount)));
  }

  /** A `Presence` of the server. */
  onNews(news) {
    if (news.topic === undefined) return this.#onUser(news);
    const { topic } = news;
    const { membership, members } = steps.find(this.#core.state, keyOf('topic', topic)) ?? {};
    if (membership === 'joining')
      return void this.#early.set(topic, [...(this.#early.get(topic) ?? []), news]);
    if (members === undefined) return;
    // They are told by name again: there are few enough.
    if (members.users === undefined && news.memberCount === undefined) return void this.#list(topic);
    this.#set(topic, presence.withNews(members, news));
  }

  async #ask(users) {
    const reply = await this.#core.ask('PresenceSubscribe', { users });
    if (reply?.type === 'Status') for (const user of reply.data.users) this.#onUser(user);
    // Not allowed, or not now: it is left open how they are.
    else for (const user of users) this.#followed.delete(user);
  }

  async #list(topic) {
    if (this.#asked.has(topic)) return;
    this.#asked.add(topic);
    const reply = await this.#core.ask('PresenceQuery', { topic });
    this.#asked.delete(topic);
    if (reply?.type !== 'Status') return;
    const { users, memberCount } = reply.data;
    this.#set(topic, presence.listed(users, memberCount));
  }

  #onUser(news) {
    const { state } = this.#core;
    const fields = { presence: presence.presenceOf(news) };
    this.#core.set(steps.changed(state, keyOf('user', news.user), fields));
  }

  #set(topic, members) {
    this.#core.set(steps.changed(this.#core.state, keyOf('topic', topic), { members }));
  }
}

function isOpen(state, user) {
  return steps.find(state, keyOf('user', user)) !== undefined;
}

function keyOf(kind, name) {
  return steps.keyOf({ kind, name });
}
