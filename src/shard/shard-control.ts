/**
 * The shard's end of the control port: what the primary asks, and what it is told.
 * Thread: shard. Called by workers/shard.ts.
 */
import type { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import type { FailpointName, FromShard, ToShard } from '#proto/control.ts';
import { createLogger } from '../observe/logger.ts';
import { openShard, type Shard, type ShardStart } from './shard.ts';

/** Logs and closed sockets go to the primary in batches, this often: a message costs 5 us, a line in one does not. */
const batchMs = 50;
/** A dying thread's close frames get this long to leave the process. */
const lastWordsMs = 50;

/** Opens the shard and serves `port` until the thread ends. */
export async function runShard(start: ShardStart, port: MessagePort): Promise<void> {
  const batches = new Batches(port);
  const log = createLogger(start.config, { write: (line) => batches.addLine(line) }, `shard ${start.shard}`);
  let shard: Shard | undefined;
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'the shard failed');
    shard?.abandon();
    batches.send();
    setTimeout(() => process.exit(1), lastWordsMs);
  });
  try {
    shard = await openShard(start, log, {
      onClosed: (address) => batches.addClosed(address),
      onKeys: (jwks) => post(port, { kind: 'keys', jwks }),
    });
  } catch (error) {
    post(port, { kind: 'failed', reason: (error as Error).message });
    batches.send();
    process.exit(1);
  }
  const opened = shard;
  port.on('message', (message: ToShard) => onMessage(message, opened, start, port, batches));
  post(port, { kind: 'ready' });
}

function onMessage(
  message: ToShard,
  shard: Shard,
  { config }: ShardStart,
  port: MessagePort,
  batches: Batches,
): void {
  switch (message.kind) {
    case 'socket':
      return shard.adoptSocket(message.socket as Socket, message.address, message.verdict);
    case 'probe':
      return echo(message.socket as Socket);
    case 'link':
      return shard.connectPeer(message.peer, message);
    case 'unlink':
      return shard.disconnectPeer(message.peer);
    case 'drain':
      return void shard.drain(message.timeoutMs).then((sessionCount) => {
        batches.send();
        post(port, { kind: 'drained', sessionCount });
      });
    case 'exit':
      shard.writeLast();
      batches.send();
      return process.exit(0);
    case 'failpoint':
      if (config.failpoints) fail(message.name);
  }
}

/** The start-up self-test: a socket that arrived here can be read and written. */
function echo(socket: Socket): void {
  socket.once('data', (bytes) => socket.end(bytes));
  socket.on('error', () => socket.destroy());
  socket.resume();
}

function fail(name: FailpointName): void {
  if (name === 'shard.exit') process.exit(70);
  if (name === 'shard.throw')
    setImmediate(() => {
      throw new Error('failpoint shard.throw');
    });
  if (name === 'shard.hang') for (;;);
}

/** What can wait a moment, together. */
class Batches {
  readonly #port: MessagePort;
  #lines: string[] = [];
  #addresses: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  addLine(line: string): void {
    this.#lines.push(line);
    this.#schedule();
  }

  addClosed(address: string): void {
    this.#addresses.push(address);
    this.#schedule();
  }

  send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length > 0) post(this.#port, { kind: 'logs', lines: this.#lines });
    if (this.#addresses.length > 0) post(this.#port, { kind: 'closed', addresses: this.#addresses });
    this.#lines = [];
    this.#addresses = [];
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.send(), batchMs);
  }
}

function post(port: MessagePort, message: FromShard): void {
  port.postMessage(message);
}
