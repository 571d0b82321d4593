/**
 * A client of a simulation: a program that reconnects, resends what was not acked, and subscribes with the last offset it
 * has, as the protocol tells it to. It writes down what it sent and saw, and what no client should ever see.
 */
import type { SeenFrame, SimEvent, SimPosition, SimStep } from './sim-events.ts';
import { type InboxEvents, SimInbox } from './sim-inbox.ts';
import type { Dice } from './sim-random.ts';
import type { SimEnvelope, SimWire, WireUser } from './sim-wire.ts';

/** A topic that the client may want. */
export interface Want {
  topic: string;
  /** Only of this event. */
  filter: string | undefined;
  isWanted: boolean;
  state: 'off' | 'asked' | 'live' | 'leaving';
  have: SimPosition | undefined;
  retryAtMs: number;
}

/** What must be accepted in the end, in the order of sending; amendments are tried once. */
interface Command {
  type: 'Broadcast' | 'DirectMessage' | 'Edit' | 'Delete';
  key: string;
  /** By checker key. In an inbox of somebody else the key has an end of its own. */
  places: { topic: string; key: string; body: string; to: string | undefined }[];
  data: Record<string, unknown>;
  state: 'unsent' | 'sent';
  retryAtMs: number;
}

type Expected =
  | { what: 'command'; command: Command }
  | { what: 'subscribe'; want: Want; since: SimPosition | undefined }
  | { what: 'unsubscribe'; want: Want }
  | { what: 'inbox'; since: SimPosition }
  | { what: 'mark' };

export interface ClientWorld {
  nowMs(): number;
  record(event: SimEvent): void;
  connect(who: WireUser): SimWire | undefined;
}

const retryMsMax = 300;
const retryable = new Set(['busy', 'store_unavailable', 'internal', 'rate_limited']);

export class SimClient {
  readonly name: string;
  readonly who: WireUser;
  readonly wants: Want[];
  readonly faults: string[] = [];
  /** Messages of its own that can be edited: acked, durable. */
  readonly mine: { messageId: string; key: string; places: Command['places'] }[] = [];
  readonly inbox: SimInbox;
  isLeaving = false;
  /** Until then it reads nothing. */
  deafUntilMs = 0;
  padBytes = 0;
  wire: SimWire | undefined;
  readonly #world: ClientWorld;
  #isLive = false;
  #connectAtMs = 0;
  #commands: Command[] = [];
  #expected = new Map<string, Expected>();
  #lastId = 0;
  #marks: string[] = [];
  /** What came before `Connect`. */
  #early: SimEnvelope[] = [];

  constructor(name: string, who: WireUser, wants: Want[], world: ClientWorld) {
    this.name = name;
    this.who = who;
    this.wants = wants;
    this.#world = world;
    const events: InboxEvents = {
      record: (step, stream) => this.#record(step, stream),
      fault: (sentence) => this.#fault(sentence),
    };
    this.inbox = new SimInbox(`inbox:${who.user}`, events);
  }

  // ---- what the plan asks for

  publish(topic: string, event: string | undefined): void {
    const key = this.#nextKey('m');
    const data = { topic, payload: this.#payload(key), key, ...(event === undefined ? {} : { event }) };
    this.#enqueue('Broadcast', key, data, [{ topic, key, body: key, to: undefined }]);
  }

  direct(to: string): void {
    const key = this.#nextKey('d');
    const places = [{ topic: `inbox:${this.who.user}`, key, body: key, to }];
    if (to !== this.who.user) places.push({ topic: `inbox:${to}`, key: `${key}>`, body: key, to });
    this.#enqueue('DirectMessage', key, { to, payload: this.#payload(key), key }, places);
  }

  /** A message of its own; the same one is chosen for the same number. */
  amend(type: 'Edit' | 'Delete', choice: number): void {
    const message = this.mine[choice % Math.max(1, this.mine.length)];
    if (message === undefined) return;
    const { messageId, places: found, key: targetKey } = message;
    const key = type === 'Edit' ? this.#nextKey('e') : `x:${messageId}`;
    const places = found.map((place, index) => ({ ...place, key: index === 0 ? key : `${key}>`, body: key }));
    const payload = type === 'Edit' ? { payload: { k: targetKey, v: key } } : {};
    this.#enqueue(type, key, { messageId, ...payload }, places);
  }

  mark(topic: string): void {
    this.#marks.push(topic);
  }

  /** The connection breaks, from this side. */
  drop(dice: Dice): void {
    this.wire?.giveUp(dice);
    this.#onClosed(dice);
  }

  get isAnswered(): boolean {
    return this.#commands.length === 0;
  }

  /** What is missing yet. */
  unsettled(): string | undefined {
    if (this.wire === undefined || !this.#isLive) return 'is not connected';
    const want = this.wants.find(({ isWanted, state }) => state !== (isWanted ? 'live' : 'off'));
    if (want !== undefined) return `has ${want.topic} ${want.state}`;
    if (this.#commands.length > 0) return `has ${this.#commands.length} commands unanswered`;
    if (this.#expected.size > 0) return `waits for ${[...this.#expected.keys()].join(', ')}`;
    return this.wire.toClient.length > 0 ? 'has frames to read' : this.inbox.missing();
  }

  // ---- its turn

  step(dice: Dice): void {
    const nowMs = this.#world.nowMs();
    if (this.wire === undefined) {
      if (this.isLeaving || nowMs < this.#connectAtMs) return;
      this.wire = this.#world.connect(this.who);
      if (this.wire !== undefined) this.#record({ kind: 'connect' });
      return;
    }
    if (nowMs < this.deafUntilMs) return;
    const { toClient, closeCode, pingCount } = this.wire;
    if (toClient.length > 0 || closeCode !== undefined || pingCount > 0) {
      const chunksMax = dice.chance(0.8) ? toClient.length : dice.between(0, toClient.length);
      const { envelopes, closed } = this.wire.receive(chunksMax);
      for (const envelope of envelopes) this.#onEnvelope(envelope);
      if (closed !== undefined) return this.#onClosed(dice);
    }
    if (this.isLeaving) return this.drop(dice);
    if (this.#isLive) this.#say(nowMs, dice);
  }

  #say(nowMs: number, dice: Dice): void {
    const envelopes: object[] = [];
    const say = (type: string, data: object, expected: Expected) => {
      const id = `${this.name}.${++this.#lastId}`;
      this.#expected.set(id, expected);
      envelopes.push({ type, id, data });
    };
    const since = this.inbox.ask(nowMs);
    if (since !== undefined) say('Subscribe', { topic: this.inbox.topic, since }, { what: 'inbox', since });
    for (const want of this.wants) this.#sayWant(want, nowMs, say);
    for (const command of this.#commands) {
      if (command.state === 'sent' || nowMs < command.retryAtMs) continue;
      command.state = 'sent';
      for (const place of command.places) this.#record({ kind: 'invoke', ...place });
      say(command.type, command.data, { what: 'command', command });
    }
    for (const topic of this.#marks.splice(0)) {
      const offset = this.#offsetOf(topic);
      if (offset !== undefined && offset > 0) say('Ack', { topic, offset }, { what: 'mark' });
    }
    if (envelopes.length === 0) return;
    if (dice.chance(0.5)) this.wire?.send(envelopes);
    else for (const envelope of envelopes) this.wire?.send([envelope]);
  }

  #sayWant(want: Want, nowMs: number, say: (type: string, data: object, expected: Expected) => void): void {
    const { topic, filter, have, isWanted, state } = want;
    if (isWanted && state === 'off' && nowMs >= want.retryAtMs) {
      want.state = 'asked';
      const data = {
        ...{ topic, ...(have === undefined ? {} : { since: { ...have } }) },
        ...(filter === undefined ? {} : { filter: { event: filter } }),
      };
      say('Subscribe', data, { what: 'subscribe', want, since: have && { ...have } });
    } else if (!isWanted && (state === 'live' || state === 'asked')) {
      want.state = 'leaving';
      say('Unsubscribe', { topic }, { what: 'unsubscribe', want });
    }
  }

  #offsetOf(topic: string): number | undefined {
    if (topic === this.inbox.topic) return this.inbox.liveOffset;
    const want = this.wants.find((each) => each.topic === topic);
    return want?.state === 'live' ? want.have?.offset : undefined;
  }

  // ---- what it hears

  #onEnvelope(envelope: SimEnvelope): void {
    const { type, id, data } = envelope;
    if (!this.#isLive && !(type === 'Status' && data['op'] === 'Connect')) {
      this.#fault(`${type} came before Connect: ${JSON.stringify(data)}`);
      this.#early.push(envelope);
      return;
    }
    if (type === 'Status' && id === undefined) return this.#onNotice(data);
    if (type === 'Status' || type === 'Error') return this.#onReply(id, type === 'Status', data);
    if (['Broadcast', 'DirectMessage', 'Edited', 'Deleted'].includes(type)) this.#onDelivery(envelope);
  }

  #onNotice(data: Record<string, unknown>): void {
    if (data['op'] === 'Connect') {
      this.#isLive = true;
      this.inbox.onConnect(data['inbox'] as SimPosition | undefined);
      for (const envelope of this.#early.splice(0)) this.#onEnvelope(envelope);
      return;
    }
    const topic = data['topic'] as string;
    if (topic === this.inbox.topic) return this.inbox.onHole();
    this.#record({ kind: 'gap', topic, signal: 'ended' });
    const want = this.wants.find((each) => each.topic === topic);
    if (want?.state !== 'live' && want?.state !== 'leaving')
      return this.#fault(`${topic} ended, and was ${want?.state}`);
    // An Unsubscribe on its way is answered all the same.
    if (want.state !== 'leaving') want.state = 'off';
  }

  #onDelivery({ type, id, data }: SimEnvelope): void {
    const seen: SeenFrame = {
      ...{ type, messageId: id as string, offset: data['offset'] as number, epoch: undefined },
      from: (data['from'] ?? data['by']) as string,
      target: data['messageId'] as string | undefined,
      payload: data['payload'] as SeenFrame['payload'],
      isReplay: data['replay'] === true,
    };
    const topic = data['topic'] as string;
    if (topic === this.inbox.topic) return this.inbox.onDelivery(seen);
    const want = this.wants.find((each) => each.topic === topic);
    this.#record({ kind: 'deliver', topic, ...seen, epoch: want?.have?.epoch });
    if (want?.have !== undefined) want.have.offset = Math.max(want.have.offset, seen.offset);
  }

  #onReply(id: string | undefined, isOk: boolean, data: Record<string, unknown>): void {
    const expected = this.#expected.get(id ?? '');
    this.#expected.delete(id ?? '');
    if (expected === undefined) return this.#fault(`a reply to nothing: ${id} ${JSON.stringify(data)}`);
    const retryAtMs = this.#world.nowMs() + Math.min(retryMsMax, (data['retryAfterMs'] as number) ?? 100);
    const mayRetry = !isOk && retryable.has(data['code'] as string);
    if (data['code'] === 'internal') this.#fault(`an internal error: ${data['message']}`);
    switch (expected.what) {
      case 'command':
        return this.#onCommandReply(expected.command, isOk, mayRetry, retryAtMs, data);
      case 'subscribe':
        if (isOk) return this.#onSubscribed(expected.want, expected.since, data);
        if (expected.want.state !== 'leaving') expected.want.state = 'off';
        expected.want.retryAtMs = retryAtMs;
        if (!mayRetry && data['code'] !== 'not_subscribed') this.#fault(`Subscribe: ${data['message']}`);
        return;
      case 'unsubscribe':
        expected.want.state = 'off';
        if (isOk) this.#record({ kind: 'unsubscribe', topic: expected.want.topic });
        else if (data['code'] !== 'not_subscribed') this.#fault(`Unsubscribe: ${data['message']}`);
        return;
      case 'inbox':
        if (isOk) return this.inbox.onReply(expected.since, data);
        if (!mayRetry) this.#fault(`Subscribe of the inbox: ${data['message']}`);
        return this.inbox.onRefused(retryAtMs);
    }
  }

  #onSubscribed(want: Want, since: SimPosition | undefined, data: Record<string, unknown>): void {
    const { topic, filter } = want;
    const position = positionOf(data);
    // Its Unsubscribe is on the way: answered early, and perhaps before it was there.
    const isLeaving = want.state === 'leaving';
    if (isLeaving && position === undefined) return;
    if (!isLeaving) want.state = 'live';
    if (position === undefined) return this.#fault(`${topic} is subscribed at no position`);
    if (since === undefined) {
      want.have = position;
      this.#record({ kind: 'subscribe', topic, from: { ...position }, filter });
    } else if (data['recovered'] === true) {
      if (since.epoch !== position.epoch) this.#fault(`${topic} recovered across epochs`);
      this.#record({ kind: 'resubscribe', topic, since, filter });
    } else {
      want.have = position;
      this.#record({ kind: 'gap', topic, signal: 'unrecovered', from: { ...position }, since });
      if (data['recovered'] !== false) this.#fault(`${topic}: since was not answered`);
    }
  }

  #onCommandReply(
    command: Command,
    isOk: boolean,
    mayRetry: boolean,
    retryAtMs: number,
    data: Record<string, unknown>,
  ): void {
    const { type, key, places } = command;
    const isAmendment = type === 'Edit' || type === 'Delete';
    if (isOk || !mayRetry || isAmendment) this.#commands = this.#commands.filter((each) => each !== command);
    else Object.assign(command, { state: 'unsent', retryAtMs });
    if (!isOk) {
      // Whether it was accepted is not known then.
      const code = /died/.test(data['message'] as string) ? 'died' : (data['code'] as string);
      for (const place of places) this.#record({ kind: 'reject', key: place.key, code });
      if (!mayRetry && !isAmendment) this.#fault(`${type} ${key}: ${data['message']}`);
      return;
    }
    const messageId = data['messageId'] as string;
    const position = positionOf(data);
    const { topic } = places[0] as Command['places'][0];
    if (isAmendment) {
      if (position === undefined) return this.#fault(`${type} ${key} has no position`);
      return this.#record({ kind: 'amended', places, target: messageId, position });
    }
    this.#record({ kind: 'ack', key, messageId, isDuplicate: data['duplicate'] === true, position });
    if (!topic.startsWith('cache:')) this.mine.push({ messageId, key, places });
  }

  #onClosed(dice: Dice): void {
    if (this.wire === undefined) return;
    this.wire = undefined;
    this.#isLive = false;
    this.#record({ kind: 'close' });
    this.#expected.clear();
    this.#early = [];
    this.inbox.onClosed();
    for (const want of this.wants) want.state = 'off';
    // Whether an amendment arrived is not asked again: it has no key.
    this.#commands = this.#commands.filter(
      ({ type, state }) => state === 'unsent' || type === 'Broadcast' || type === 'DirectMessage',
    );
    for (const command of this.#commands) command.state = 'unsent';
    this.#connectAtMs = this.#world.nowMs() + dice.pick([0, 10, 40, 200]);
  }

  #enqueue(
    type: Command['type'],
    key: string,
    data: Record<string, unknown>,
    places: Command['places'],
  ): void {
    this.#commands.push({ type, key, data, places, state: 'unsent', retryAtMs: 0 });
  }

  #payload(key: string): object {
    return this.padBytes === 0 ? { k: key } : { k: key, pad: 'x'.repeat(this.padBytes) };
  }

  #nextKey(letter: string): string {
    return `${letter}:${this.name}.${++this.#lastId}`;
  }

  #record(step: SimStep, stream: 'live' | 'back' = 'live'): void {
    this.#world.record({ at: this.#world.nowMs(), client: this.name, stream, ...step });
  }

  #fault(sentence: string): void {
    this.faults.push(`${this.name}: ${sentence}`);
  }
}

function positionOf(data: Record<string, unknown>): SimPosition | undefined {
  const { offset, epoch } = data as Partial<SimPosition>;
  return offset === undefined || epoch === undefined ? undefined : { offset, epoch };
}
