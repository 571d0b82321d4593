/**
 * The public port: accepts sockets paused, and never reads them.
 * Thread: primary. Made by server.ts, after the shards are ready.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { normalAddress } from '#kit/address.ts';
import type { Clock } from '#kit/clock.ts';
import type { Admission } from './admission.ts';
import { handOver } from './handover.ts';
import { HandoverPace } from './handover-pace.ts';
import { Placement } from './placement.ts';
import type { ShardDirectory } from './ports.ts';

/** Connections that the kernel may hold for us while a burst is accepted. */
const backlog = 4096;

export interface ListenerContext {
  shards: ShardDirectory;
  admission: Admission;
  clock: Clock;
  /** The listener failed (out of descriptors, say) but goes on. */
  onError: (error: Error) => void;
}

export interface Listener {
  /** Where it listens. */
  readonly port: number;
  /** No new sockets; those handed over live on. */
  stop(): Promise<void>;
}

/** Rejects when the port cannot be had. */
export async function openListener(host: string, port: number, ctx: ListenerContext): Promise<Listener> {
  const placement = new Placement(ctx.shards.shardCount);
  const pace = new HandoverPace(ctx.shards.shardCount, (socket) => onSocket(socket, placement, ctx));
  const server = createServer({ pauseOnConnect: true }, (socket) => pace.push(socket));
  await listen(server, host, port);
  server.on('error', ctx.onError);
  let stopped: Promise<void> | undefined;
  return {
    port: (server.address() as { port: number }).port,
    stop() {
      stopped ??= new Promise((resolve) => server.close(() => resolve()));
      return stopped;
    },
  };
}

function onSocket(socket: Socket, placement: Placement, { shards, admission, clock }: ListenerContext): void {
  // Reset between accept and here: there is no peer any more.
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) return void socket.destroy();
  const address = normalAddress(socket.remoteAddress);
  const verdict = admission.judge(address, clock.monotonicMs());
  if (verdict === 'destroy') return void socket.destroy();
  handOver(socket, { address, port: socket.remotePort }, verdict, { shards, placement, admission });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
