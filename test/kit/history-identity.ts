/**
 * Is each sent message one message at one place, and do the acks say so? A pass of history-checker.ts, per
 * publication. Positions at which two messages were seen prove nothing here: history-topic-logs.ts has told
 * them already.
 */
import type { Position, ViolationList } from './history-events.ts';
import { type Ack, joined, type Publication } from './history-publications.ts';
import type { TopicLogs } from './history-topic-logs.ts';

export const isSamePlace = (a: Position, b: Position) => a.epoch === b.epoch && a.offset === b.offset;

type Stored = Position & { messageId: string };

/** One message at two places, or one key as two messages. */
export function isDoubled(publication: Publication, logs: TopicLogs, violations: ViolationList): boolean {
  const stored: Stored[] = [];
  for (const [messageId, places] of publication.seenAt) {
    const clear = places.filter((place) => !logs.isDivergent(publication, place));
    if (clear.length > 1) {
      const copies = clear.map((place) => ({ ...place, messageId }));
      return reportDoubled(publication, copies, `message ${messageId} has`, violations);
    }
    stored.push(...clear.map((place) => ({ ...place, messageId })));
  }
  for (const list of [stored, publication.acks]) {
    if (list.length < 2) continue;
    // Across epochs a key is not remembered: the topic began anew.
    for (const copies of Map.groupBy(list, ({ epoch }: Stored) => epoch).values()) {
      const ids = new Set(copies.map(({ messageId }) => messageId));
      const offsets = new Set(copies.map(({ offset }) => offset));
      if (ids.size > 1 && offsets.size > 1)
        return reportDoubled(publication, copies, 'two messages have', violations);
    }
  }
  return false;
}

function reportDoubled(
  { tenant, topic, sender, key }: Publication,
  copies: readonly Stored[],
  what: string,
  violations: ViolationList,
): true {
  const { epoch } = copies[0]!;
  const offsets = [...new Set(copies.map(({ offset }) => offset))].sort((a, b) => a - b);
  const messages = [...new Set(copies.map(({ messageId }) => messageId))];
  violations.add(joined('key', sender, key, epoch), {
    ...{ class: 'doubled', tenant, topic, epoch, offsets, messages, clients: [sender] },
    sentence: `key ${key} is stored twice: ${what} the offsets ${offsets.join(' and ')}`,
  });
  return true;
}

/** The acks that agree with what was seen; the others are reported. `seenIds`: ids seen anywhere. */
export function honestAcks(
  publication: Publication,
  seenIds: ReadonlySet<string>,
  violations: ViolationList,
): Ack[] {
  const { tenant, topic, key, acks } = publication;
  return acks.filter((ack) => {
    const seen = contradiction(publication, ack, seenIds);
    if (seen === undefined) return true;
    const { epoch, offset, messageId } = ack;
    violations.add(joined(key, epoch, String(offset), messageId), {
      ...{ class: 'ack-mismatch', tenant, topic, epoch, offsets: [offset], messages: [messageId] },
      clients: [ack.client],
      sentence: `key ${key} was acked as ${messageId} at offset ${offset} of epoch ${epoch}, but ${seen}`,
    });
    return false;
  });
}

/** What was seen instead of what the ack says. */
function contradiction(
  { seenAt, acks }: Publication,
  ack: Ack,
  seenIds: ReadonlySet<string>,
): string | undefined {
  const places = seenAt.get(ack.messageId);
  if (places !== undefined) {
    if (places.some((place) => isSamePlace(place, ack))) return undefined;
    return `it was seen at ${places.map(({ offset, epoch }) => `${offset} of epoch ${epoch}`).join(' and ')}`;
  }
  for (const [id, others] of seenAt) {
    const other = others.find(({ epoch }) => epoch === ack.epoch);
    if (other !== undefined) return `it was seen as ${id} at ${other.offset}`;
  }
  if (seenIds.has(ack.messageId)) return 'that is the message of another key';
  const other = acks.find(
    ({ messageId, ...place }) => messageId === ack.messageId && !isSamePlace(place, ack),
  );
  if (other === undefined) return undefined;
  return `another ack says ${other.offset} of epoch ${other.epoch}`;
}
