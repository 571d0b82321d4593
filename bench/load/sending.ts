/**
 * Publishes, by the clock or as fast as it comes back. What is due at once on a connection leaves in one write, as a
 * publisher's own loop would write it; the clock ticks every millisecond (the timers' resolution). Measured against one
 * write for each message, 500 subscribers: no difference beyond noise at 4,000/s (uWebSockets 0.41 and 0.40 us a delivery,
 * ours 0.20 and 0.22) and at 10,000/s (0.19 and 0.17, 0.10 and 0.10): servers join by how busy they are, not by reads.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from './clients.ts';
import { monotonicMicroseconds } from './monotonic.ts';
import type { PacedSend, SaturatingSend, SendReport } from './orders.ts';
import type { RawWebSocket } from './raw-websocket.ts';

const tickMs = 1;
/** From the order to the first message, so that the parent has read the clock of the server. */
const startAfterMs = 5;

/** Open loop: when it is late it catches up, and the lateness counts as latency. */
export async function sendPaced(clients: Clients, send: PacedSend): Promise<SendReport> {
  const total = Math.round(send.publishesPerSecond * send.seconds);
  const intervalMicroseconds = 1_000_000 / send.publishesPerSecond;
  const startMicroseconds = monotonicMicroseconds() + startAfterMs * 1000;
  const publishedTo = new Array<number>(send.targetCount).fill(0);
  const random = randomOf(send.seed);
  let lateMaxMicroseconds = 0;
  for (let next = 0; next < total; ) {
    const nowMicroseconds = monotonicMicroseconds();
    const written = new Set<RawWebSocket>();
    for (; next < total; next++) {
      const due = startMicroseconds + next * intervalMicroseconds;
      if (due > nowMicroseconds) break;
      lateMaxMicroseconds = Math.max(lateMaxMicroseconds, nowMicroseconds - due);
      const target = Math.floor(random() * send.targetCount);
      written.add(queueOne(clients, target, random, due));
      publishedTo[target]!++;
    }
    for (const client of written) client.flush();
    await sleep(tickMs);
  }
  return { publishedTo, lateMaxMs: lateMaxMicroseconds / 1000 };
}

function queueOne(clients: Clients, target: number, random: () => number, due: number): RawWebSocket {
  const { kind } = clients.audience;
  const count = clients.all.length;
  // Users are clients of their number here; nobody writes to themselves.
  const sender =
    kind === 'topics'
      ? Math.floor(random() * count)
      : (target + 1 + Math.floor(random() * (count - 1))) % count;
  const dialect = clients.dialectFor(sender);
  const make = kind === 'topics' ? dialect.publication : dialect.direct;
  const client = clients.all[sender] as RawWebSocket;
  client.queue(make(clients.nameOf(target), clients.textDue(due)));
  return client;
}

/**
 * Closed loop: publishes again when deliveries came back, to whichever member. Gated by all members and not by the
 * publisher's own copy: with two shards that one is ahead, and nothing would hold back the link to the slower shard.
 */
export async function saturate(clients: Clients, send: SaturatingSend): Promise<SendReport> {
  const publishedTo = new Array<number>(send.targetCount).fill(0);
  const started = publishedTo.map((_, target) => {
    const members = clients.all.filter((__, index) => clients.audience.targetsOf[index]?.includes(target));
    return saturateTarget(clients, target, members, send.inFlightPerTarget, publishedTo);
  });
  await sleep(send.seconds * 1000);
  for (const stop of started) stop();
  return { publishedTo, lateMaxMs: 0 };
}

/** Client `n` publishes to target `n`, of which it is a member. Answers what ends it. */
function saturateTarget(
  clients: Clients,
  target: number,
  members: RawWebSocket[],
  inFlight: number,
  publishedTo: number[],
): () => void {
  const publisher = clients.all[target] as RawWebSocket;
  const { publication } = clients.dialectFor(target);
  const framesBefore = members.reduce((sum, member) => sum + member.frameCount, 0);
  const publishMore = () => {
    const delivered = members.reduce((sum, member) => sum + member.frameCount, 0) - framesBefore;
    const room = inFlight - (publishedTo[target] as number) + Math.floor(delivered / members.length);
    if (room <= 0) return;
    publishedTo[target]! += room;
    const text = clients.textDue(monotonicMicroseconds());
    publisher.send(Buffer.concat(new Array<Buffer>(room).fill(publication(clients.nameOf(target), text))));
  };
  for (const member of members) member.onFrames = publishMore;
  publishMore();
  return () => {
    for (const member of members) member.onFrames = undefined;
  };
}

/** The same messages in every run: a seeded generator (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
