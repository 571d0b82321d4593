/**
 * Load of the scenarios about the store, in a process of its own: publishers who wait for acks, clients who come back.
 * Takes orders by IPC, one after the other, and answers each; ends with its parent.
 */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce } from './at-once.ts';
import { textDue } from './clients.ts';
import { dialectOf } from './dialects.ts';
import type { AckOrder, AckReport, ComeBackOrder, ComeBackReport, LogOrder, LogReply } from './log-orders.ts';
import { maskedFrame, type RawWebSocket } from './raw-websocket.ts';

export type { LogOrder, LogReply } from './log-orders.ts';

const openAtOnce = 50;
const tickMs = 1;
const drainTimeoutMs = 20_000;
const comeBackTimeoutMs = 60_000;
const topicOfAbsence = 'bench:absence';
/** Where the clients of `comeBack` start from, and who they are. */
let position: { offset: number; epoch: string };
let returning: RawWebSocket[] = [];

process.on('message', (order: LogOrder) => {
  carryOut(order).then(
    (reply) => process.send?.(reply),
    (error: Error) => {
      console.error(`bench: the load failed: ${error.message}`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));

async function carryOut(order: LogOrder): Promise<LogReply> {
  if (order.do === 'acks') return { acks: await publishForAcks(order) };
  if (order.do === 'comeBack') return { cameBack: await comeBack(order) };
  await prepare(order.order);
  return { prepared: true };
}

function openAll(
  { port, tokens }: { port: number; tokens: string[] },
  count: number,
): Promise<RawWebSocket[]> {
  const clients: RawWebSocket[] = [];
  return atOnce(openAtOnce, count, async (index) => {
    const token = tokens[index % tokens.length] as string;
    clients[index] = await dialectOf('carillon').open({ port, token });
  }).then(() => clients);
}

async function publishForAcks(order: AckOrder): Promise<AckReport> {
  const clients = await openAll(order, order.publisherCount);
  const latency = createHistogram();
  const report = { acked: 0, refused: 0, lateMaxMs: 0 };
  const publishers = clients.map((client, index) => new Publisher(client, index, order.payloadBytes));
  let onAck = (_publisher: Publisher) => {};
  for (const publisher of publishers) {
    publisher.client.onPayload = (payload) => {
      const dueMs = publisher.settle(payload);
      if (dueMs === undefined) return;
      if (payload.includes('"Status"')) report.acked++;
      else report.refused++;
      latency.record(Math.max(1, Math.round((performance.now() - dueMs) * 1000)));
      onAck(publisher);
    };
  }
  const startedMs = performance.now();
  if ('publishesPerSecond' in order.pace) {
    report.lateMaxMs = await pace(publishers, order.pace.publishesPerSecond, order.seconds);
  } else {
    onAck = (publisher) => {
      if (performance.now() - startedMs < order.seconds * 1000) publisher.publish(performance.now());
    };
    for (const publisher of publishers) {
      for (let count = 0; count < order.pace.unackedPerPublisher; count++)
        publisher.publish(performance.now());
    }
    await sleep(order.seconds * 1000);
  }
  await allSettled(publishers);
  const tookMs = performance.now() - startedMs;
  return { ...report, tookMs, p50Ms: latency.percentile(50) / 1000, p99Ms: latency.percentile(99) / 1000 };
}

/** Open loop: when it is late it catches up, and the lateness counts as latency. */
async function pace(publishers: Publisher[], perSecond: number, seconds: number): Promise<number> {
  const startMs = performance.now();
  const total = perSecond * seconds;
  let lateMaxMs = 0;
  for (let next = 0; next < total; ) {
    const nowMs = performance.now();
    for (; next < total; next++) {
      const dueMs = startMs + (next * 1000) / perSecond;
      if (dueMs > nowMs) break;
      lateMaxMs = Math.max(lateMaxMs, nowMs - dueMs);
      (publishers[next % publishers.length] as Publisher).publish(dueMs);
    }
    await sleep(tickMs);
  }
  return lateMaxMs;
}

async function allSettled(publishers: Publisher[]): Promise<void> {
  const deadlineMs = performance.now() + drainTimeoutMs;
  while (publishers.some(({ isWaiting }) => isWaiting)) {
    if (performance.now() > deadlineMs) throw new Error('acks did not come');
    await sleep(1);
  }
}

/** One client, its topic, and what it waits for. */
class Publisher {
  readonly client: RawWebSocket;
  readonly #topic: string;
  readonly #payloadBytes: number;
  /** When each unacked message was due, by its id. */
  readonly #due = new Map<string, number>();
  #last = 0;

  constructor(client: RawWebSocket, index: number, payloadBytes: number) {
    this.client = client;
    this.#topic = `bench:${index}`;
    this.#payloadBytes = payloadBytes;
  }

  get isWaiting(): boolean {
    return this.#due.size > 0;
  }

  publish(dueMs: number): void {
    const id = `${process.pid}-${++this.#last}`;
    this.#due.set(id, dueMs);
    const payload = 'x'.repeat(this.#payloadBytes);
    this.client.send(
      maskedFrame(JSON.stringify({ type: 'Broadcast', id, data: { topic: this.#topic, payload } })),
    );
  }

  /** When the answered message was due; undefined for anything else. */
  settle(payload: Buffer): number | undefined {
    const id = /"id":"([^"]+)"/.exec(payload.toString('latin1', 0, 80))?.[1] ?? '';
    const dueMs = this.#due.get(id);
    this.#due.delete(id);
    return dueMs;
  }
}

/** The messages that will have been missed, and the clients, connected. */
async function prepare(order: ComeBackOrder): Promise<void> {
  const [publisher] = await openAll(order, 1);
  for (let count = 0; count <= order.missed; count++) {
    const data = { topic: topicOfAbsence, payload: textDue(0, order.payloadBytes) };
    const acked = (publisher as RawWebSocket).next((payload) => payload.includes('"Status"'));
    (publisher as RawWebSocket).send(
      maskedFrame(JSON.stringify({ type: 'Broadcast', id: `m-${count}`, data })),
    );
    const { data: ack } = JSON.parse(await acked) as { data: typeof position };
    if (count === 0) position = ack;
  }
  returning = await openAll(order, order.clientCount);
}

async function comeBack({ clientCount, missed }: ComeBackOrder): Promise<ComeBackReport> {
  const expected = clientCount * missed;
  const answered = new Set<RawWebSocket>();
  for (const client of returning) {
    client.onPayload = (payload) => {
      if (payload.includes('"Subscribe"')) answered.add(client);
    };
  }
  const before = returning.reduce((sum, client) => sum + client.frameCount, 0);
  const recovered = () =>
    returning.reduce((sum, client) => sum + client.frameCount, 0) - before - answered.size;
  const since = { offset: position.offset, epoch: position.epoch };
  const frame = maskedFrame(
    JSON.stringify({ type: 'Subscribe', id: 's', data: { topic: topicOfAbsence, since } }),
  );
  const startedMs = performance.now();
  for (const client of returning) client.send(frame);
  const deadlineMs = startedMs + comeBackTimeoutMs;
  const isDone = () => answered.size === clientCount && recovered() >= expected;
  while (!isDone() && performance.now() < deadlineMs) await sleep(1);
  return { recovered: recovered(), expected, tookMs: performance.now() - startedMs };
}
