/**
 * What is known of each topic's log: who was seen at each offset, and which epoch followed which. Filled
 * by history-checker.ts. One position with two messages is told here, since whoever sees it second completes
 * the proof.
 */
import type { Position, ViolationList } from './history-events.ts';
import { joined, type Publication } from './history-publications.ts';

/** One epoch of a topic. */
export interface TopicLog {
  slots: Map<number, { messageId: string; client: string; isDivergent: boolean }>;
  /** Highest offset at which anything was seen. */
  offsetMax: number;
  /** Acked here, and lost. */
  lost: Set<number>;
}

export class TopicLogs {
  readonly #logs = new Map<string, TopicLog>();
  /** Per client and topic the epoch that the server named last. */
  readonly #toldEpochs = new Map<string, string>();
  /** Epochs that a client saw replaced, by which. */
  readonly #successors = new Map<string, string>();
  readonly #violations: ViolationList;

  constructor(violations: ViolationList) {
    this.#violations = violations;
  }

  of(tenant: string, topic: string, epoch: string): TopicLog {
    const id = joined(tenant, topic, epoch);
    let log = this.#logs.get(id);
    if (log === undefined) {
      log = { slots: new Map(), offsetMax: 0, lost: new Set() };
      this.#logs.set(id, log);
    }
    return log;
  }

  /** The epoch that came after this one, if anybody saw the change. */
  successorOf(tenant: string, topic: string, epoch: string): string | undefined {
    return this.#successors.get(joined(tenant, topic, epoch));
  }

  /** The server named the topic's epoch to a client. */
  follow(client: string, tenant: string, topic: string, epoch: string): void {
    const id = joined(client, topic);
    const told = this.#toldEpochs.get(id);
    if (told === epoch) return;
    this.#toldEpochs.set(id, epoch);
    if (told !== undefined) this.#successors.set(joined(tenant, topic, told), epoch);
  }

  /** `messageId` is at this position, says `client`. */
  witness({
    client,
    tenant,
    topic,
    epoch,
    offset,
    messageId,
  }: Position & { client: string; tenant: string; topic: string; messageId: string }): void {
    const log = this.of(tenant, topic, epoch);
    const slot = log.slots.get(offset);
    log.offsetMax = Math.max(log.offsetMax, offset);
    if (slot === undefined) {
      log.slots.set(offset, { messageId, client, isDivergent: false });
    } else if (slot.messageId !== messageId) {
      slot.isDivergent = true;
      this.#violations.add(joined(epoch, String(offset)), {
        ...{ class: 'divergence', tenant, topic, epoch, offsets: [offset] },
        ...{ messages: [slot.messageId, messageId], clients: [slot.client, client] },
        sentence: `offset ${offset} is ${slot.messageId} to ${slot.client} and ${messageId} to ${client}`,
      });
    }
  }

  isDivergent({ tenant, topic }: Publication, { epoch, offset }: Position): boolean {
    return this.of(tenant, topic, epoch).slots.get(offset)?.isDivergent ?? false;
  }
}
