/**
 * Adopts sockets that the primary accepted: feeds them to the HTTP server of this shard, unread as they came.
 * Thread: shard. Called by shard-control.ts. Remembers what admission said of a socket until it is upgraded, and tells
 * the primary when it is gone.
 */
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '#kit/clock.ts';
import type { TimerEntry, TimerToken, TimerWheel } from '#kit/timer-wheel.ts';
import type { AdmissionVerdict } from '#proto/control.ts';
import { reshape } from './arrived-socket.ts';

/**
 * A socket that has not become a request by then is destroyed: the second wall behind headersTimeout, which Node applies
 * only to servers that it believes to listen (reliability reference, finding 4). Milliseconds.
 */
const firstRequestMs = 15_000;
/**
 * Sockets of one turn of the event loop: their handshakes come together, 0.2 ms each, and whoever is connected already
 * waits behind them. The others wait unread. Without it 5,000 who came back at once stopped a shard for 600 ms.
 */
const adoptionsPerTurn = 8;

interface Arrived {
  socket: Socket;
  address: string;
  verdict: AdmissionVerdict;
}

export interface SocketIntakeContext {
  server: HttpServer | HttpsServer;
  clock: Clock;
  timers: TimerWheel;
  /** A socket that counts towards admission is gone. */
  onClosed(address: string): void;
}

export class SocketIntake {
  readonly #ctx: SocketIntakeContext;
  /** By `address|port` of the peer, which a TLS socket shares with the TCP socket below it. */
  readonly #sockets = new Map<string, AdoptedSocket>();
  /** Bounded by admission, which counts them. */
  #arrived: Arrived[] = [];
  #isTurnAsked = false;

  constructor(ctx: SocketIntakeContext) {
    this.#ctx = ctx;
    ctx.server.on('request', (request) => this.stopWaiting(request.socket));
  }

  /** In the order of the calls, some in each turn. */
  adopt(socket: Socket, address: string, verdict: AdmissionVerdict): void {
    this.#arrived.push({ socket, address, verdict });
    this.#askForTurn();
  }

  #askForTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    setImmediate(() => {
      this.#isTurnAsked = false;
      for (const arrived of this.#arrived.splice(0, adoptionsPerTurn)) this.#adopt(arrived);
      if (this.#arrived.length > 0) this.#askForTurn();
    });
  }

  #adopt({ socket: arrived, address, verdict }: Arrived): void {
    const socket = reshape(arrived);
    socket.setNoDelay(true);
    const key = keyOf(socket);
    const adopted = new AdoptedSocket(socket, verdict, this.#ctx);
    this.#sockets.set(key, adopted);
    socket.on('close', () => {
      adopted.stopWaiting();
      if (this.#sockets.get(key) === adopted) this.#sockets.delete(key);
      this.#ctx.onClosed(address);
    });
    this.#ctx.server.emit('connection', socket);
    socket.resume(); // it was accepted paused
  }

  /** What admission said when it was accepted. */
  verdictOf(socket: Duplex): AdmissionVerdict {
    return this.#sockets.get(keyOf(socket as Socket))?.verdict ?? 'admitted';
  }

  /** It has become a request or a WebSocket, whose own timeouts watch it from here on. */
  stopWaiting(socket: Duplex): void {
    this.#sockets.get(keyOf(socket as Socket))?.stopWaiting();
  }
}

class AdoptedSocket implements TimerEntry {
  readonly verdict: AdmissionVerdict;
  readonly #socket: Socket;
  readonly #timers: TimerWheel;
  #timer: TimerToken | undefined;

  constructor(socket: Socket, verdict: AdmissionVerdict, { timers, clock }: SocketIntakeContext) {
    this.verdict = verdict;
    this.#socket = socket;
    this.#timers = timers;
    this.#timer = timers.schedule(clock.monotonicMs() + firstRequestMs, this);
  }

  stopWaiting(): void {
    if (this.#timer !== undefined) this.#timers.cancel(this.#timer);
    this.#timer = undefined;
  }

  onDeadline(): void {
    this.#timer = undefined;
    this.#socket.destroy();
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}
