/**
 * What a person can do, turned into commands; what comes back, turned into state. No DOM: the page arrives as `page`.
 * Made by app.js; views call its methods and read `state`.
 */
import { Connection } from './connection.js';
import { newId } from './names.js';
import { commandOf, isTooLarge, messageOf, payloadOf, placeOf } from './payload.js';
import * as steps from './state.js';
import { closeWords, errorWords, lostWords } from './wording.js';

const lobby = 'chat:lobby';
/** Between two tries to join where the server asked for patience without saying how long, milliseconds. */
const joinAgainMs = 500;

export class Chat {
  state = steps.signedOut;
  /** Text not sent yet, by conversation. */
  drafts = new Map();
  #page;
  #connection;
  /** Name behind the credentials, when there is one: a reload signs in again. */
  #name;
  #wasConnected = false;
  /** By envelope id: the command of an own message, to send it again as it was. */
  #commands = new Map();

  /** `page`: url, isVisible(), onChange(), remember(session). */
  constructor(page) {
    this.#page = page;
  }

  /** Rejects with a CredentialsError when there is no token to be had. */
  async signIn(credentials, { name, topics = [lobby] } = {}) {
    await credentials.token();
    this.#name = name;
    this.#wasConnected = false;
    this.state = { ...steps.signedOut, isSignedIn: true };
    for (const topic of topics) this.state = steps.opened(this.state, { kind: 'topic', name: topic });
    this.#connection = new Connection(this.#page.url, credentials, {
      onPhase: (phase) => this.#onPhase(phase),
      onReply: (reply, command) => this.#onReply(reply, command),
      onEnvelope: (envelope) => this.#onEnvelope(envelope),
    });
    this.#connection.start();
    this.#remember();
  }

  signOut(problem) {
    this.#connection?.stop();
    this.#connection = undefined;
    this.#commands.clear();
    this.drafts.clear();
    this.#page.remember(undefined);
    this.#set({ ...steps.signedOut, problem });
  }

  retryNow() {
    this.#connection?.retryNow();
  }

  /** Joins a topic that is not joined, and shows it. */
  join(topic) {
    const place = { kind: 'topic', name: topic };
    const conversation = steps.find(this.state, steps.keyOf(place));
    this.#show(place);
    if (conversation?.membership === 'joined') return;
    this.#subscribe(topic);
    this.#remember();
  }

  /** Shows the conversation with a user. */
  talkTo(user) {
    this.#show({ kind: 'user', name: user });
  }

  /** Leaves a topic, or puts a conversation away. */
  leave(key) {
    const { kind, name, membership } = steps.find(this.state, key);
    if (kind === 'topic' && steps.isWanted(membership)) this.#connection.ask('Unsubscribe', { topic: name });
    this.#set(steps.closed(this.state, key));
    this.#remember();
  }

  select(key) {
    this.#set(steps.selected(this.state, key));
  }

  /** Sends to the topic or user of a conversation. Answers what is wrong with the text, or undefined. */
  post(key, text) {
    const { shard, maxMessageBytes } = this.state.phase;
    const command = commandOf(steps.find(this.state, key), payloadOf(text, shard));
    if (isTooLarge(command, maxMessageBytes)) return errorWords({ code: 'message_too_large' });
    this.#commands.set(command.id, command);
    this.#set(
      steps.posted(this.state, key, { id: command.id, from: this.state.me, text, atMs: Date.now(), shard }),
    );
    this.#connection.deliver(command);
    return undefined;
  }

  /** An own message that failed, again under its id: if the server has it after all, it stays one message. */
  postAgain(id) {
    this.#set(steps.settled(this.state, id, { state: 'sending' }));
    this.#connection.deliver(this.#commands.get(id));
  }

  #show(place) {
    this.#set(steps.selected(steps.opened(this.state, place), steps.keyOf(place)));
  }

  #subscribe(topic) {
    this.#setTopic(topic, { membership: 'joining', problem: undefined });
    this.#connection.ask('Subscribe', { topic });
  }

  // ---- what the connection tells

  #onPhase(phase) {
    // A token that never worked: back to the start, with the reason.
    if (phase.name === 'closed' && !this.#wasConnected) return this.signOut(closeWords(phase));
    const before = this.state.phase;
    this.state = { ...this.state, phase };
    if (before.name === 'connected') this.#note(lostWords(phase));
    if (phase.name === 'connected') this.#onConnected(phase);
    this.#page.onChange();
  }

  #onConnected({ userId, shard }) {
    this.state = { ...this.state, me: userId };
    if (this.#wasConnected) this.#note(`Connected again, on shard ${shard}.`);
    this.#wasConnected = true;
    void this.#countShards();
    for (const { kind, name, membership } of this.state.conversations) {
      if (kind === 'topic' && steps.isWanted(membership)) this.#subscribe(name);
    }
  }

  #onReply({ type, data }, { id, type: op, data: asked }) {
    const isError = type === 'Error';
    if (op === 'Subscribe') return this.#onSubscribed(asked.topic, isError ? data : undefined);
    if (op !== 'Broadcast' && op !== 'DirectMessage') return;
    if (isError)
      return this.#set(steps.settled(this.state, id, { state: 'failed', problem: errorWords(data) }));
    this.#commands.delete(id);
    this.#set(steps.settled(this.state, id, { state: 'sent' }, data.messageId));
  }

  #onSubscribed(topic, error) {
    if (error === undefined || error.code === 'already_subscribed') {
      return this.#setTopic(topic, { membership: 'joined', problem: undefined });
    }
    const problem = errorWords(error);
    if (!error.retryable) return this.#setTopic(topic, { membership: 'refused', problem });
    this.#setTopic(topic, { problem: `${problem} Trying again…` });
    const joinAgain = () => {
      const conversation = steps.find(this.state, steps.keyOf({ kind: 'topic', name: topic }));
      if (conversation?.membership === 'joining') this.#connection?.ask('Subscribe', { topic });
    };
    setTimeout(joinAgain, (error.retryAfterMs ?? joinAgainMs) * (1 + Math.random()));
  }

  #onEnvelope(envelope) {
    const { type, data } = envelope;
    if (type === 'Broadcast' || type === 'DirectMessage') this.#receive(envelope);
    if (type !== 'Status' || data.op !== 'Subscription' || data.active) return;
    const problem = `The server ended this subscription: ${data.reason}.`;
    this.#setTopic(data.topic, { membership: 'ended', problem });
  }

  #receive(envelope) {
    const place = placeOf(envelope, this.state.me);
    // A topic that was left: what was on its way must not open it again.
    if (place.kind === 'topic' && steps.find(this.state, steps.keyOf(place)) === undefined) return;
    this.#set(steps.received(this.state, place, messageOf(envelope), this.#page.isVisible()));
  }

  async #countShards() {
    const shardCount = await this.#page.countShards();
    if (this.state.isSignedIn) this.#set({ ...this.state, shardCount });
  }

  #note(note) {
    this.state = steps.noted(this.state, { id: newId(), note, atMs: Date.now() });
  }

  #setTopic(topic, fields) {
    this.#set(steps.changed(this.state, steps.keyOf({ kind: 'topic', name: topic }), fields));
  }

  #remember() {
    if (this.#name !== undefined)
      this.#page.remember({ name: this.#name, topics: steps.topicsOf(this.state) });
  }

  #set(state) {
    this.state = state;
    this.#page.onChange();
  }
}
