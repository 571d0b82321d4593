/** A client with two rooms that comes back with `Resume` whenever it lost its connection. Used by resume-load.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Position } from '../../src/wire/message.ts';
import type { RawWebSocket } from './raw-websocket.ts';
import { ask, type Connected, command, type Door, envelopeOf, openSession } from './sessions.ts';

/** How soon a door that is closed is tried again, milliseconds. Whoever is told when to come back comes then. */
const retryMs = 100;

interface ResumedTopic extends Position {
  topic: string;
  recovered: boolean;
}

export interface Return {
  /** performance.now() of the answer. */
  atMs: number;
  /** Its rooms and its inbox are back, with what they got meanwhile; else what is wrong. */
  complaint: string | undefined;
}

export class RoomMember {
  /** Messages of its rooms so far. */
  receivedCount = 0;
  /** Subscriptions that the server had ended, because a topic's home died, and that are back. */
  renewedCount = 0;
  /** When its connection ended without its doing: performance.now(). */
  onLost: ((atMs: number) => void) | undefined;
  readonly #door: Door;
  readonly #rooms: readonly string[];
  /** What it has, by topic. */
  readonly #positions: Record<string, Position> = {};
  #socket: RawWebSocket | undefined;
  #connected: Connected | undefined;
  /** One command at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(door: Door, rooms: readonly string[]) {
    this.#door = door;
    this.#rooms = rooms;
  }

  async enter(): Promise<void> {
    const { socket, connected } = await openSession(this.#door);
    this.#adopt(socket, connected);
    if (connected.inbox !== undefined) this.#positions[`inbox:${connected.userId}`] = connected.inbox;
    for (const topic of this.#rooms) {
      const { offset, epoch } = await command<Position>(socket, 'Subscribe', { topic });
      this.#positions[topic] = { offset, epoch };
    }
  }

  cut(): void {
    this.#socket!.onClosed = undefined;
    this.#socket!.cut();
  }

  /** Tries until it is answered; a connection that ends meanwhile is another try. */
  async comeBack(deadlineMs: number): Promise<Return> {
    for (;;) {
      try {
        const { socket, connected } = await openSession(this.#door);
        const complaint = await this.#resume(socket, connected);
        if (complaint !== 'again') return { atMs: performance.now(), complaint };
      } catch {
        // The door is closed: nobody listens, or the handshake was refused.
      }
      if (performance.now() > deadlineMs) return { atMs: performance.now(), complaint: 'never let in' };
      await sleep(retryMs);
    }
  }

  async #resume(socket: RawWebSocket, connected: Connected): Promise<string | undefined> {
    const { sessionId, resumeToken } = this.#connected as Connected;
    const lost = Promise.withResolvers<undefined>();
    socket.onClosed = () => lost.resolve(undefined);
    socket.onPayload = this.#onPayload;
    const data = { sessionId, resumeToken, positions: this.#positions };
    const asked = Promise.race([ask(socket, 'Resume', data), lost.promise]);
    this.#last = asked;
    const answer = await asked;
    if (answer === undefined) return 'again';
    if (answer.type === 'Error') {
      const { code, retryable } = answer.data as { code: string; retryable: boolean };
      socket.onClosed = undefined;
      socket.cut();
      return retryable ? 'again' : code;
    }
    this.#adopt(socket, connected);
    const { topics } = answer.data as { topics: ResumedTopic[] };
    for (const { topic, offset, epoch } of topics) {
      if (topic in this.#positions) this.#positions[topic] = { offset, epoch };
    }
    const missing = Object.keys(this.#positions).find(
      (name) => !topics.some(({ topic, recovered }) => topic === name && recovered),
    );
    return missing === undefined ? undefined : `${missing.split(':')[0]} not recovered`;
  }

  #adopt(socket: RawWebSocket, connected: Connected): void {
    this.#socket = socket;
    this.#connected = connected;
    socket.onPayload = this.#onPayload;
    socket.onClosed = () => this.onLost?.(performance.now());
  }

  readonly #onPayload = (payload: Buffer): void => {
    const text = payload.toString('latin1');
    if (text.includes('"type":"Broadcast"')) this.#onMessage(text);
    else if (text.includes('"op":"Subscription"')) this.#onEnded(text);
  };

  #onMessage(text: string): void {
    this.receivedCount++;
    const [, topic, offset] = /"topic":"([^"]+)","offset":(\d+)/.exec(text) ?? [];
    const position = this.#positions[topic as string];
    if (position !== undefined) position.offset = Number(offset);
  }

  /** The server says so when the home of a topic died: the client subscribes again behind what it has. */
  #onEnded(text: string): void {
    const { topic } = envelopeOf(text).data as { topic: string };
    const socket = this.#socket as RawWebSocket;
    this.#last = this.#last.then(() => this.#renew(socket, topic));
  }

  async #renew(socket: RawWebSocket, topic: string): Promise<void> {
    while (!socket.isClosed) {
      const { type, data } = await ask(socket, 'Subscribe', { topic, since: this.#positions[topic] });
      if (type === 'Status') {
        this.renewedCount++;
        return;
      }
      await sleep((data as { retryAfterMs?: number }).retryAfterMs ?? retryMs);
    }
  }
}
