/**
 * Load of the fan-out scenario, in a process of its own: subscribers that count, one publisher on an open-loop schedule.
 * Latency is counted from the time at which a message was due, not from when it was sent (coordinated omission).
 * Talks to its parent by IPC: takes one FanoutLoad, answers `ready`, waits for `go`, answers one FanoutResult.
 */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { dialects, type ServerName } from './dialects.ts';
import type { RawWebSocket } from './raw-websocket.ts';

export interface FanoutLoad {
  server: ServerName;
  port: number;
  token: string;
  subscribers: number;
  publishesPerSecond: number;
  payloadBytes: number;
  seconds: number;
}

export interface FanoutResult {
  published: number;
  delivered: number;
  expected: number;
  /** Milliseconds from due to received, of one subscriber. */
  p50Ms: number;
  p99Ms: number;
  /** From the first publication to the last delivery, milliseconds. */
  tookMs: number;
}

process.on('message', (message: FanoutLoad | 'go') => {
  if (message !== 'go') void run(message);
});

async function run(load: FanoutLoad): Promise<void> {
  const dialect = dialects[load.server];
  const clients: RawWebSocket[] = [];
  for (let index = 0; index < load.subscribers; index++) {
    const client = await dialect.open(load.port, load.token);
    await dialect.subscribe(client, 'bench:1');
    clients.push(client);
  }
  const publisher = await dialect.open(load.port, load.token);
  process.send?.('ready');
  await new Promise<void>((resolve) => process.on('message', (message) => message === 'go' && resolve()));

  const latency = createHistogram();
  const before = clients.map((client) => client.frameCount);
  clients[0]!.onPayload = (payload) => {
    const due = /due=(\d+\.\d)/.exec(payload.toString());
    if (due) latency.record(Math.max(1, Math.round((performance.now() - Number(due[1])) * 1000)));
  };
  const startMs = performance.now() + 5;
  const published = await publish(
    load,
    (text) => publisher.send(dialect.publication('bench:1', text)),
    startMs,
  );
  const delivered = () => clients.reduce((sum, client, index) => sum + client.frameCount - before[index]!, 0);
  const expected = published * load.subscribers;
  const deadlineMs = performance.now() + 20_000;
  while (delivered() < expected && performance.now() < deadlineMs) await sleep(2);
  const result: FanoutResult = {
    ...{ published, expected, delivered: delivered(), tookMs: performance.now() - startMs },
    ...{ p50Ms: latency.percentile(50) / 1000, p99Ms: latency.percentile(99) / 1000 },
  };
  process.send?.(result, () => process.exit(0));
}

/** Publishes by the clock: when it is late it catches up, and the lateness counts as latency. */
async function publish(load: FanoutLoad, send: (text: string) => void, startMs: number): Promise<number> {
  const total = Math.round(load.publishesPerSecond * load.seconds);
  const intervalMs = 1000 / load.publishesPerSecond;
  for (let next = 0; next < total; ) {
    const nowMs = performance.now();
    while (next < total && startMs + next * intervalMs <= nowMs) {
      const text = `due=${(startMs + next * intervalMs).toFixed(1)} `;
      send(text.padEnd(load.payloadBytes, 'x'));
      next++;
    }
    const waitMs = startMs + next * intervalMs - performance.now();
    await (waitMs > 2 ? sleep(1) : new Promise((resolve) => setImmediate(resolve)));
  }
  return total;
}
