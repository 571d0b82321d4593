/**
 * One connection of a simulated device, from its beginning to its end: what its client asks for until the server has what is
 * wanted, and what it is told.
 */
import type { SimPosition } from './sim-events.ts';
import {
  type PresenceEvent,
  type PresenceStep,
  PresenceView,
  type ToldPresence,
} from './sim-presence-events.ts';
import { type Delivery, InboxStream, TopicStream } from './sim-presence-streams.ts';
import {
  difference,
  firstWrong,
  type Part,
  type SessionNameOf,
  type State,
  type ToldTopic,
  type Want,
} from './sim-presence-wants.ts';
import type { Dice } from './sim-random.ts';
import type { SimEnvelope, SimWire } from './sim-wire.ts';

/** What a connection goes on from. */
export interface Before {
  name: SessionNameOf;
  hasPositions: boolean;
  life: PresenceLife;
  lostAtMs: number;
}

export interface LifeWorld {
  nowMs(): number;
  record(event: PresenceEvent): void;
  /** What was acked so long ago has come to where it is kept. */
  readonly keptAfterMs: number;
  /** What the home of `name` knew may be lost, or came late. */
  hadTrouble(name: string, sinceMs: number): boolean;
}

type OnReply = (data: Record<string, unknown>, isOk: boolean) => void;
/** Another connection has the session. */
const replaced = 4503;
const retryMsMax = 300;
const retryable = new Set(['busy', 'store_unavailable', 'internal', 'rate_limited']);

export class PresenceLife {
  readonly name: string;
  readonly user: string;
  readonly wire: SimWire;
  readonly view: PresenceView;
  readonly inbox = new InboxStream();
  readonly streams = new Map<string, TopicStream>();
  readonly faults: string[] = [];
  /** Undefined until `Connect`. */
  session: SessionNameOf | undefined;
  /** Undefined while it is open, as far as the client knows. */
  closed: number | undefined;
  resume: 'none' | 'wanted' | 'asked' | 'done' | 'failed';
  lastActiveMs = 0;
  /** Another connection that asked for the same session at the same time. */
  rival: PresenceLife | undefined;
  /** Topics of which it has not got what it missed, and was told so. */
  readonly holes = new Set<string>();
  readonly before: Before | undefined;
  readonly #want: Want;
  readonly #world: LifeWorld;
  readonly #follows = new Map<string, Part>();
  readonly #topics = new Map<string, Part>();
  #said: { word: string; state: State; ackedAtMs: number } = { word: 'online -', state: 'on', ackedAtMs: 0 };
  readonly #expected = new Map<string, OnReply>();
  /** Of what is resumed, what the reply did not name: its end must be told. */
  readonly #lacking = new Set<string>();
  #lastId = 0;
  #retryAtMs = 0;

  constructor(
    name: string,
    wire: SimWire,
    { want, world, before }: { want: Want; world: LifeWorld; before: Before | undefined },
  ) {
    this.name = name;
    this.user = wire.who.user;
    this.wire = wire;
    this.#want = want;
    this.#world = world;
    this.before = before;
    this.lastActiveMs = world.nowMs();
    this.resume = before === undefined ? 'none' : 'wanted';
    this.view = new PresenceView(before?.life.view);
  }

  /** The session that it asked for may be its own: it was not refused, and not told that another one has it. */
  get mayHaveTaken(): boolean {
    return (this.resume === 'asked' || this.resume === 'done') && this.closed !== replaced;
  }

  get isReady(): boolean {
    return (
      this.session !== undefined &&
      this.closed === undefined &&
      this.resume !== 'wanted' &&
      this.resume !== 'asked'
    );
  }

  /** Members of it see its user in those. */
  isMemberOf(topic: string): boolean {
    return this.#topics.get(topic)?.state === 'on';
  }

  isFollowing(user: string): boolean {
    return this.#follows.get(user)?.state === 'on';
  }

  /** What is not as it is wanted. */
  unsettled(): string | undefined {
    if (!this.isReady) return `is ${this.session === undefined ? 'not connected' : this.resume}`;
    if (this.#said.state !== 'on' || this.#said.word !== this.#wantedWord) return `says ${this.#said.word}`;
    for (const lost of this.#lacking)
      this.faults.push(`${this.name}: was resumed without ${lost}, and not told`);
    this.#lacking.clear();
    const follow = firstWrong(this.#want.follows, this.#follows);
    if (follow !== undefined) return `follows ${follow} wrongly`;
    const topic = firstWrong(this.#want.topics, this.#topics);
    if (topic !== undefined) return `has ${topic} wrongly`;
    if (this.#expected.size > 0) return 'waits for replies';
    return this.wire.toClient.length > 0 ? 'has frames to read' : undefined;
  }

  // ---- its turn

  read(dice: Dice): void {
    const { toClient, closeCode, pingCount } = this.wire;
    if (toClient.length === 0 && closeCode === undefined && pingCount === 0) return;
    const { envelopes, closed } = this.wire.receive(
      dice.chance(0.8) ? toClient.length : dice.between(0, toClient.length),
    );
    for (const envelope of envelopes) this.#onEnvelope(envelope);
    if (closed !== undefined) this.end(closed, closed === replaced);
  }

  /** The client knows that it is over. */
  end(code: number, isOver: boolean): void {
    if (this.closed !== undefined) return;
    this.closed = code;
    this.record({ kind: 'gone', isOver });
  }

  /** It is the device's goodbye to whatever the server has of this connection, heard of or not. */
  sayGoodbye(): void {
    if (this.session === undefined) this.record({ kind: 'here', shard: this.wire.server.shardId });
    if (this.resume === 'asked') this.record({ kind: 'took' });
    for (const [topic, { state }] of this.#topics)
      if (state === 'asked') this.record({ kind: 'member', topic });
    this.wire.sayGoodbye();
    this.end(1000, true);
  }

  /** Asks for what is wanted and not there. */
  ask(): void {
    if (this.session === undefined || this.#world.nowMs() < this.#retryAtMs) return;
    if (this.resume === 'wanted') return this.#askResume(this.before as Before);
    if (!this.isReady) return;
    this.#askStatus();
    this.#askFollows();
    this.#askTopics();
  }

  send(type: string, data: object, onReply: OnReply = () => {}): void {
    const id = `${this.name}.${++this.#lastId}`;
    this.#expected.set(id, onReply);
    this.lastActiveMs = this.#world.nowMs();
    this.wire.send([{ type, id, data }]);
  }

  #askStatus(): void {
    const word = this.#wantedWord;
    if (this.#said.state === 'asked' || this.#said.word === word) return;
    const { status, deviceId } = this.#want;
    const before = this.#said.word;
    this.#said = { word, state: 'asked', ackedAtMs: 0 };
    this.record({ kind: 'says', status, isAcked: false });
    this.send(
      'Presence',
      { status, ...(deviceId === undefined ? {} : { device: { id: deviceId } }) },
      (data, isOk) => {
        this.#said = isOk
          ? { word, state: 'on', ackedAtMs: this.#world.nowMs() }
          : { word: before, state: 'on', ackedAtMs: 0 };
        if (isOk) this.record({ kind: 'says', status, isAcked: true });
        else this.#onRefused('Presence', data);
      },
    );
  }

  #askFollows(): void {
    const { missing, extra } = difference(this.#want.follows, this.#follows);
    for (const [users, type] of [
      [missing, 'PresenceSubscribe'],
      [extra, 'PresenceUnsubscribe'],
    ] as const) {
      if (users.length === 0) continue;
      const isOn = type === 'PresenceSubscribe';
      for (const user of users) this.#follows.set(user, { state: isOn ? 'asked' : 'leaving', ackedAtMs: 0 });
      this.send(type, { users }, (data, isOk) => {
        if (!isOk) this.#onRefused(type, data);
        for (const user of users) {
          if (isOn && isOk) this.#follows.set(user, { state: 'on', ackedAtMs: this.#world.nowMs() });
          else this.#follows.delete(user);
          if (!isOn) this.view.users.delete(user);
        }
        if (isOn && isOk) this.view.list(data['users'] as ToldPresence[]);
      });
    }
  }

  #askTopics(): void {
    const { missing, extra } = difference(this.#want.topics, this.#topics);
    for (const topic of missing) this.#subscribe(topic);
    for (const topic of extra) {
      this.#topics.set(topic, { state: 'leaving', ackedAtMs: 0 });
      this.record({ kind: 'left', topic });
      this.send('Unsubscribe', { topic }, (data, isOk) => {
        if (!isOk && data['code'] !== 'not_subscribed') this.#onRefused('Unsubscribe', data);
        this.#forget(topic);
      });
    }
  }

  #subscribe(topic: string): void {
    this.#topics.set(topic, { state: 'asked', ackedAtMs: 0 });
    this.send('Subscribe', { topic, presence: true }, (data, isOk) => {
      if (!isOk) {
        this.#forget(topic);
        if (data['code'] !== 'not_subscribed') this.#onRefused('Subscribe', data);
        return;
      }
      this.#join(topic, data as unknown as ToldTopic, undefined);
    });
  }

  #askResume({ name, hasPositions, life }: Before): void {
    this.resume = 'asked';
    const positions: Record<string, SimPosition> = {};
    // As of now: what the connection before gets until it is taken over comes again.
    for (const [topic, { have }] of life.streams) if (have !== undefined) positions[topic] = { ...have };
    const { have } = life.inbox;
    if (have !== undefined) positions[`inbox:${this.user}`] = have;
    this.send('Resume', { ...name, ...(hasPositions ? { positions } : {}) }, (data, isOk) => {
      if (isOk) return this.#onResumed(data, life, hasPositions ? positions : {});
      if (retryable.has(data['code'] as string)) {
        this.resume = 'wanted';
        this.#retryAfter(data);
        return;
      }
      this.resume = 'failed';
      if (data['code'] !== 'resume_failed') this.faults.push(`${this.name}: Resume: ${JSON.stringify(data)}`);
    });
  }

  #onResumed(
    data: Record<string, unknown>,
    life: PresenceLife,
    positions: Record<string, SimPosition>,
  ): void {
    this.resume = 'done';
    this.record({ kind: 'took' });
    const keptBeforeMs = (this.before as Before).lostAtMs - this.#world.keptAfterMs;
    const isKept = ({ state, ackedAtMs }: Part) => state === 'on' && ackedAtMs < keptBeforeMs;
    const ackedAtMs = this.#world.nowMs();
    for (const [user, part] of life.#follows)
      if (isKept(part)) this.#follows.set(user, { state: 'on', ackedAtMs });
    if (life.#said.state === 'on' && life.#said.ackedAtMs < keptBeforeMs)
      this.#said = { ...life.#said, ackedAtMs };
    else this.#said = { word: '?', state: 'on', ackedAtMs: 0 };
    const [status, hasDevice] = this.#said.word.split(' ');
    if (hasDevice !== undefined) this.record({ kind: 'says', status: status as string, isAcked: true });
    const topics = data['topics'] as ToldTopic[];
    for (const [topic, part] of life.#topics) {
      if (
        isKept(part) &&
        !topics.some((told) => told.topic === topic) &&
        !this.#world.hadTrouble(topic, keptBeforeMs)
      )
        this.#lacking.add(topic);
    }
    for (const told of topics) {
      const { topic } = told;
      const said = positions[topic];
      const isSure = said !== undefined;
      if (told.recovered !== true) this.holes.add(topic);
      if (topic === `inbox:${this.user}`) this.#resumeInbox(told, said ?? life.inbox.have, isSure);
      else this.#join(topic, told, { have: said ?? life.streams.get(topic)?.have, isSure });
    }
  }

  #resumeInbox({ recovered }: ToldTopic, have: SimPosition | undefined, isSure: boolean): void {
    if (recovered && have !== undefined) this.inbox.begin(have, isSure);
    else if (recovered)
      this.inbox.isBlind = true; // it does not know from where on
    else if (isSure) this.faults.push(`${this.name}: the inbox was not recovered`);
  }

  #join(
    topic: string,
    told: ToldTopic,
    before: { have: SimPosition | undefined; isSure: boolean } | undefined,
  ): void {
    const { offset, epoch, recovered, members = [] } = told;
    const isLeaving = this.#topics.get(topic)?.state === 'leaving';
    if (!isLeaving) this.#topics.set(topic, { state: 'on', ackedAtMs: this.#world.nowMs() });
    const position = offset === undefined || epoch === undefined ? undefined : { offset, epoch };
    const { have, isSure = true } = before ?? {};
    if (have !== undefined && isSure && !recovered && topic.startsWith('chat:'))
      this.faults.push(`${this.name}: ${topic} was not recovered from ${have.offset}`);
    this.streams.set(
      topic,
      recovered
        ? new TopicStream(have ?? undefined, isSure && have !== undefined)
        : new TopicStream(position, true),
    );
    this.view.members(topic, members);
    if (!isLeaving) this.record({ kind: 'member', topic });
  }

  #onRefused(type: string, data: Record<string, unknown>): void {
    if (!retryable.has(data['code'] as string))
      this.faults.push(`${this.name}: ${type}: ${JSON.stringify(data)}`);
    this.#retryAfter(data);
  }

  #retryAfter(data: Record<string, unknown>): void {
    this.#retryAtMs = this.#world.nowMs() + Math.min(retryMsMax, (data['retryAfterMs'] as number) ?? 100);
  }

  // ---- what it hears

  #onEnvelope({ type, id, data }: SimEnvelope): void {
    if (type === 'Status' && data['op'] === 'Connect') return this.#onConnect(data);
    if ((type === 'Status' || type === 'Error') && id !== undefined) {
      const onReply = this.#expected.get(id);
      this.#expected.delete(id);
      return onReply === undefined
        ? void this.faults.push(`${this.name}: a reply to nothing: ${id}`)
        : onReply(data, type === 'Status');
    }
    if (type === 'Status') return this.#onEnded(data['topic'] as string);
    if (type === 'Error') return void this.faults.push(`${this.name}: ${JSON.stringify(data)}`);
    if (type === 'Presence') return this.#onPresence(data as unknown as ToldPresence);
    if (type === 'Broadcast' || type === 'DirectMessage')
      this.#onDelivery({
        topic: data['topic'] as string,
        offset: data['offset'] as number | undefined,
        isReplay: data['replay'] === true,
      });
  }

  #onConnect(data: Record<string, unknown>): void {
    this.session = { sessionId: data['sessionId'] as string, resumeToken: data['resumeToken'] as string };
    this.lastActiveMs = Math.max(this.lastActiveMs, this.#world.nowMs() - 1);
    this.inbox.begin(data['inbox'] as SimPosition | undefined, true);
    this.record({ kind: 'here', shard: data['shard'] as number });
  }

  #onPresence(told: ToldPresence): void {
    const { user, topic, status, event } = told;
    if (told.memberCount !== undefined) return;
    if (topic === undefined && !this.#follows.has(user)) {
      // Followed by the session that was resumed; ended a moment ago, as far as this client knows.
      if (this.before === undefined)
        this.faults.push(`${this.name}: is told of ${user}, whom it does not follow`);
      return;
    }
    if (topic !== undefined && !this.#topics.has(topic))
      this.faults.push(`${this.name}: is told of members of ${topic}`);
    this.view.onTold(told);
    const isThere = topic === undefined ? status !== 'offline' : event !== 'leave';
    this.record({ kind: 'heard', of: user, topic, isThere });
  }

  #onEnded(topic: string): void {
    if (topic === `inbox:${this.user}`) {
      this.inbox.isBlind = true;
      return;
    }
    this.#lacking.delete(topic);
    this.record({ kind: 'left', topic });
    // An Unsubscribe on its way is answered all the same.
    if (this.#topics.get(topic)?.state !== 'leaving') this.#forget(topic);
  }

  #forget(topic: string): void {
    this.#topics.delete(topic);
    this.streams.delete(topic);
    this.view.topics.delete(topic);
  }

  #onDelivery(delivery: Delivery): void {
    const { topic } = delivery;
    const stream = topic.startsWith('inbox:') ? this.inbox : this.streams.get(topic);
    const fault =
      stream === undefined
        ? `${topic} ${delivery.offset} came before the reply`
        : stream.onDelivery(delivery);
    if (fault !== undefined) this.faults.push(`${this.name}: ${fault}`);
  }

  get #wantedWord(): string {
    return `${this.#want.status} ${this.#want.deviceId ?? '-'}`;
  }

  record(step: PresenceStep): void {
    this.#world.record({ at: this.#world.nowMs(), life: this.name, user: this.user, ...step });
  }
}
