/**
 * What a person can do, handed on to the parts beside this file. No DOM: the page arrives as `page`.
 * Made by app.js; views call its methods and read `state`.
 */
import { Connection } from '../connection.js';
import { newId } from '../names.js';
import { inboxOf, isInbox } from '../payload.js';
import * as steps from '../state.js';
import { closeWords, lostWords } from '../wording.js';
import { Deliveries } from './deliveries.js';
import { Finder } from './finder.js';
import { History } from './history.js';
import { Inbox } from './inbox.js';
import { OwnMessages } from './own-messages.js';
import { Presence } from './presence.js';
import { ReadMarks } from './read-marks.js';
import { Resumption } from './resumption.js';
import { Topics } from './topics.js';
import { Typing } from './typing.js';

const lobby = 'chat:lobby';

export class Chat {
  state = steps.signedOut;
  /** Text not sent yet, by conversation. */
  drafts = new Map();
  #page;
  #connection;
  /** The parts, new with each sign-in. */
  #history;
  #topics;
  #inbox;
  #marks;
  #own;
  #finder;
  #deliveries;
  #presence;
  #typing;
  #resumption;
  /** Name behind the credentials, when there is one: a reload signs in again. */
  #name;
  #wasConnected = false;
  /** The conversation of which the end is on the screen. */
  #watchedKey;

  /** `page`: url, isVisible(), onChange(), remember(session), countShards(). */
  constructor(page) {
    this.#page = page;
  }

  /** Rejects with a CredentialsError when there is no token to be had. The rest is what a reload remembers. */
  async signIn(credentials, { name, topics = [lobby], users = [], inbox } = {}) {
    await credentials.token();
    this.#name = name;
    this.#wasConnected = false;
    this.state = { ...steps.signedOut, isSignedIn: true };
    for (const topic of topics) this.state = steps.opened(this.state, { kind: 'topic', name: topic });
    for (const user of users) this.state = steps.opened(this.state, { kind: 'user', name: user });
    this.#connection = new Connection(this.#page.url, credentials, {
      onPhase: (phase) => this.#onPhase(phase),
      onEnvelope: (envelope) => this.#deliveries.onEnvelope(envelope),
    });
    this.#makeParts(inbox);
    this.#connection.start();
    this.#remember();
  }

  signOut(problem) {
    this.#connection?.stop();
    this.#topics?.stop();
    this.#inbox?.stop();
    this.#marks?.stop();
    this.#typing?.stop();
    this.#connection = undefined;
    this.drafts.clear();
    this.#page.remember(undefined);
    this.#set({ ...steps.signedOut, problem });
  }

  retryNow() {
    this.#connection?.retryNow();
  }

  // ---- conversations

  /** Joins a topic that is not joined, and shows it. */
  async join(topic) {
    const place = { kind: 'topic', name: topic };
    const membership = steps.find(this.state, steps.keyOf(place))?.membership;
    this.#show(place);
    if (membership === 'joined') return;
    this.#remember();
    await this.#topics.subscribe(topic);
  }

  /** Shows the conversation with a user. */
  async talkTo(user) {
    const place = { kind: 'user', name: user };
    this.#show(place);
    this.#remember();
    this.#presence.follow();
    await this.#history.ensure(steps.keyOf(place));
  }

  /** Leaves a topic, or puts a conversation away. */
  leave(key) {
    const { kind, name } = steps.find(this.state, key);
    if (kind === 'topic') this.#topics.unsubscribe(name);
    if (kind === 'user') this.#presence.unfollow(name);
    this.#set(steps.closed(this.state, key));
    this.#loadShown();
    this.#remember();
  }

  select(key) {
    this.#set(steps.selected(this.state, key));
    this.#loadShown();
  }

  /** Loads what is older than what is shown. */
  older(key) {
    void this.#history.older(key);
  }

  /** The view says whether the end of this conversation is on the screen. */
  watch(key, isAtEnd) {
    if (isAtEnd) this.#watchedKey = key;
    else if (this.#watchedKey === key) this.#watchedKey = undefined;
    this.#look();
  }

  /** The page is visible again. */
  onShown() {
    this.#look();
  }

  // ---- messages

  /** What is written and not sent yet. */
  wrote(key, text) {
    if (text === '') this.drafts.delete(key);
    else this.drafts.set(key, text);
    this.#typing.onWrote(key, text);
  }

  /** Sends to the topic or user of a conversation. Answers what is wrong with the text, or undefined. */
  post(key, text) {
    this.#typing.onDone(key);
    return this.#own.post(key, text);
  }

  postAgain(id) {
    this.#own.postAgain(id);
  }

  /** `change`: `{kind: 'edit', text}` or `{kind: 'delete'}`. */
  change(messageId, change) {
    void this.#own.change(messageId, change);
  }

  dropChange(messageId) {
    this.#own.dropChange(messageId);
  }

  search(query) {
    void this.#finder.search(query);
  }

  closeSearch() {
    this.#finder.close();
  }

  /** Goes to a message that was found. */
  async goTo({ place, messageId, offset }) {
    if (place.kind === 'topic') await this.join(place.name);
    else await this.talkTo(place.name);
    const key = steps.keyOf(place);
    await this.#history.reach(key, offset);
    if (this.state.activeKey === key) this.#set(steps.changed(this.state, key, { target: { messageId } }));
  }

  // ---- the connection

  #onPhase(phase) {
    // A token that never worked: back to the start, with the reason.
    if (phase.name === 'closed' && !this.#wasConnected) return this.signOut(closeWords(phase));
    const before = this.state.phase;
    this.state = { ...this.state, phase, isStoreAway: false };
    if (before.name === 'connected') this.#onLost(phase);
    if (phase.name === 'connected') this.#onConnected(phase);
    this.#page.onChange();
  }

  #onLost(phase) {
    this.#note(lostWords(phase));
    this.#typing.onLost();
  }

  #onConnected({ userId, shard, inbox, session }) {
    this.state = { ...this.state, me: userId };
    if (this.#wasConnected) this.#note(`Connected again, on shard ${shard}.`);
    this.#wasConnected = true;
    void this.#countShards();
    this.#inbox.onConnected(userId, inbox);
    this.#topics.onConnected();
    this.#resumption.onConnected(session, this.#positionsOf(userId), (topics) => this.#goOn(topics));
  }

  /** `resumed`: what came back of each topic; undefined where nothing did, and all is to be subscribed anew. */
  #goOn(resumed) {
    this.#inbox.goOn(resumed?.find(({ topic }) => isInbox(topic)));
    this.#topics.goOn(resumed);
    this.#presence.onConnected(resumed !== undefined);
    this.#marks.onConnected();
    this.#loadShown();
    this.#look();
  }

  /** Everything up to there is here. */
  #positionsOf(user) {
    const inbox = this.#inbox.position;
    return { ...this.#topics.positions, ...(inbox === undefined ? {} : { [inboxOf(user)]: inbox }) };
  }

  // ---- parts, and what they share

  #makeParts(inbox) {
    const chat = this;
    const connection = this.#connection;
    const core = {
      get state() {
        return chat.state;
      },
      set: (state) => this.#set(state),
      ask: (type, data) => connection.ask(type, data),
      deliver: (command) => connection.deliver(command),
    };
    this.#history = new History(core);
    this.#presence = new Presence(core);
    this.#typing = new Typing(core);
    this.#resumption = new Resumption(core);
    this.#topics = new Topics(core, this.#history, this.#presence);
    this.#inbox = new Inbox(core, this.#history, { position: inbox, onMoved: () => this.#remember() });
    this.#marks = new ReadMarks(core);
    this.#own = new OwnMessages(core);
    this.#finder = new Finder(core);
    this.#deliveries = new Deliveries(core, {
      topics: this.#topics,
      inbox: this.#inbox,
      presence: this.#presence,
      typing: this.#typing,
      isLookedAt: (key) => this.#isLookedAt(key),
      onOpened: () => {
        this.#presence.follow();
        this.#loadShown();
        this.#remember();
      },
      onRestored: () => this.#loadShown(),
    });
  }

  /** Topics load theirs when they are joined; with a user there is nothing to be joined. */
  #loadShown() {
    const active = steps.find(this.state, this.state.activeKey);
    if (active?.kind === 'user' || active?.history === 'failed') void this.#history.ensure(active.key);
  }

  #isLookedAt(key) {
    return this.#page.isVisible() && this.#watchedKey === key;
  }

  /** Tells the state, and in time the server, that what is on the screen was read. */
  #look() {
    const key = this.#watchedKey;
    const conversation = steps.find(this.state, key);
    if (!this.#isLookedAt(key) || conversation === undefined) return;
    const state = steps.looked(this.state, key);
    if (state !== this.state) this.#set(state);
    // Of a topic that is not subscribed yet the server takes none.
    if (state.phase.name !== 'connected' || conversation.membership === 'joining') return;
    const mark = steps.readMark(state, key);
    if (mark !== undefined) this.#marks.mark(mark);
  }

  #show(place) {
    this.#set(steps.selected(steps.opened(this.state, place), steps.keyOf(place)));
  }

  async #countShards() {
    const shardCount = await this.#page.countShards();
    if (this.state.isSignedIn) this.#set({ ...this.state, shardCount });
  }

  #note(note) {
    this.state = steps.noted(this.state, { id: newId(), note, atMs: Date.now() });
  }

  #remember() {
    if (this.#name === undefined) return;
    const [topics, users] = ['topic', 'user'].map((kind) => steps.namesOf(this.state, kind));
    this.#page.remember({ name: this.#name, topics, users, inbox: this.#inbox.position });
  }

  #set(state) {
    this.state = state;
    this.#page.onChange();
  }
}
