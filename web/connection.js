/**
 * One signed-in user's connection: socket, replies, reconnect with backoff, resend of what was not answered. No DOM.
 * Made by chat.js, which listens: `onPhase`, and `onEnvelope` for all that answers nothing.
 */
import { newId } from './names.js';
import { backoffMs, mayReconnect, stableAfterMs, tokenExpiredCode } from './reconnect.js';

/** Silence for this long, asked in vain for a sign of life, is a lost connection; milliseconds. */
const beatMs = 25_000;
/** Nobody comes back to this session. */
const goodbyeCode = 1000;
const replyTypes = new Set(['Status', 'Error', 'Pong']);

export class Connection {
  #url;
  #credentials;
  #listener;
  /** connecting, connected, waiting (for the next try), closed (for good). */
  #phase = { name: 'closed' };
  #socket;
  /** Identifies the try that is under way; a token that arrives for an older one is dropped. */
  #try;
  #attempt = 0;
  #liveAtMs = Number.POSITIVE_INFINITY;
  /** When the server asked us to come back, milliseconds since the epoch. */
  #invitedAtMs;
  #retryTimer;
  #beatTimer;
  #isHeard = false;
  /** The last error that answered nothing: it tells why a close happened. */
  #lastError;
  /** By id, in the order sent: commands without a reply. */
  #unanswered = new Map();

  constructor(url, credentials, listener) {
    this.#url = url;
    this.#credentials = credentials;
    this.#listener = listener;
  }

  start() {
    void this.#connect();
  }

  /** Signed out: nothing is heard of this connection any more. */
  stop() {
    this.#listener = { onPhase() {}, onEnvelope() {} };
    this.#phase = { name: 'closed' };
    this.#drop(goodbyeCode);
    clearTimeout(this.#retryTimer);
    this.#try = undefined;
  }

  /** Somebody does not want to wait, or the network is back. */
  retryNow() {
    if (this.#phase.name !== 'waiting') return;
    clearTimeout(this.#retryTimer);
    void this.#connect();
  }

  /** On this connection or not at all. Resolves with the reply, or with undefined when the connection is lost before it. */
  ask(type, data) {
    if (this.#phase.name !== 'connected') return Promise.resolve(undefined);
    return new Promise((onReply) => this.#send({ type, id: newId(), data, onReply }));
  }

  /**
   * Now or after the next connect, and again until it is answered; the id keeps the server from taking a message twice.
   * Resolves with the reply.
   */
  deliver(envelope) {
    return new Promise((onReply) => {
      const command = { ...envelope, isKept: true, onReply };
      if (this.#phase.name === 'connected') this.#send(command);
      else this.#unanswered.set(command.id, command);
    });
  }

  #send(command) {
    this.#unanswered.set(command.id, command);
    const { type, id, data } = command;
    this.#socket.send(JSON.stringify({ type, id, data }));
  }

  async #connect() {
    this.#enter({ name: 'connecting' });
    const thisTry = {};
    this.#try = thisTry;
    let token;
    try {
      token = await this.#credentials.token();
    } catch (error) {
      if (this.#try !== thisTry) return;
      if (error.isFinal) this.#enter({ name: 'closed', detail: error.message });
      else this.#retryLater({ detail: error.message });
      return;
    }
    if (this.#try !== thisTry) return;
    this.#lastError = undefined;
    this.#isHeard = false;
    const socket = new WebSocket(this.#url, ['carillon.v1.json', `bearer.${token}`]);
    socket.onmessage = ({ data }) => this.#onMessage(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#onClosed(code, reason);
    this.#socket = socket;
    this.#beatTimer = setInterval(() => this.#beat(), beatMs);
  }

  #onMessage(envelope) {
    this.#isHeard = true;
    const { type, id, data } = envelope;
    if (type === 'Status' && data.op === 'Connect') return this.#onLive(data);
    if (type === 'System') this.#onSystem(data);
    const command = replyTypes.has(type) ? this.#unanswered.get(id) : undefined;
    if (command === undefined) {
      if (type === 'Error') this.#lastError = data.message;
      return this.#listener.onEnvelope(envelope);
    }
    this.#unanswered.delete(id);
    command.onReply(envelope);
  }

  /** The listener subscribes first; then what was not answered goes out again, in its order. */
  #onLive({ userId, shard, node, maxMessageBytes, inbox, sessionId, resumeToken }) {
    const unanswered = [...this.#unanswered.values()];
    this.#liveAtMs = Date.now();
    const session = { sessionId, resumeToken };
    this.#enter({ name: 'connected', userId, shard, node, maxMessageBytes, inbox, session });
    for (const command of unanswered) this.#send(command);
  }

  #onSystem({ event, reconnectAfterMs = 0 }) {
    if (event === 'draining') this.#invitedAtMs = Date.now() + reconnectAfterMs;
    if (event === 'token_expiring' && this.#credentials.canRenew) void this.#renewToken();
  }

  async #renewToken() {
    this.#credentials.expire();
    try {
      await this.ask('Auth', { token: await this.#credentials.token() });
    } catch {
      // The connection ends when the token does; the next try says what is wrong.
    }
  }

  #onClosed(code, reason) {
    this.#drop();
    for (const [id, { isKept, onReply }] of this.#unanswered) {
      if (isKept) continue;
      this.#unanswered.delete(id);
      onReply(undefined);
    }
    const why = { code, reason, detail: this.#lastError };
    if (code === tokenExpiredCode) this.#credentials.expire();
    if (mayReconnect(code)) this.#retryLater(why);
    else this.#enter({ name: 'closed', ...why });
  }

  #retryLater(why) {
    const nowMs = Date.now();
    if (nowMs - this.#liveAtMs >= stableAfterMs) this.#attempt = 0;
    this.#liveAtMs = Number.POSITIVE_INFINITY;
    const retryAtMs = this.#invitedAtMs ?? nowMs + backoffMs(this.#attempt++);
    this.#invitedAtMs = undefined;
    this.#retryTimer = setTimeout(() => void this.#connect(), Math.max(0, retryAtMs - nowMs));
    this.#enter({ name: 'waiting', retryAtMs, ...why });
  }

  /** Browsers show no WebSocket pings: without this, a connection cut somewhere on the way would look alive for hours. */
  #beat() {
    if (!this.#isHeard) return this.#onClosed(1006, '');
    this.#isHeard = false;
    if (this.#phase.name === 'connected') this.#socket.send(JSON.stringify({ type: 'Ping' }));
  }

  /** Forgets the socket; its end is no news any more. Without the code of a goodbye the server keeps the session. */
  #drop(code) {
    clearInterval(this.#beatTimer);
    if (this.#socket === undefined) return;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(code);
    this.#socket = undefined;
  }

  #enter(phase) {
    this.#phase = phase;
    this.#listener.onPhase(phase);
  }
}
