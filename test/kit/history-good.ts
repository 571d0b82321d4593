/**
 * Good histories: a small ideal server and its clients, all chances from one seed. history-checker.ts must
 * find nothing in them. Everything that is allowed happens: connections lost with sends and answers in
 * flight, resends, refusals and their retries, crashes, new epochs of topics that are not durable, replays,
 * unrecovered and ended subscriptions, two devices of one sender.
 */
import type { Random } from '#kit/random.ts';
import type {
  FinalTopic,
  History,
  HistoryEvent,
  HistoryStep,
  Position,
  SeenMessage,
} from './history-events.ts';

interface Topic {
  tenant: string;
  name: string;
  isDurable: boolean;
  epoch: string;
  log: SeenMessage[];
  /** By sender and key. */
  stored: Map<string, SeenMessage>;
}

interface Publish {
  topic: Topic;
  key: string;
  body: string;
}

type Command =
  | ({ do: 'publish' } & Publish)
  | { do: 'subscribe'; topic: Topic; since: Position | undefined }
  | { do: 'unsubscribe'; topic: Topic };

interface Client {
  id: string;
  tenant: string;
  sender: string;
  isConnected: boolean;
  /** Sent and not yet processed. */
  outbox: Command[];
  /** Written by the server and not yet read; `effect` is what the client does about it. */
  inbox: { step: HistoryStep; effect?: () => void }[];
  /** Server's side: next offset per subscribed topic, and up to where it is replay. */
  cursors: Map<Topic, { next: number; replayUntil: number }>;
  /** Subscribed or asked to be. */
  asked: Set<Topic>;
  wanted: Set<Topic>;
  positions: Map<Topic, Position>;
  /** Sent and not answered, in the order of sending. */
  pending: Publish[];
}

/** Half of them without refusals, which asks more of the order. */
export function goodHistory(random: Random, steps: number): History {
  const world = new GoodWorld(random, random.next() < 0.5);
  for (let step = 0; step < steps; step++) world.step();
  return world.finish();
}

class GoodWorld {
  readonly #random: Random;
  readonly #events: HistoryEvent[] = [];
  readonly #topics: Topic[] = [];
  readonly #clients: Client[] = [];
  readonly #mayRefuse: boolean;
  #atMs = 0;
  #count = 0;

  constructor(random: Random, mayRefuse: boolean) {
    this.#random = random;
    this.#mayRefuse = mayRefuse;
    for (const tenant of ['red', 'blue']) {
      for (const name of ['room', 'cache:board']) {
        const isDurable = name === 'room';
        this.#topics.push({ tenant, name, isDurable, epoch: this.#fresh('e'), log: [], stored: new Map() });
      }
      for (let i = 0; i < 3; i++) {
        this.#clients.push({
          // The first two are devices of one sender.
          ...{ id: `${tenant}-${i}`, tenant, sender: `${tenant}-user-${Math.max(1, i)}`, isConnected: false },
          ...{ outbox: [], inbox: [], cursors: new Map(), asked: new Set(), wanted: new Set() },
          ...{ positions: new Map(), pending: [] },
        });
      }
    }
  }

  step(): void {
    const client = this.#pick(this.#clients);
    const topic = this.#pick(this.#topics.filter(({ tenant }) => tenant === client.tenant));
    if (!client.isConnected) return this.#connect(client);
    const dice = this.#random.next();
    if (dice < 0.18) this.#publish(client, topic);
    else if (dice < 0.4) this.#process(client);
    else if (dice < 0.6) this.#fanOut(client);
    else if (dice < 0.87) this.#read(client);
    else if (dice < 0.93) this.#want(client, topic);
    else if (dice < 0.95) this.#askAgain(client);
    else if (dice < 0.965) this.#unsubscribe(client, topic);
    else if (dice < 0.975) this.#endSubscription(client, topic);
    else if (dice < 0.993) this.#close(client);
    else if (dice < 0.996) this.#restartTopic(topic);
    else if (dice < 0.998) this.#crash();
  }

  finish(): History {
    for (const client of this.#clients) if (!client.isConnected) this.#connect(client);
    for (const client of this.#clients) for (const topic of client.wanted) this.#askFor(client, topic);
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const client of this.#clients) {
        isBusy = this.#process(client) || this.#fanOut(client) || this.#read(client) || isBusy;
      }
    }
    const final = this.#topics
      .filter(({ isDurable }) => isDurable)
      .map(
        ({ tenant, name, epoch, log }): FinalTopic => ({ tenant, topic: name, epoch, messages: [...log] }),
      );
    return { events: this.#events, final, mayRefuse: this.#mayRefuse };
  }

  #connect(client: Client): void {
    client.isConnected = true;
    this.#record(client, { kind: 'connect', tenant: client.tenant });
    // Some give up what was unanswered, and with it its place in the order.
    if (this.#chance(0.2)) client.pending = [];
    for (const publish of [...client.pending]) this.#send(client, publish);
  }

  #publish(client: Client, topic: Topic): void {
    const repeated = this.#pick(client.pending);
    if (repeated !== undefined && this.#chance(0.1)) return this.#send(client, repeated);
    const used = [...topic.stored.keys()].find((key) => key.startsWith(`${client.sender} ${client.id}.`));
    if (used !== undefined && this.#chance(0.05)) {
      // The same key with another body: a conflict, which is answered and not retried.
      return this.#send(client, { topic, key: used.split(' ')[1]!, body: this.#fresh('body-') });
    }
    const publish = { topic, key: this.#fresh(`${client.id}.`), body: this.#fresh('body-') };
    client.pending.push(publish);
    this.#send(client, publish);
  }

  #send(client: Client, { topic, key, body }: Publish): void {
    this.#record(client, { kind: 'invoke', topic: topic.name, key, sender: client.sender, body });
    client.outbox.push({ do: 'publish', topic, key, body });
  }

  /** The server takes the next command of a client. */
  #process(client: Client): boolean {
    const command = client.outbox.shift();
    if (command === undefined) return false;
    const { topic } = command;
    if (command.do === 'publish') this.#store(client, command);
    else if (command.do === 'subscribe') this.#subscribe(client, topic, command.since);
    else {
      client.cursors.delete(topic);
      client.inbox.push({
        step: { kind: 'unsubscribe', topic: topic.name },
        effect: () => client.asked.delete(topic),
      });
    }
    return true;
  }

  #store(client: Client, { topic, key, body }: Publish): void {
    const { sender, inbox } = client;
    const settle = () => (client.pending = client.pending.filter((publish) => publish.key !== key));
    const known = topic.stored.get(`${sender} ${key}`);
    const reject = (code: string, effect: () => void) =>
      inbox.push({ step: { kind: 'reject', key, code }, effect });
    if (known !== undefined && known.body !== body) return void reject('key_conflict', () => undefined);
    // A refused one is given up or sent again at the next connection.
    if (known === undefined && this.#mayRefuse && this.#chance(0.08))
      return void reject('busy', this.#chance(0.5) ? settle : () => {});
    let message = known;
    if (message === undefined) {
      const { epoch, log } = topic;
      message = { epoch, offset: log.length + 1, messageId: this.#fresh('m'), sender, body };
      log.push(message);
      topic.stored.set(`${sender} ${key}`, message);
    }
    if (this.#mayRefuse && this.#chance(0.03)) return void reject('internal', () => {});
    const { messageId, epoch, offset } = message;
    const duplicate = known !== undefined;
    inbox.push({ step: { kind: 'ack', key, messageId, epoch, offset, duplicate }, effect: settle });
  }

  #subscribe(client: Client, topic: Topic, since: Position | undefined): void {
    const { name, epoch, log } = topic;
    const here = { epoch, offset: log.length };
    const isInReach = since !== undefined && since.epoch === epoch && this.#chance(0.85);
    client.cursors.set(topic, {
      next: (isInReach ? since : here).offset + 1,
      replayUntil: isInReach ? log.length : 0,
    });
    const from = this.#chance(0.7) ? { from: here } : {};
    if (since === undefined) client.inbox.push({ step: { kind: 'subscribe', topic: name, ...from } });
    else client.inbox.push({ step: { kind: 'resubscribe', topic: name, since } });
    if (since !== undefined && !isInReach) {
      client.inbox.push({ step: { kind: 'gap', topic: name, signal: 'unrecovered', ...from } });
    }
  }

  /** The server writes the next message of one subscription. */
  #fanOut(client: Client): boolean {
    const behind = [...client.cursors].filter(([topic, { next }]) => next <= topic.log.length);
    const choice = this.#pick(behind);
    if (choice === undefined) return false;
    const [topic, cursor] = choice;
    const message = topic.log[cursor.next - 1]!;
    const isReplay = cursor.next <= cursor.replayUntil;
    cursor.next++;
    client.inbox.push({
      step: { kind: 'deliver', topic: topic.name, isReplay, ...message },
      effect: () => client.positions.set(topic, { epoch: message.epoch, offset: message.offset }),
    });
    return true;
  }

  #read(client: Client): boolean {
    const item = client.inbox.shift();
    if (item === undefined) return false;
    this.#record(client, item.step);
    item.effect?.();
    return true;
  }

  #want(client: Client, topic: Topic): void {
    client.wanted.add(topic);
    this.#askFor(client, topic);
  }

  #askFor(client: Client, topic: Topic): void {
    if (client.asked.has(topic)) return;
    client.asked.add(topic);
    const position = client.positions.get(topic);
    // Some remember less than they saw, and are told again.
    const forgotten = this.#chance(0.2) ? Math.floor(this.#random.next() * 3) : 0;
    const since = position && { ...position, offset: Math.max(0, position.offset - forgotten) };
    client.outbox.push({ do: 'subscribe', topic, since });
  }

  #askAgain(client: Client): void {
    for (const topic of client.wanted) this.#askFor(client, topic);
  }

  #unsubscribe(client: Client, topic: Topic): void {
    if (!client.asked.has(topic)) return;
    client.wanted.delete(topic);
    client.outbox.push({ do: 'unsubscribe', topic });
  }

  #endSubscription(client: Client, topic: Topic): void {
    if (!client.cursors.delete(topic)) return;
    const step = { kind: 'gap', topic: topic.name, signal: 'ended' } as const;
    client.inbox.push({ step, effect: () => client.asked.delete(topic) });
  }

  /** The server may have taken some of what was under way to it; what was under way to the client is gone. */
  #close(client: Client): void {
    while (this.#chance(0.7) && this.#process(client));
    this.#record(client, { kind: 'close' });
    client.isConnected = false;
    client.outbox = [];
    client.inbox = [];
    client.cursors.clear();
    client.asked.clear();
  }

  /** A topic that is not durable begins anew, as when its shard dies. */
  #restartTopic(topic: Topic): void {
    if (topic.isDurable) return;
    topic.epoch = this.#fresh('e');
    topic.log = [];
    topic.stored.clear();
    for (const client of this.#clients) this.#endSubscription(client, topic);
  }

  #crash(): void {
    for (const client of this.#clients) if (client.isConnected) this.#close(client);
    for (const topic of this.#topics) this.#restartTopic(topic);
  }

  #record(client: Client, step: HistoryStep): void {
    this.#atMs += this.#random.next() * 5;
    this.#events.push({ at: this.#atMs, client: client.id, ...step });
  }

  #fresh(prefix: string): string {
    return `${prefix}${++this.#count}`;
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #pick<Value>(list: readonly Value[]): Value {
    return list[Math.floor(this.#random.next() * list.length)] as Value;
  }
}
