/**
 * What was sent, and which sent message a seen one is: the first pass of history-checker.ts.
 * A publication is one key of one sender in one topic, however often it was sent and on whichever connection.
 * Seen messages are recognised by their body first, since an id is only what the server says.
 */
import type { FinalTopic, History, HistoryEvent, Position, SeenMessage } from './history-events.ts';

export interface Attempt {
  /** Place in the log. */
  index: number;
  /** Client and number of its connection. */
  connection: string;
  body: string;
  /** `indefinite`: refused with a code that leaves open what became of it. */
  outcome: 'unanswered' | 'acked' | 'refused' | 'indefinite';
  /** Of the ack. */
  epoch: string | undefined;
}

export interface Ack extends Position {
  index: number;
  client: string;
  messageId: string;
}

export interface Publication {
  tenant: string;
  topic: string;
  sender: string;
  key: string;
  attempts: Attempt[];
  acks: Ack[];
  /** By message id the places where it was seen, each once. */
  seenAt: Map<string, Position[]>;
  /** Ids that the final history holds. */
  finalIds: Set<string>;
}

export interface Sighting extends SeenMessage {
  client: string;
  tenant: string;
  topic: string;
}

/** Whose message a seen one is. */
export type Origin =
  | { is: 'sent'; publication: Publication }
  /** Sent under this id, but not with this body or not here. */
  | { is: 'altered' | 'refused'; publication: Publication }
  | { is: 'foreign'; publication: Publication }
  | { is: 'unknown' };

/** The name under which a final history takes part: one more client for each. */
export const finalClient = ({ tenant, epoch }: FinalTopic) => `final history of ${tenant}, epoch ${epoch}`;
/** Between the parts of a map's key; in no name. */
const separator = '\u0000';
export const joined = (...parts: string[]) => parts.join(separator);

export interface Publications {
  all: Publication[];
  /** Acks that answer nothing. */
  unaskedAcks: { tenant: string; ack: Ack; key: string }[];
  /** Of the event's client. */
  tenantOf(event: HistoryEvent): string;
  originOf(seen: Sighting): Origin;
}

export function readPublications({ events, indefiniteCodes = ['internal'] }: History): Publications {
  const byKey = new Map<string, Publication>();
  const byBody = new Map<string, Publication>();
  const tenants = new TenantBook();
  const waiting = new Map<string, { publication: Publication; attempt: Attempt }[]>();
  const unaskedAcks: Publications['unaskedAcks'] = [];
  for (const [index, event] of events.entries()) {
    const { client } = event;
    if (event.kind === 'connect') tenants.connect(client, event.tenant);
    if (event.kind === 'invoke') {
      const tenant = tenants.of(event);
      const publication = publicationOf(byKey, tenant, event);
      const connection = tenants.connectionOf(client);
      const attempt: Attempt = {
        index,
        connection,
        body: event.body,
        outcome: 'unanswered',
        epoch: undefined,
      };
      publication.attempts.push(attempt);
      const body = joined(tenant, event.topic, event.sender, event.body);
      const known = byBody.get(body);
      if (known !== undefined && known !== publication) {
        throw new Error(`bad log: keys ${known.key} and ${event.key} of ${event.sender} have one body`);
      }
      byBody.set(body, publication);
      const slot = joined(connection, event.key);
      const queue = waiting.get(slot);
      if (queue) queue.push({ publication, attempt });
      else waiting.set(slot, [{ publication, attempt }]);
    }
    if (event.kind === 'ack' || event.kind === 'reject') {
      const tenant = tenants.of(event);
      const asked = waiting.get(joined(tenants.connectionOf(client), event.key))?.shift();
      if (event.kind === 'reject') {
        if (asked) asked.attempt.outcome = indefiniteCodes.includes(event.code) ? 'indefinite' : 'refused';
        continue;
      }
      const { messageId, epoch, offset, key } = event;
      const ack: Ack = { index, client, messageId, epoch, offset };
      if (asked === undefined) unaskedAcks.push({ tenant, ack, key });
      else {
        asked.attempt.outcome = 'acked';
        asked.attempt.epoch = epoch;
        asked.publication.acks.push(ack);
      }
    }
  }
  const all = [...byKey.values()];
  return { all, unaskedAcks, tenantOf: (event) => tenants.of(event), originOf: originFinder(all, byBody) };
}

function publicationOf(
  byKey: Map<string, Publication>,
  tenant: string,
  { topic, sender, key }: { topic: string; sender: string; key: string },
): Publication {
  const id = joined(tenant, topic, sender, key);
  let publication = byKey.get(id);
  if (publication === undefined) {
    publication = {
      ...{ tenant, topic, sender, key },
      ...{ attempts: [], acks: [], seenAt: new Map(), finalIds: new Set() },
    };
    byKey.set(id, publication);
  }
  return publication;
}

function originFinder(all: Publication[], byBody: Map<string, Publication>): (seen: Sighting) => Origin {
  const byId = new Map<string, Publication>();
  const byBodyAnywhere = new Map<string, Publication>();
  for (const publication of all) {
    for (const { messageId } of publication.acks) {
      if (!byId.has(messageId)) byId.set(messageId, publication);
    }
    for (const { body } of publication.attempts) {
      byBodyAnywhere.set(joined(publication.topic, publication.sender, body), publication);
    }
  }
  return ({ tenant, topic, sender, body, messageId }) => {
    const publication = byBody.get(joined(tenant, topic, sender, body));
    if (publication !== undefined) {
      const isRefused = publication.attempts.every(
        (attempt) => attempt.body !== body || attempt.outcome === 'refused',
      );
      return { is: isRefused ? 'refused' : 'sent', publication };
    }
    const other = byId.get(messageId) ?? byBodyAnywhere.get(joined(topic, sender, body));
    if (other === undefined) return { is: 'unknown' };
    return { is: other.tenant === tenant ? 'altered' : 'foreign', publication: other };
  };
}

/** Everything seen in a final history, in its order. */
export function sightingsIn(final: FinalTopic): Sighting[] {
  const { tenant, topic, epoch } = final;
  return final.messages.map((message) => ({ ...message, client: finalClient(final), tenant, topic, epoch }));
}

/** Which tenant a client belongs to, and on which of its connections it is. */
class TenantBook {
  readonly #byClient = new Map<string, string>();
  readonly #connections = new Map<string, number>();

  connect(client: string, tenant: string): void {
    const known = this.#byClient.get(client);
    if (known !== undefined && known !== tenant) throw new Error(`bad log: ${client} changes its tenant`);
    this.#byClient.set(client, tenant);
    this.#connections.set(client, (this.#connections.get(client) ?? 0) + 1);
  }

  of({ client, kind, at }: HistoryEvent): string {
    const tenant = this.#byClient.get(client);
    if (tenant === undefined) throw new Error(`bad log: ${kind} of ${client} at ${at} before its connect`);
    return tenant;
  }

  connectionOf(client: string): string {
    return joined(client, String(this.#connections.get(client)));
  }
}
