/**
 * Load of the resume scenario, in a process of its own: sessions that lose their connections and come back at once.
 * A client comes back as soon as its connection has ended, again until it is let in, and names what it has.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce } from './at-once.ts';
import { textDue } from './clients.ts';
import { type Return, RoomMember } from './room-member.ts';
import { command, type Door, openSession } from './sessions.ts';
import { takeOrders } from './take-orders.ts';

export interface EnterOrder {
  do: 'enter';
  port: number;
  /** One of each client, and one more of whoever publishes. */
  tokens: string[];
  roomCount: number;
  localAddress: string;
}

export type ResumeOrder =
  | EnterOrder
  /** Ends all connections. */
  | { do: 'cut' }
  /** One message to every room. */
  | { do: 'publish' }
  /** All that were cut come back; without a cut, whoever loses the connection from now on does. */
  | { do: 'comeBack'; timeoutMs: number }
  /** Answers when every client has got so many messages of each of its rooms. */
  | { do: 'receive'; perRoom: number };

export interface ComeBackReport {
  returned: number;
  /** Why others are not back, and how many. */
  complaints: Record<string, number>;
  /** From the first loss, or the cut's order to come back, to the last return. */
  tookMs: number;
}

export type ResumeReply = { done: true } | { cameBack: ComeBackReport } | { received: ReceivedReport };

export interface ReceivedReport {
  delivered: number;
  expected: number;
  /** Subscriptions that their clients had to make anew. */
  renewed: number;
}

const openAtOnce = 50;
const roomsEach = 2;
const payloadBytes = 100;
/** After the last return, to see whether somebody is lost still. */
const quietMs = 500;
const receiveTimeoutMs = 10_000;

const members: RoomMember[] = [];
let publisherDoor: Door;
let rooms: string[] = [];
let isCut = false;

takeOrders(async (order: ResumeOrder): Promise<ResumeReply> => {
  if (order.do === 'comeBack') return { cameBack: await comeBack(performance.now() + order.timeoutMs) };
  if (order.do === 'receive') return { received: await receive(order.perRoom) };
  if (order.do === 'enter') await enter(order);
  if (order.do === 'publish') await publish();
  if (order.do === 'cut') {
    isCut = true;
    for (const member of members) member.cut();
  }
  return { done: true };
});

async function enter({ port, tokens, roomCount, localAddress }: EnterOrder): Promise<void> {
  rooms = Array.from({ length: roomCount }, (_, room) => `bench:room:${room}`);
  publisherDoor = { port, token: tokens.at(-1) as string, localAddress };
  await atOnce(openAtOnce, tokens.length - 1, async (index) => {
    const own = Array.from({ length: roomsEach }, (_, at) => (index + at) % roomCount);
    const door = { port, token: tokens[index] as string, localAddress };
    const member = new RoomMember(
      door,
      own.map((room) => rooms[room] as string),
    );
    await member.enter();
    members[index] = member;
  });
}

async function publish(): Promise<void> {
  const { socket } = await openSession(publisherDoor);
  const payload = textDue(0, payloadBytes);
  for (const topic of rooms) await command(socket, 'Broadcast', { topic, payload });
  socket.goodbye();
}

function comeBack(deadlineMs: number): Promise<ComeBackReport> {
  const report: ComeBackReport = { returned: 0, complaints: {}, tookMs: 0 };
  const done = Promise.withResolvers<ComeBackReport>();
  let firstMs = Number.POSITIVE_INFINITY;
  let awayCount = 0;
  const onReturn = ({ atMs, complaint }: Return) => {
    awayCount--;
    report.tookMs = Math.max(report.tookMs, atMs - firstMs);
    if (complaint === undefined) report.returned++;
    else report.complaints[complaint] = (report.complaints[complaint] ?? 0) + 1;
    if (awayCount === 0) setTimeout(() => awayCount === 0 && done.resolve(report), quietMs);
  };
  const start = (member: RoomMember, lostAtMs: number) => {
    awayCount++;
    firstMs = Math.min(firstMs, lostAtMs);
    void member.comeBack(deadlineMs).then(onReturn);
  };
  const nowMs = performance.now();
  for (const member of members) {
    member.onLost = (atMs) => start(member, atMs);
    if (isCut) start(member, nowMs);
  }
  isCut = false;
  return done.promise;
}

async function receive(perRoom: number): Promise<ReceivedReport> {
  const expected = members.length * roomsEach * perRoom;
  const delivered = () => members.reduce((sum, { receivedCount }) => sum + receivedCount, 0);
  const deadlineMs = performance.now() + receiveTimeoutMs;
  while (delivered() < expected && performance.now() < deadlineMs) await sleep(5);
  const renewed = members.reduce((sum, { renewedCount }) => sum + renewedCount, 0);
  return { delivered: delivered(), expected, renewed };
}
