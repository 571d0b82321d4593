/** Was a simulated run of presence a good one? What devices were told is held against what their plan made true. */

import type { TopicKey } from '#proto/names.ts';
import type { PresenceDevice } from './sim-presence-device.ts';
import { type PresenceEvent, type Word, wordOf } from './sim-presence-events.ts';
import type { PresenceLife } from './sim-presence-life.ts';
import { senderUser } from './sim-presence-plan.ts';
import { clientTimeoutMs, type PresenceWorld } from './sim-presence-world.ts';

/** What happened so long ago may be what somebody hears of now, milliseconds. */
const lookBackMs = 1000;

/** What everyone believes in the end is so, and everyone has what was sent. */
export function judgeEnd(world: PresenceWorld): string[] {
  const faults: string[] = [];
  const truth = new Truth(world);
  for (const { life, name } of world.devices) {
    if (life === undefined) continue;
    for (const [user, word] of life.view.users) {
      if (!life.isFollowing(user)) continue;
      const fact = truth.userWord(user);
      if (word !== fact) faults.push(`${name}: believes that ${user} is "${word}"; it is "${fact}"`);
    }
    for (const [topic, members] of life.view.topics) {
      const [belief, fact] = [members, truth.members(topic)].map((list) => JSON.stringify([...list].sort()));
      if (belief !== fact) faults.push(`${name}: believes that in ${topic} is ${belief}; it is ${fact}`);
    }
    faults.push(...tailsOf(world, life));
  }
  return faults;
}

function tailsOf({ log }: PresenceWorld, life: PresenceLife): string[] {
  const faults: string[] = [];
  const endOf = (topic: string) => log.committed(`t1|${topic}` as TopicKey).length;
  // Where the server goes by what it told, it counts what it told to the other one.
  const isHoleKnown = (topic: string) =>
    life.rival?.holes.has(topic) === true && life.before?.hasPositions === false;
  for (const [topic, { have }] of life.streams) {
    if (!topic.startsWith('chat:') || isHoleKnown(topic)) continue;
    if (have !== undefined && have.offset !== endOf(topic))
      faults.push(`${life.name}: has ${topic} up to ${have.offset}, not ${endOf(topic)}`);
  }
  const inbox = `inbox:${life.user}`;
  const { have } = life.inbox;
  const isJudged = life.user !== senderUser && !isHoleKnown(inbox);
  if (isJudged && have !== undefined && have.offset !== endOf(inbox))
    faults.push(`${life.name}: has its inbox up to ${have.offset}, not ${endOf(inbox)}`);
  return faults;
}

/** By the devices that are there. */
class Truth {
  readonly #world: PresenceWorld;

  constructor(world: PresenceWorld) {
    this.#world = world;
  }

  userWord(user: string): Word {
    return this.#word(this.#devicesOf(user));
  }

  /** Whoever is invisible anywhere is so in all topics. */
  members(topic: string): Map<string, Word> {
    const users = new Set(this.#world.devices.map(({ who }) => who.user));
    const found = new Map<string, Word>();
    for (const user of users) {
      const devices = this.#devicesOf(user);
      const word = this.#word(devices.filter(({ life }) => life?.isMemberOf(topic)));
      if (word !== 'offline' && this.#word(devices) !== 'offline') found.set(user, word);
    }
    return found;
  }

  #devicesOf(user: string): PresenceDevice[] {
    return this.#world.devices.filter(({ who, life }) => who.user === user && life !== undefined);
  }

  #word(devices: PresenceDevice[]): Word {
    const here = devices.map((device) => ({
      id: device.want.deviceId as string,
      status: this.#statusOf(device),
    }));
    const has = (status: string) => here.some((device) => device.status === status);
    if (here.length === 0 || has('offline')) return 'offline';
    return wordOf(has('busy') ? 'busy' : has('online') ? 'online' : 'away', here);
  }

  #statusOf({ want: { status }, life }: PresenceDevice): string {
    if (status === 'invisible') return 'offline';
    const idleMs = this.#world.nowMs() - (life as PresenceLife).lastActiveMs;
    return status === 'online' && idleMs > this.#world.plan.setup.awayAfterMs ? 'away' : status;
  }
}

/** A stretch of time in which a device was somewhere, as far as the server had to know. */
interface Span {
  subject: string;
  fromMs: number;
  untilMs: number;
}

/** Nobody was told that somebody left who did not, or that somebody is there who is invisible. */
export function judgeEvents(world: PresenceWorld): string[] {
  const { spans, hidden } = spansOf(world);
  const faults: string[] = [];
  for (const event of world.events) {
    if (event.kind !== 'heard') continue;
    const { at, of, topic, isThere, life } = event;
    const subject = subjectOf(of, topic);
    const name = topic ?? of;
    const lookBack = [at - lookBackMs, at] as const;
    if (world.hadTrouble(name, at - lookBackMs, at) || world.hadTrouble(of, at - lookBackMs, at)) continue;
    const isHidden = hidden.some((span) => span.subject === of && meets(span, lookBack));
    if (!isThere && !isHidden && isCovered(spans, subject, lookBack))
      faults.push(`${life} was told at ${at} that ${of} left ${topic ?? ''}, who was there all the time`);
    const wasSurely = hidden.some((span) => span.subject === `surely ${of}` && covers(span, lookBack));
    if (isThere && wasSurely)
      faults.push(
        `${life} was told at ${at} that ${of} is there ${topic ?? ''}, who was invisible all the time`,
      );
  }
  return faults;
}

function spansOf(world: PresenceWorld): { spans: Span[]; hidden: Span[] } {
  const { graceMs } = world.plan.setup;
  const spans: Span[] = [];
  const hidden: Span[] = [];
  const byLife = Map.groupBy(
    world.events.filter(({ kind }) => kind !== 'heard'),
    ({ life }) => life,
  );
  for (const [life, events] of byLife) {
    const gone = goneOf(events, world);
    const lostMs = gone.isOver ? gone.atMs : gone.atMs + graceMs;
    const later = successorsOf(life, byLife, world);
    for (const [index, event] of events.entries()) {
      const { at, user } = event;
      if (event.kind === 'here') {
        const taken = later.find(({ kind }) => kind === 'here');
        spans.push({ subject: user, fromMs: at, untilMs: Math.min(lostMs, taken?.at ?? lostMs) });
      }
      if (event.kind === 'member') {
        const left = events.slice(index).find((next) => next.kind === 'left' && next.topic === event.topic);
        const taken = later.find(
          (next) => next.kind === 'took' || (next.kind === 'member' && next.topic === event.topic),
        );
        spans.push({
          subject: subjectOf(user, event.topic),
          fromMs: at,
          untilMs: Math.min(left?.at ?? lostMs, taken?.at ?? lostMs),
        });
      }
      if (event.kind === 'says' && event.status === 'invisible') {
        const next = events.slice(index + 1).find(({ kind }) => kind === 'says');
        const nextAcked = events
          .slice(index + 1)
          .find((then) => then.kind === 'says' && then.isAcked && then.status !== 'invisible');
        hidden.push({
          subject: user,
          fromMs: at,
          untilMs: nextAcked?.at ?? lostMs + clientTimeoutMs + 2 * graceMs,
        });
        if (event.isAcked)
          hidden.push({
            subject: `surely ${user}`,
            fromMs: at,
            untilMs: Math.min(next?.at ?? gone.atMs, gone.atMs),
          });
      }
    }
  }
  return { spans, hidden };
}

/** What the same device did on other connections, later: what it was before does not count beside it. */
function successorsOf(
  life: string,
  byLife: Map<string, PresenceEvent[]>,
  { devices }: PresenceWorld,
): PresenceEvent[] {
  const device = devices.find(({ name }) => life.startsWith(`${name}/`)) as PresenceDevice;
  const beganMs = byLife.get(life)?.[0]?.at ?? 0;
  // Devices without a name are taken for each other, and every new connection is one at first.
  const isSame = (event: PresenceEvent) =>
    event.life.startsWith(`${device.name}/`) ||
    (device.want.deviceId === undefined && event.user === device.who.user);
  const others = [...byLife].filter(
    ([name, [first]]) => name !== life && first !== undefined && isSame(first),
  );
  return others
    .flatMap(([, events]) => events.filter(({ at }) => at > beganMs))
    .sort((one, other) => one.at - other.at);
}

/** When its connection ended: at the latest when its thread did. */
function goneOf(events: PresenceEvent[], { deaths }: PresenceWorld): { atMs: number; isOver: boolean } {
  const here = events.find((event) => event.kind === 'here');
  const gone = events.find((event) => event.kind === 'gone');
  const death = deaths.find(({ shard, atMs }) => shard === here?.shard && atMs >= here.at);
  const atMs = Math.min(gone?.at ?? Number.POSITIVE_INFINITY, death?.atMs ?? Number.POSITIVE_INFINITY);
  return { atMs, isOver: gone?.isOver === true && gone.at === atMs };
}

function subjectOf(user: string, topic: string | undefined): string {
  return topic === undefined ? user : `${topic} ${user}`;
}

function isCovered(spans: Span[], subject: string, [fromMs, untilMs]: readonly [number, number]): boolean {
  let at = fromMs;
  const own = spans
    .filter((span) => span.subject === subject)
    .sort((one, other) => one.fromMs - other.fromMs);
  for (const span of own) if (span.fromMs <= at) at = Math.max(at, span.untilMs);
  return at > untilMs;
}

function meets(span: Span, [fromMs, untilMs]: readonly [number, number]): boolean {
  return span.fromMs <= untilMs && span.untilMs >= fromMs;
}

/** With its end: what changes a state may be heard of in the same tick. */
function covers(span: Span, [fromMs, untilMs]: readonly [number, number]): boolean {
  return span.fromMs <= fromMs && span.untilMs > untilMs;
}
