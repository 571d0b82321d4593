/**
 * Adopts sockets that the primary accepted: feeds them to the HTTP server of this shard when they have said something.
 * Thread: shard. Called by shard-control.ts. Remembers what admission said of a socket until it is upgraded, and tells
 * the primary when it is gone.
 * Who asks for a WebSocket waits behind those who have one, when many come at once: their handshakes are deferred. What
 * is for the HTTP endpoint, of whoever watches this server as well, is not.
 */
import type { Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '#kit/clock.ts';
import type { TimerEntry, TimerToken, TimerWheel } from '#kit/timer-wheel.ts';
import type { AdmissionVerdict } from '#proto/control.ts';
import type { Runnable, SchedulePort } from '../session/ports.ts';
import { ArrivedSocket, type FirstBytesReader, reshape } from './arrived-socket.ts';

/**
 * A socket that has not become a request by then is destroyed: the second wall behind headersTimeout, which Node applies
 * only to servers that it believes to listen (reliability reference, finding 4). Milliseconds.
 */
const firstRequestMs = 15_000;
/** Sockets of one turn of the event loop, 0.05 ms each: whoever is connected already waits behind them. */
const adoptionsPerTurn = 8;
/** More than headers may have is for the HTTP server to refuse. */
const heldBytesMax = 16 * 1024;
const webSocketPath = 'GET /ws';

const addressKey = Symbol('address');
const adoptedKey = Symbol('adopted');
type CountedSocket = Socket & { [addressKey]?: string; [adoptedKey]?: AdoptedSocket | undefined };

interface Arrived {
  socket: Socket;
  address: string;
  verdict: AdmissionVerdict;
}

export interface SocketIntakeContext {
  server: HttpServer | HttpsServer;
  clock: Clock;
  timers: TimerWheel;
  schedule: Pick<SchedulePort, 'requestSlice'>;
  /** A socket that counts towards admission is gone. */
  onClosed(address: string): void;
}

export class SocketIntake {
  readonly #ctx: SocketIntakeContext;
  /**
   * Where there is TLS: by `address|port` of the peer, which a TLS socket shares with the TCP socket below it. (Asking a
   * socket for its peer is a system call, and two objects for as long as it lives.)
   */
  readonly #belowTls = new Map<string, AdoptedSocket>();
  /** Bounded by admission, which counts them. */
  #arrived: Arrived[] = [];
  #isTurnAsked = false;
  /** The listener of all of them, called on the socket. */
  readonly #onClosed: (this: CountedSocket) => void;

  constructor(ctx: SocketIntakeContext) {
    this.#ctx = ctx;
    const forget = (adopted: AdoptedSocket) => this.#forget(adopted);
    this.#onClosed = function (this: CountedSocket) {
      if (this[adoptedKey] !== undefined) forget(this[adoptedKey]);
      ctx.onClosed(this[addressKey] as string);
    };
    ctx.server.on('request', ({ socket }) => this.#adoptedAs(socket)?.stopWaiting());
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
    // As servers of their kind accept them.
    const socket: CountedSocket = reshape(arrived, { allowHalfOpen: !this.#isTls });
    socket.setNoDelay(true);
    const adopted = new AdoptedSocket(socket, verdict, this.#ctx);
    socket[addressKey] = address;
    socket[adoptedKey] = adopted;
    if (this.#isTls) this.#belowTls.set(keyOf(socket), adopted);
    socket.on('close', this.#onClosed);
    adopted.listen();
  }

  /** What admission said when it was accepted. */
  verdictOf(socket: Duplex): AdmissionVerdict {
    return this.#adoptedAs(socket)?.verdict ?? 'admitted';
  }

  /** It has become a WebSocket, which others watch from here on; its address is all that is remembered. */
  onUpgraded(socket: Duplex): void {
    const adopted = this.#adoptedAs(socket);
    if (adopted !== undefined) this.#forget(adopted);
  }

  get #isTls(): boolean {
    return this.#ctx.server instanceof HttpsServer;
  }

  /** Itself, or the TCP socket below it. */
  #adoptedAs(socket: CountedSocket | Duplex): AdoptedSocket | undefined {
    const itself = (socket as CountedSocket)[adoptedKey];
    return itself === undefined && this.#isTls ? this.#belowTls.get(keyOf(socket as Socket)) : itself;
  }

  #forget(adopted: AdoptedSocket): void {
    adopted.stopWaiting();
    adopted.socket[adoptedKey] = undefined;
    if (!this.#isTls) return;
    // Its port may be another's already.
    const key = keyOf(adopted.socket);
    if (this.#belowTls.get(key) === adopted) this.#belowTls.delete(key);
  }
}

/** From its arrival to its first request. */
class AdoptedSocket implements TimerEntry, Runnable, FirstBytesReader {
  readonly socket: CountedSocket;
  readonly verdict: AdmissionVerdict;
  readonly row = 'deferred';
  readonly #ctx: SocketIntakeContext;
  #firstBytes: Buffer | undefined;
  #timer: TimerToken | undefined;

  constructor(socket: CountedSocket, verdict: AdmissionVerdict, ctx: SocketIntakeContext) {
    this.socket = socket;
    this.verdict = verdict;
    this.#ctx = ctx;
    this.#wait();
  }

  /** It was accepted paused, and stays so until the HTTP server has it. */
  listen(): void {
    if (!(this.socket instanceof ArrivedSocket)) return this.#feed(Buffer.alloc(0)); // used as it came
    this.socket.on('error', ignore);
    this.socket.on('end', destroyIt);
    this.socket.firstBytesReader = this;
    this.socket.read(0);
  }

  stopWaiting(): void {
    if (this.#timer !== undefined) this.#ctx.timers.cancel(this.#timer);
    this.#timer = undefined;
  }

  onDeadline(): void {
    this.#timer = undefined;
    this.socket.destroy();
  }

  /** Called by the duty cycle. */
  runSlice(): boolean {
    if (this.socket.destroyed || this.#firstBytes === undefined) return false;
    this.#wait();
    this.#feed(this.#firstBytes);
    this.#firstBytes = undefined;
    return false;
  }

  onFirstBytes(bytes: Buffer): void {
    if (!this.#mayBeWebSocket(bytes)) return this.#feed(bytes);
    this.#firstBytes = bytes;
    this.stopWaiting(); // it waits for us
    this.#ctx.schedule.requestSlice(this);
  }

  /** Through TLS it cannot be told. */
  #mayBeWebSocket(firstBytes: Buffer): boolean {
    if (firstBytes.length > heldBytesMax) return false;
    if (this.#ctx.server instanceof HttpsServer) return true;
    return firstBytes.toString('latin1', 0, webSocketPath.length) === webSocketPath;
  }

  /** An HTTP server has read them when this returns; a TLS server reads by itself, first what is there already. */
  #feed(firstBytes: Buffer): void {
    const socket = this.socket;
    const { server } = this.#ctx;
    socket.off('error', ignore);
    socket.off('end', destroyIt);
    if (server instanceof HttpsServer) {
      if (firstBytes.length > 0) socket.push(firstBytes);
      server.emit('connection', socket);
      return;
    }
    server.emit('connection', socket);
    socket.resume();
    if (firstBytes.length > 0) socket.push(firstBytes);
  }

  #wait(): void {
    const { clock, timers } = this.#ctx;
    this.#timer = timers.schedule(clock.monotonicMs() + firstRequestMs, this);
  }
}

/** One function for all sockets, which keeps nothing of them alive. */
function ignore(): void {}
function destroyIt(this: Socket): void {
  this.destroy();
}

/** Also of one that is closed: Node remembers the peer that it was asked for. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}
