/** Sessions that are lost and taken over, as a client's author would do it from the protocol's text. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HashRing } from '../../src/routing/hash-ring.ts';
import { eventually } from './eventually.ts';
import { metricOf } from './metrics.ts';
import { type Envelope, TestClient } from './test-client.ts';
import { tokenOf } from './test-server.ts';

export interface Position {
  offset: number;
  epoch: string;
}

export type Positions = Record<string, Position>;

/** One client of `user`, on that shard of two. */
export async function clientOn(
  url: string,
  shard: number,
  user: string,
  { claims = {}, encoding = 'json' }: { claims?: object; encoding?: 'json' | 'msgpack' } = {},
): Promise<TestClient> {
  for (;;) {
    const client = await TestClient.connect({ url, token: tokenOf(user, claims), encoding });
    if (client.shard === shard) return client;
    await bye(client);
  }
}

/** They say goodbye for good: nothing of them is kept. */
export async function bye(...clients: TestClient[]): Promise<void> {
  for (const client of clients) client.socket.close(1000);
  await Promise.all(clients.map((client) => client.closeCode()));
}

/** A name of this form, of a topic or user of the default tenant, whose home is that shard of two. */
export function homedAt(shard: number, form: (index: number) => string): string {
  for (let index = 0; ; index++) {
    if (ring.shardOf(`default|${form(index)}`) === shard) return form(index);
  }
}

export function connectOf(client: TestClient): Envelope['data'] {
  return client.received.find(({ data }) => data.op === 'Connect')!.data;
}

export async function ok(reply: Promise<Envelope>): Promise<Envelope['data']> {
  const { type, data } = await reply;
  assert.equal(type, 'Status', JSON.stringify(data));
  return data;
}

/** `count` messages to a topic, or to a user where it is their inbox; some under way at a time, in order. */
export async function publish(sender: TestClient, topic: string, count: number): Promise<Envelope['data'][]> {
  const acks: Envelope['data'][] = [];
  for (let first = 0; first < count; first += 10) {
    const numbers = Array.from({ length: Math.min(10, count - first) }, (_, index) => first + index);
    acks.push(...(await Promise.all(numbers.map((payload) => ok(send(sender, topic, payload))))));
  }
  return acks;
}

/** Publishes to all of these, a little at a time, until it is told to stop; that answers the last offset of each. */
export function startStream(sender: TestClient, topics: string[]): () => Promise<Record<string, number>> {
  let isOver = false;
  const last: Record<string, number> = {};
  const running = (async () => {
    while (!isOver) {
      for (const topic of topics) last[topic] = (await publish(sender, topic, 3)).at(-1).offset;
      await sleep(2);
    }
  })();
  return async () => {
    isOver = true;
    await running;
    return last;
  };
}

function send(sender: TestClient, topic: string, payload: unknown): Promise<Envelope> {
  return topic.startsWith('inbox:')
    ? sender.request('DirectMessage', { to: topic.slice('inbox:'.length), payload })
    : sender.request('Broadcast', { topic, payload });
}

/** What a client got of a topic or of its inbox, oldest first. */
export function entriesOf(client: TestClient, topic: string): Envelope['data'][] {
  return client.received
    .filter(({ type, data }) => ['Broadcast', 'DirectMessage'].includes(type) && data.topic === topic)
    .map(({ data }) => data);
}

export function offsetsOf(client: TestClient, topic: string): number[] {
  return entriesOf(client, topic).map(({ offset }) => offset as number);
}

export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** Where a client is with each of its topics, by what it received; `before`: where it was when it took the session over. */
export function positionsOf(client: TestClient, before: Positions = {}): Positions {
  const positions: Positions = { ...before };
  for (const { data } of client.received) {
    const { op, topic, offset, epoch } = data;
    if (op === 'Connect' && data.inbox !== undefined) positions[`inbox:${data.userId}`] ??= data.inbox;
    else if (op === 'Subscribe' && epoch !== undefined) positions[topic] = { offset, epoch };
    else if (op === 'Resume') {
      for (const entry of data.topics as (Position & { topic: string; recovered: boolean })[]) {
        if (entry.recovered || entry.epoch === undefined) continue;
        positions[entry.topic] = { offset: entry.offset, epoch: entry.epoch };
      }
    } else if (op === undefined && positions[topic] !== undefined && typeof offset === 'number') {
      positions[topic] = { offset, epoch: positions[topic].epoch };
    }
  }
  return positions;
}

/** Takes over what `former` had. */
export function resume(client: TestClient, former: TestClient, positions?: Positions): Promise<Envelope> {
  const { sessionId, resumeToken } = connectOf(former);
  return client.request('Resume', {
    ...{ sessionId, resumeToken },
    ...(positions === undefined ? {} : { positions }),
  });
}

/** Cuts their connections; resolves when the server has noticed, and keeps their sessions. */
export async function lose(url: string, ...clients: TestClient[]): Promise<void> {
  const detached = () => metricOf(url, 'sessions_detached');
  const before = await detached();
  for (const client of clients) client.socket.terminate();
  await eventually('the loss is noticed', async () => (await detached()) >= before + clients.length);
}

/**
 * It has exactly the entries from `first` to `last`: the reply before all, what was missed before what is live. An inbox is
 * live from the first frame on: what it got before the reply is not replayed.
 */
export async function gotOnce(
  client: TestClient,
  topic: string,
  { first, last }: { first: number; last: number },
): Promise<void> {
  await client.until(() => new Set(offsetsOf(client, topic)).size >= last - first + 1);
  const offsets = offsetsOf(client, topic);
  const reply = client.received.findIndex(({ data }) => data.op === 'Resume');
  const early = topic.startsWith('inbox:') ? earlierThan(client, topic, reply) : 0;
  assert.deepEqual(offsets.slice(0, early).toSorted(byNumber), offsets.slice(0, early), topic);
  const expected = upTo(last, first).filter((offset) => !offsets.slice(0, early).includes(offset));
  assert.deepEqual(offsets.slice(early), expected, `${topic}, behind ${early} before the reply`);
  inOrder(client, topic, early);
}

/** The reply to `Resume` before everything of the topic but `early`, replay before live. */
export function inOrder(client: TestClient, topic: string, early = 0): void {
  const reply = client.received.findIndex(({ data }) => data.op === 'Resume');
  assert.ok(reply >= 0 && earlierThan(client, topic, reply) === early, `${topic}: the reply goes before`);
  const marks = entriesOf(client, topic)
    .slice(early)
    .map(({ replay }) => replay === true);
  const firstLive = marks.indexOf(false);
  assert.ok(firstLive < 0 || !marks.includes(true, firstLive), `${topic}: replay goes before live`);
}

function earlierThan(client: TestClient, topic: string, index: number): number {
  const isEntry = ({ type, data }: Envelope) =>
    ['Broadcast', 'DirectMessage'].includes(type) && data.topic === topic;
  return client.received.slice(0, index).filter(isEntry).length;
}

function byNumber(one: number, other: number): number {
  return one - other;
}

const ring = new HashRing(2);
