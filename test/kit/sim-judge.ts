/**
 * Was a simulated run a good one? What clients saw is made a history for history-checker.ts: entries that a subscription is
 * not owed (its filter leaves them out, or its own session sent them) are filled in from the log, which knows them all; what
 * is shown of a message is held against what it ever was.
 */
import type { TopicKey } from '#proto/names.ts';
import { unpackMsgpack } from '../../src/wire/codec.ts';
import { checkHistory } from './history-checker.ts';
import { type FinalTopic, formatViolations, type HistoryEvent, type Position } from './history-events.ts';
import type { SeenFrame, SimEvent } from './sim-events.ts';
import type { CommittedEntry, SimLog } from './sim-log.ts';
import type { SimWorld } from './sim-world.ts';

/** An entry with what it says. */
interface KnownEntry extends CommittedEntry {
  sender: string;
  body: string;
  payloadKey: string | undefined;
  version: string | undefined;
}

/** One client on one topic, as far as the judge has read. */
interface Reader {
  last: number;
  isOpen: boolean;
  filter: string | undefined;
}

export function judge(world: SimWorld): string[] {
  return new Judge(world).run();
}

class Judge {
  readonly #world: SimWorld;
  readonly #log: SimLog;
  readonly #entries = new Map<string, KnownEntry[]>();
  /** By topic and message id. */
  readonly #byId = new Map<string, KnownEntry>();
  /** By message id what became of it: versions of edits, and `deleted`. */
  readonly #changes = new Map<string, string[]>();
  readonly #readers = new Map<string, Reader>();
  /** Keys sent on the connection that a client has. */
  readonly #sent = new Map<string, Set<string>>();
  readonly #everSent = new Set<string>();
  /** Sent on more than one connection. */
  readonly #resent = new Set<string>();
  readonly #history: HistoryEvent[] = [];
  readonly #faults: string[] = [];

  constructor(world: SimWorld) {
    this.#world = world;
    this.#log = world.log;
    for (const key of this.#log.topics()) {
      const owner = key.includes('|inbox:') ? key.slice(key.indexOf(':') + 1) : undefined;
      const entries = this.#log.committed(key).map((entry) => known(entry, owner));
      this.#entries.set(key, entries);
      for (const entry of entries) this.#know(key, entry);
    }
  }

  #know(key: TopicKey, entry: KnownEntry): void {
    this.#byId.set(`${key}\n${entry.messageId}`, entry);
    if (entry.target === undefined) return;
    const change = entry.kind === 'deleted' ? 'deleted' : (entry.version as string);
    this.#changes.set(entry.target, [...(this.#changes.get(entry.target) ?? []), change]);
  }

  run(): string[] {
    for (const { inbox } of this.#world.clients) inbox.finish();
    for (const event of this.#world.events) this.#read(event);
    this.#fillOpenEnds();
    const violations = checkHistory({
      events: this.#history,
      final: this.#finals(),
      indefiniteCodes: ['internal', 'died'],
    });
    if (violations.length > 0) this.#faults.push(formatViolations(violations, 4));
    return this.#faults;
  }

  /** Who still lacks something at the end, before anything more is said. */
  tails(): string[] {
    this.#readSent();
    const faults: string[] = [];
    for (const { name, who, wants, inbox } of this.#world.clients) {
      const look = (topic: string, last: number, filter: string | undefined) => {
        const key = `${who.tenant}|${topic}`;
        const reader = { last, isOpen: true, filter };
        const behind = (this.#entries.get(key) ?? []).slice(last);
        const owed = behind.find((entry) => !this.#isNotOwed(name, key, entry, reader))?.offset;
        if (owed !== undefined) faults.push(`${name} has ${topic} up to ${last}, not ${owed}`);
      };
      for (const { topic, have, state, filter } of wants) {
        if (state === 'live' && have !== undefined && !topic.startsWith('cache:'))
          look(topic, have.offset, filter);
      }
      if (!inbox.isBlind) look(inbox.topic, inbox.liveOffset, undefined);
    }
    return faults;
  }

  #readSent(): void {
    for (const event of this.#world.events) {
      if (event.kind === 'connect') this.#sent.set(event.client, new Set());
      if (event.kind === 'invoke') this.#sent.get(event.client)?.add(event.body);
    }
  }

  // ---- events

  #read(event: SimEvent): void {
    const { at, client: name, stream } = event;
    const client = stream === 'back' ? `${name}~` : name;
    const tell = (step: object) => this.#history.push({ at, client, ...step } as HistoryEvent);
    switch (event.kind) {
      case 'connect': {
        const tenant = this.#tenantOf(name);
        tell({ kind: 'connect', tenant });
        this.#history.push({ at, client: `${name}~`, kind: 'connect', tenant });
        this.#sent.set(name, new Set());
        return;
      }
      case 'close':
        for (const [id, reader] of this.#readers) {
          if (id.startsWith(`${name}\n`) || id.startsWith(`${name}~\n`)) reader.isOpen = false;
        }
        this.#history.push({ at, client: `${name}~`, kind: 'close' });
        return void tell({ kind: 'close' });
      case 'invoke': {
        const { topic, key, body, to } = event;
        if (this.#everSent.has(body) && this.#sent.get(name)?.has(body) !== true) this.#resent.add(body);
        this.#everSent.add(body);
        this.#sent.get(name)?.add(body);
        return void tell({
          kind: 'invoke',
          topic,
          key,
          sender: senderOf(this.#userOf(name), to, body),
          body,
        });
      }
      case 'ack':
        return this.#readAck(event, tell);
      case 'reject':
        return void tell({ kind: 'reject', key: event.key, code: event.code });
      case 'amended':
        return this.#readAmended(event, tell);
      case 'deliver':
        return this.#readDelivery(client, event, tell);
      default:
        return this.#readSubscription(client, event, tell);
    }
  }

  #readAck(event: SimEvent & { kind: 'ack' }, tell: (step: object) => void): void {
    const { key, messageId, isDuplicate: duplicate, position } = event;
    // A cached topic that was emptied meanwhile knows the message, and not its place.
    if (position !== undefined) tell({ kind: 'ack', key, messageId, duplicate, ...position });
    else if (!duplicate) this.#faults.push(`${event.client}: ${key} was acked without a position`);
  }

  /** The reply names the message that was changed; the entry that says so has an id of its own, in every inbox the same. */
  #readAmended(
    { client, places, target, position }: SimEvent & { kind: 'amended' },
    tell: (step: object) => void,
  ): void {
    const [{ topic, key }] = places as [{ topic: string; key: string }];
    const tenant = this.#tenantOf(client);
    const entry = this.#entries.get(`${tenant}|${topic}`)?.[position.offset - 1];
    if (entry?.target !== target || entry.body !== key) {
      this.#faults.push(
        `${client}: ${key} was acked at ${topic} ${position.offset}, where ${entry?.body} is`,
      );
      return;
    }
    for (const place of places) {
      // Retention may have taken the message from the other inbox: then it was changed in one only.
      const stored = this.#byId.get(`${tenant}|${place.topic}\n${entry.messageId}`);
      if (stored === undefined) continue;
      const { offset, messageId } = stored;
      tell({ kind: 'ack', key: place.key, messageId, duplicate: false, offset, epoch: position.epoch });
    }
  }

  #readSubscription(
    client: string,
    event: SimEvent & { kind: 'subscribe' | 'resubscribe' | 'unsubscribe' | 'gap' },
    tell: (step: object) => void,
  ): void {
    const { topic, kind } = event;
    const id = `${client}\n${topic}`;
    if (kind === 'subscribe') {
      const { from, filter } = event;
      this.#readers.set(id, { last: from?.offset ?? Number.NaN, isOpen: true, filter });
      return tell({ kind, topic, ...(from === undefined ? {} : { from }) });
    }
    if (kind === 'resubscribe') {
      const { since, filter } = event;
      this.#readers.set(id, { last: since.offset, isOpen: true, filter });
      return tell({ kind, topic, since });
    }
    const reader = this.#readers.get(id);
    if (kind === 'unsubscribe') {
      if (reader !== undefined) reader.isOpen = false;
      return tell({ kind, topic });
    }
    const { signal, from, since } = event;
    if (since !== undefined) this.#checkOutOfReach(event.client, topic, since);
    const filter = reader?.filter;
    this.#readers.set(id, { last: from?.offset ?? Number.NaN, isOpen: signal === 'unrecovered', filter });
    tell({ kind, topic, signal, ...(from === undefined ? {} : { from }) });
  }

  /** `recovered: false` is for what retention took. */
  #checkOutOfReach(client: string, topic: string, since: Position): void {
    const key = `${this.#tenantOf(client)}|${topic}` as TopicKey;
    const isStored = since.epoch === this.#log.epoch;
    if (isStored && since.offset + 1 >= this.#log.firstOffset(key))
      this.#faults.push(`${client}: ${topic} ${since.offset} was not recovered, though it is kept`);
  }

  #readDelivery(client: string, event: SimEvent & { kind: 'deliver' }, tell: (step: object) => void): void {
    const { topic, offset, messageId, epoch, from, isReplay } = event;
    const key = `${this.#tenantOf(event.client)}|${topic}`;
    const reader = this.#readers.get(`${client}\n${topic}`);
    if (reader !== undefined) this.#fill(client, key, reader, offset, event.at);
    const entry = this.#byId.get(`${key}\n${messageId}`);
    if (entry !== undefined && !isReplay && topic.startsWith('inbox:')) this.#checkNotOwn(event, entry);
    if (!topic.startsWith('cache:')) this.#checkShown(client, event, entry, reader?.filter);
    const sender = entry?.sender ?? from;
    const body = entry?.body ?? event.payload?.k ?? '?';
    const isKnownEpoch = epoch ?? (topic.startsWith('cache:') ? '?' : this.#log.epoch);
    tell({ kind: 'deliver', topic, isReplay, offset, messageId, epoch: isKnownEpoch, sender, body });
  }

  /** A session gets a reply for what it sent; a copy only where a death made that forgotten, or it was sent before. */
  #checkNotOwn({ client }: SimEvent, { body, kind }: KnownEntry): void {
    const mayBeForgotten = this.#world.counts.has('shard died') || this.#world.counts.has('store died');
    if (mayBeForgotten || kind !== 'message' || this.#resent.has(body)) return;
    if (this.#sent.get(client)?.has(body)) this.#faults.push(`${client}: got ${body}, which it sent itself`);
  }

  /** What this reader is not owed between what it has and `end`, as if it had come. */
  #fill(client: string, key: string, reader: Reader, end: number, at: number): void {
    const entries = this.#entries.get(key);
    const name = client.replace('~', '');
    if (entries !== undefined && reader.isOpen) {
      for (let offset = reader.last + 1; offset < end; offset++) {
        const entry = entries[offset - 1];
        if (entry === undefined || !this.#isNotOwed(name, key, entry, reader)) continue;
        const { messageId, sender, body } = entry;
        const topic = key.slice(key.indexOf('|') + 1);
        const epoch = this.#log.epoch;
        this.#history.push({
          ...{ at, client, kind: 'deliver', topic, epoch, offset, messageId, sender, body, isReplay: false },
        });
      }
    }
    if (Number.isNaN(reader.last) || end > reader.last) reader.last = end;
  }

  #isNotOwed(name: string, key: string, entry: KnownEntry, { filter }: Reader): boolean {
    if (!isLetThrough(entry, filter)) return true;
    const isOwn = key.includes('|inbox:') && entry.kind === 'message' && entry.from === this.#userOf(name);
    return isOwn && this.#sent.get(name)?.has(entry.body) === true;
  }

  #fillOpenEnds(): void {
    for (const [id, reader] of this.#readers) {
      if (!reader.isOpen || Number.isNaN(reader.last)) continue;
      const [client, topic] = id.split('\n') as [string, string];
      if (client.endsWith('~')) continue;
      const key = `${this.#tenantOf(client)}|${topic}`;
      this.#fill(client, key, reader, (this.#entries.get(key)?.length ?? 0) + 1, this.#world.nowMs());
    }
  }

  /** What is shown is what it was, or what it was made. */
  #checkShown(
    client: string,
    seen: SeenFrame,
    entry: KnownEntry | undefined,
    filter: string | undefined,
  ): void {
    const { type, messageId, payload, target } = seen;
    const fault = (what: string): void => void this.#faults.push(`${client}: ${type} ${messageId} ${what}`);
    if (entry === undefined) return fault('is not in the log');
    // What was missed, or is filled in where the home had a gap, is shown as it is by then.
    const changes = this.#changes.get(entry.kind === 'message' ? messageId : (entry.target as string)) ?? [];
    const isDeleted = changes.includes('deleted');
    const isTombstone = type === 'Deleted' && entry.kind === 'message' && target === messageId;
    const types = { message: ['Broadcast', 'DirectMessage'], edited: ['Edited'], deleted: ['Deleted'] };
    if (!isTombstone && !types[entry.kind].includes(type)) return fault(`is ${entry.kind}`);
    if (isTombstone && !isDeleted) return fault('is shown as deleted, and is not');
    if (type === 'Deleted') return;
    if (!isLetThrough(entry, filter)) return fault(`is not what ${filter} lets through`);
    if (type === 'Edited' && target !== entry.target) return fault(`is of ${target}, not ${entry.target}`);
    if (type === 'Edited' && payload === null && isDeleted) return;
    const { k, v } = payload ?? {};
    const isVersion = v === entry.version || (type !== 'Edited' && changes.includes(v as string));
    if (k !== entry.payloadKey || !isVersion)
      fault(`shows ${k} ${v}, not ${entry.payloadKey} ${entry.version}`);
  }

  #finals(): FinalTopic[] {
    return [...this.#entries].map(([key, entries]) => ({
      tenant: key.slice(0, key.indexOf('|')),
      topic: key.slice(key.indexOf('|') + 1),
      epoch: this.#log.epoch,
      messages: entries.map(({ offset, messageId, sender, body }) => ({ offset, messageId, sender, body })),
    }));
  }

  #tenantOf(name: string): string {
    return this.#clientOf(name).tenant;
  }

  #userOf(name: string): string {
    return this.#clientOf(name).user;
  }

  #clientOf(name: string) {
    const index = Number(name.replace('~', '').slice(1));
    return this.#world.clients[index]!.who;
  }
}

/**
 * The order of a sender is promised per topic: of direct messages, per receiver. Of edits and deletions it is not: their
 * messages are looked for first. Each of those is a sender of its own.
 */
function senderOf(from: string, to: string | undefined, body: string): string {
  if (/^[ex]:/.test(body)) return `${from} ${body}`;
  return to === undefined ? from : `${from}>${to}`;
}

function known(entry: CommittedEntry, owner: string | undefined): KnownEntry {
  const payload = unpackMsgpack(entry.payload) as { k?: string; v?: string } | null;
  const bodies = { message: payload?.k, edited: payload?.v, deleted: `x:${entry.target}` };
  const body = bodies[entry.kind] ?? '?';
  const to = entry.from === owner ? (entry.peer ?? owner) : owner;
  const sender = senderOf(entry.from, to, body);
  return { ...entry, sender, body, payloadKey: payload?.k, version: payload?.v };
}

function isLetThrough({ kind, event }: KnownEntry, filter: string | undefined): boolean {
  return filter === undefined || kind !== 'message' || event === filter;
}

export function tails(world: SimWorld): string[] {
  return new Judge(world).tails();
}
