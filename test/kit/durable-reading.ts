/**
 * What one client reads: its subscriptions and its inbox, with the position of each to come back to.
 * An inbox comes by itself from its position in `Connect` on; what came before is asked for, and may arrive
 * behind what comes live. A client that shows messages in order holds the live ones back until then; so does
 * this one, and what it holds when the connection ends it has never had.
 */
import type { DurableClient } from './durable-client.ts';
import { isSamePosition } from './durable-record.ts';
import { inboxSender } from './durable-rows.ts';
import type { Position } from './history-events.ts';
import type { Envelope } from './test-client.ts';

interface Subscribed {
  state: 'off' | 'asked' | 'on';
  position: Position | undefined;
}

/** Some remember less than they saw, and are told again. */
const forgettingChance = 0.1;
const forgottenMax = 5;
const subscribeAgainMs = 50;

export class TopicReading {
  readonly #client: DurableClient;
  readonly #topics: Map<string, Subscribed>;

  constructor(client: DurableClient) {
    this.#client = client;
    this.#topics = new Map(client.plan.reads.map((topic) => [topic, { state: 'off', position: undefined }]));
  }

  /** Undefined: it is not a reader of this topic. */
  positionIn(topic: string): number | undefined {
    const subscribed = this.#topics.get(topic);
    return subscribed && (subscribed.state === 'on' ? (subscribed.position?.offset ?? 0) : 0);
  }

  onConnect(): void {
    for (const topic of this.#topics.keys()) this.#subscribe(topic);
  }

  onClose(): void {
    for (const subscribed of this.#topics.values()) subscribed.state = 'off';
  }

  onEnded(topic: string, reason: string): void {
    const { plan, world } = this.#client;
    const subscribed = this.#topics.get(topic);
    if (subscribed?.state !== 'on')
      return world.record.fault(plan.name, `the end of ${topic}, which is not subscribed: ${reason}`);
    if (/not kept/.test(reason)) world.record.fault(plan.name, `${topic} ended: ${reason}`);
    world.record.endedCount++;
    world.record.add(plan.name, { kind: 'gap', topic, signal: 'ended' });
    subscribed.state = 'off';
    this.#client.later(subscribeAgainMs, () => this.#subscribe(topic));
  }

  onDelivered({ id, data }: Envelope): void {
    const { plan, world } = this.#client;
    const subscribed = this.#topics.get(data.topic);
    const epoch = subscribed?.position?.epoch ?? 'unknown';
    deliver(this.#client, { ...data, epoch, messageId: id, sender: data.from });
    if (subscribed === undefined) return world.record.fault(plan.name, `a message of ${data.topic}`);
    subscribed.position = { epoch, offset: data.offset };
  }

  #subscribe(topic: string): void {
    const subscribed = this.#topics.get(topic) as Subscribed;
    if (subscribed.state !== 'off') return;
    subscribed.state = 'asked';
    const since = this.#since(subscribed);
    this.#client.request('Subscribe', { topic, ...(since && { since }) }, (reply) => {
      if (reply.type === 'Status') return this.#onSubscribed(topic, since, reply.data);
      subscribed.state = 'off';
      const waitMs = this.#client.retryAfter(reply, `Subscribe ${topic}`);
      if (waitMs !== undefined) this.#client.later(waitMs, () => this.#subscribe(topic));
    });
  }

  #since({ position }: Subscribed): Position | undefined {
    const { random } = this.#client.world;
    if (position === undefined || random.next() >= forgettingChance) return position;
    return { ...position, offset: Math.max(0, position.offset - Math.ceil(random.next() * forgottenMax)) };
  }

  #onSubscribed(topic: string, since: Position | undefined, data: Envelope['data']): void {
    const { epoch, offset, recovered } = data;
    const subscribed = this.#topics.get(topic) as Subscribed;
    Object.assign(subscribed, { state: 'on', position: since ?? { epoch, offset } });
    begin(this.#client, topic, { since, here: { epoch, offset }, recovered });
    if (recovered === false) subscribed.position = { epoch, offset };
  }
}

export class InboxReading {
  readonly #client: DurableClient;
  #position: Position | undefined;
  /** Live ones, while what came before them is on its way; undefined: nothing is. */
  #held: Envelope[] | undefined;
  /** Where the live ones begin; undefined until the server says it. */
  #target: number | undefined;

  constructor(client: DurableClient) {
    this.#client = client;
  }

  get #topic(): string {
    return `inbox:${this.#client.plan.user}`;
  }

  /** Undefined: not a reader of it. */
  positionIn(topic: string): number | undefined {
    if (!this.#client.plan.readsInbox || topic !== this.#topic) return undefined;
    return this.#position?.offset ?? 0;
  }

  /** `end`: of the inbox; what comes behind it is delivered by itself. Undefined: the server could not tell. */
  onConnect(end: Position | undefined): void {
    const since = this.#position;
    if (end === undefined) this.#client.world.record.blindCount++;
    if (since === undefined || (end !== undefined && isSamePosition(since, end))) {
      this.#position ??= end;
      return begin(this.#client, this.#topic, { since, here: end, recovered: true });
    }
    this.#held = [];
    this.#target = end?.offset;
    this.#recover(since);
  }

  onClose(): void {
    this.#held = undefined;
  }

  onDelivered(envelope: Envelope): void {
    const { plan, world } = this.#client;
    if (!plan.readsInbox) return;
    const { offset, replay } = envelope.data;
    // Replayed from behind there: the home of the inbox died, and the session catches up by itself.
    const isLive =
      this.#held === undefined || (this.#target === undefined ? replay !== true : offset > this.#target);
    if (isLive && replay) world.record.caughtUpCount++;
    if (this.#held !== undefined && isLive) this.#held.push(envelope);
    else this.#take(envelope);
  }

  /** Some of what came is said to be out of reach; what comes from now on is delivered. */
  onHole(): void {
    if (!this.#client.plan.readsInbox) return;
    const { plan, world } = this.#client;
    world.record.fault(plan.name, `${this.#topic} is told to have a hole`);
    world.record.add(plan.name, { kind: 'gap', topic: this.#topic, signal: 'unrecovered' });
    this.#client.cut();
  }

  #recover(since: Position): void {
    this.#client.request('Subscribe', { topic: this.#topic, since }, (reply) => {
      if (reply.type !== 'Status') {
        const waitMs = this.#client.retryAfter(reply, `Subscribe ${this.#topic}`);
        if (waitMs !== undefined) this.#client.later(waitMs, () => this.#recover(since));
        return;
      }
      const { epoch, offset, recovered } = reply.data;
      this.#target ??= offset as number;
      begin(this.#client, this.#topic, { since, here: { epoch, offset }, recovered });
      this.#letGo();
    });
  }

  #take({ id, data }: Envelope): void {
    const epoch = this.#position?.epoch ?? 'unknown';
    deliver(this.#client, { ...data, epoch, messageId: id, sender: inboxSender(data.from, data.to) });
    if (this.#position !== undefined) this.#position = { epoch, offset: data.offset };
    this.#letGo();
  }

  /** The live ones follow, in the order in which they came. */
  #letGo(): void {
    const held = this.#held;
    if (held === undefined || this.#target === undefined || this.#position!.offset < this.#target) return;
    this.#held = undefined;
    for (const envelope of held) this.#take(envelope);
  }
}

/** The begin of a subscription, as the log has it. Nothing durable is ever out of reach in these tests. */
function begin(
  { plan, world }: DurableClient,
  topic: string,
  {
    since,
    here,
    recovered,
  }: { since: Position | undefined; here: Position | undefined; recovered: boolean | undefined },
): void {
  const from = here === undefined ? {} : { from: here };
  if (since === undefined) return world.record.add(plan.name, { kind: 'subscribe', topic, ...from });
  world.record.add(plan.name, { kind: 'resubscribe', topic, since });
  if (recovered === true) return;
  world.record.fault(plan.name, `${topic} since ${since.offset} of ${since.epoch} is not recovered`);
  world.record.add(plan.name, { kind: 'gap', topic, signal: 'unrecovered', ...from });
}

function deliver(
  { plan, world }: DurableClient,
  { topic, offset, epoch, messageId, sender, payload, replay }: Envelope['data'],
): void {
  const isReplay = replay === true;
  world.record.deliveryCount++;
  if (isReplay) world.record.replayCount++;
  world.record.add(plan.name, {
    ...{ kind: 'deliver', topic, isReplay, epoch, offset, messageId, sender, body: String(payload) },
  });
}
