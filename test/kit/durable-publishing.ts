/**
 * What one client has sent and nobody acked: sent again in order after a connection, after a refusal when its
 * time has come. A window bounds it, so that a server that is away is not written to. A direct message is two
 * publications in the log: one in the inbox of each side, of which the ack names the place in the sender's own.
 */
import type { DurableClient } from './durable-client.ts';
import { type AckStep, offsetUnknown, unknownFate } from './durable-record.ts';
import { inboxSender } from './durable-rows.ts';
import type { Envelope } from './test-client.ts';

interface Unacked {
  key: string;
  body: string;
  topic: string | undefined;
  to: string | undefined;
}

/** Without an ack; more wait for it. */
const windowMax = 12;

export class Publishing {
  readonly #client: DurableClient;
  /** In the order of the first sending. */
  readonly #unacked = new Map<string, Unacked>();
  #made = 0;

  constructor(client: DurableClient) {
    this.#client = client;
  }

  get unackedCount(): number {
    return this.#unacked.size;
  }

  publishNext(): void {
    const { plan, world } = this.#client;
    const targets = plan.writes.length + plan.mails.length;
    if (targets === 0 || this.#unacked.size >= windowMax) return;
    const choice = Math.floor(world.random.next() * targets);
    const key = `${plan.name}-${++this.#made}`;
    const message: Unacked = {
      key,
      body: key.padEnd(key.length + Math.floor(world.random.next() * 120), '.'),
      topic: plan.writes[choice],
      to: plan.mails[choice - plan.writes.length],
    };
    this.#unacked.set(key, message);
    this.#send(message);
  }

  onConnect(): void {
    for (const message of this.#unacked.values()) this.#send(message);
  }

  #send(message: Unacked): void {
    const { key, body, topic, to } = message;
    const { plan, world } = this.#client;
    for (const place of this.#placesOf(message)) {
      world.record.add(plan.name, {
        kind: 'invoke',
        topic: place.topic,
        key: place.key,
        sender: place.sender,
        body,
      });
    }
    const [type, target] = to === undefined ? ['Broadcast', { topic }] : ['DirectMessage', { to }];
    this.#client.request(type, { ...target, payload: body, key }, (reply) => this.#onReply(message, reply));
  }

  #onReply(message: Unacked, reply: Envelope): void {
    if (reply.type === 'Status') return this.#onAck(message, reply.data);
    const { plan, world } = this.#client;
    const isUnknown = /died before it answered/.test(reply.data.message);
    const code = isUnknown ? unknownFate : reply.data.code;
    for (const { key } of this.#placesOf(message)) world.record.add(plan.name, { kind: 'reject', key, code });
    const waitMs = this.#client.retryAfter(reply, `message ${message.key}`);
    if (waitMs === undefined) this.#unacked.delete(message.key);
    else this.#client.later(waitMs, () => this.#send(message));
  }

  #onAck(message: Unacked, { messageId, epoch, offset, duplicate }: Envelope['data']): void {
    const { plan, world } = this.#client;
    this.#unacked.delete(message.key);
    if (duplicate) world.record.duplicateCount++;
    for (const { topic, key, sender, isNamed } of this.#placesOf(message)) {
      const step: AckStep = {
        ...{ kind: 'ack', key, messageId, epoch, duplicate: duplicate === true },
        offset: isNamed ? offset : offsetUnknown,
      };
      world.record.addAck(plan.name, topic, { sender, key, body: message.body }, step);
    }
  }

  /** `isNamed`: the ack says which offset it has there. */
  #placesOf({ key, topic, to }: Unacked) {
    const { user } = this.#client.plan;
    if (to === undefined) return [{ topic: topic as string, key, sender: user, isNamed: true }];
    const sender = inboxSender(user, to);
    return [
      { topic: `inbox:${user}`, key: `${key}/own`, sender, isNamed: true },
      { topic: `inbox:${to}`, key, sender, isNamed: false },
    ];
  }
}
