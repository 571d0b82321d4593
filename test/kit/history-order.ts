/**
 * Per sender: the order of sending is the order of offsets. The last pass of history-checker.ts. One
 * message certainly precedes another when, before every attempt that can have stored the other, it was
 * acked, or was sent earlier on the same connection and certainly taken. A sender who goes on after a lost
 * connection without resending what was unanswered, or after a refusal, gave the order up, and the checker
 * says nothing.
 */
import type { Position, ViolationList } from './history-events.ts';
import { type Attempt, joined, type Publication } from './history-publications.ts';

export interface PlacedPublication {
  publication: Publication;
  place: Position;
}

/** One sender in one epoch of a topic. */
interface Stream {
  epoch: string;
  placed: readonly PlacedPublication[];
  /** Attempts without an answer were taken all the same. */
  takesUnanswered: boolean;
}

/** A log that is out of order everywhere is told by its first faults. */
const reportedMax = 20;

export function checkSendersOrder(
  all: readonly PlacedPublication[],
  takesUnanswered: (publication: Publication) => boolean,
  violations: ViolationList,
): void {
  const streams = Map.groupBy(all, ({ publication: { tenant, topic, sender }, place }) =>
    joined(tenant, topic, sender, place.epoch),
  );
  for (const placed of streams.values()) {
    const [{ publication, place }] = placed as [PlacedPublication];
    const stream: Stream = { epoch: place.epoch, placed, takesUnanswered: takesUnanswered(publication) };
    let reported = 0;
    for (const later of suspicious(stream)) {
      if (reported === reportedMax) break;
      const earlier = placed.find(
        (candidate) => candidate.place.offset > later.place.offset && precedes(candidate, later, stream),
      );
      if (earlier === undefined) continue;
      reported++;
      report(earlier, later, violations);
    }
  }
}

function report(earlier: PlacedPublication, later: PlacedPublication, violations: ViolationList): void {
  const { tenant, topic, sender, key } = later.publication;
  const { epoch, offset } = later.place;
  violations.add(joined('sender', sender, epoch, key), {
    ...{ class: 'reordered', tenant, topic, epoch, clients: [sender] },
    offsets: [offset, earlier.place.offset],
    messages: [key, earlier.publication.key],
    sentence:
      `${sender} sent ${earlier.publication.key} before ${key}, ` +
      `but they have the offsets ${earlier.place.offset} and ${offset}`,
  });
}

/** Can have stored its message. */
const isPossible = ({ outcome }: Attempt) => outcome !== 'refused';

/** Stored its message, or found it stored, before what follows on its connection. */
function isTaken({ outcome, epoch }: Attempt, stream: Stream): boolean {
  return outcome === 'acked' ? epoch === stream.epoch : outcome === 'unanswered' && stream.takesUnanswered;
}

/** Publications with a smaller offset than something that looks earlier; one walk, exact only for single attempts. */
function suspicious(stream: Stream): PlacedPublication[] {
  const steps: { index: number; publication: PlacedPublication; attempt?: Attempt }[] = [];
  for (const publication of stream.placed) {
    for (const attempt of publication.publication.attempts) {
      if (isPossible(attempt)) steps.push({ index: attempt.index, publication, attempt });
    }
    for (const { index, epoch } of publication.publication.acks) {
      if (epoch === stream.epoch) steps.push({ index, publication });
    }
  }
  steps.sort((a, b) => a.index - b.index);
  let ackedMax = 0;
  const sentMax = new Map<string, number>();
  const met = new Set<PlacedPublication>();
  const found: PlacedPublication[] = [];
  for (const { publication, attempt } of steps) {
    const { offset } = publication.place;
    if (attempt === undefined) {
      ackedMax = Math.max(ackedMax, offset);
      continue;
    }
    const sent = sentMax.get(attempt.connection) ?? 0;
    if (!met.has(publication) && Math.max(ackedMax, sent) > offset) found.push(publication);
    met.add(publication);
    if (isTaken(attempt, stream)) sentMax.set(attempt.connection, Math.max(sent, offset));
  }
  return found;
}

function precedes(earlier: PlacedPublication, later: PlacedPublication, stream: Stream): boolean {
  const { acks, attempts } = earlier.publication;
  return later.publication.attempts
    .filter(isPossible)
    .every(
      ({ index, connection }) =>
        acks.some((ack) => ack.index < index && ack.epoch === stream.epoch) ||
        attempts.some(
          (other) => other.connection === connection && other.index < index && isTaken(other, stream),
        ),
    );
}
