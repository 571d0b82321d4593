/**
 * The way from the actors and sessions of this shard to the store's thread.
 * Thread: shard. Called by logs (append, ask) and by history-port.ts; answers come by ring-intake.ts.
 * The fate of an append is never guessed: what a store thread that died has not answered is asked again of the next one,
 * which stores each message id once. Questions are not worth that: they fail, and are asked again by whoever needs them.
 */
import { storePeer } from '#proto/names.ts';
import type { RecordBodies, StoreAppendedBody, StoreEntryBody } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type {
  AppendRequest,
  AppendSettled,
  LogStore,
  QueryRequest,
  QueryResult,
  Sent,
} from '../log/ports.ts';
import type { StoreQueryName } from '../store/history-store.ts';
import { packObject, unpackObject } from '../wire/codec.ts';

/** Appends of one shard that the store has not answered, and questions; more are `busy`. */
const unsettledMax = 10_000;
const correlationMax = 0xffff_ffff;

interface Unsettled {
  body: StoreEntryBody;
  onSettled: (settled: AppendSettled) => void;
}

export class StorePort implements LogStore {
  readonly #links: ThreadLinks;
  /** In the order of submission, which is the order in which a new store thread is asked again. */
  readonly #appends = new Map<number, Unsettled>();
  readonly #questions = new Map<number, (result: unknown) => void>();
  #epoch: string | undefined;
  /** At the start, and before the store's first word, nothing is refused: what is asked waits for it. */
  #state: 'starting' | 'up' | 'down' = 'starting';
  readonly #early: (() => void)[] = [];
  #last = 0;

  constructor(links: ThreadLinks) {
    this.#links = links;
  }

  get epoch(): string | undefined {
    return this.#epoch;
  }

  append = (request: AppendRequest, onSettled: (settled: AppendSettled) => void): Sent => {
    if (this.#state === 'down') return 'down';
    if (this.#appends.size >= unsettledMax) return 'full';
    const body = bodyOf(request);
    const correlation = this.#nextCorrelation();
    if (this.#state === 'up') {
      const sent = this.#links.send(storePeer, 'storeAppend', correlation, body);
      if (sent !== 'taken') return sent === 'down' ? 'down' : 'full';
    }
    this.#appends.set(correlation, { body, onSettled });
    return 'sent';
  };

  ask = <Name extends StoreQueryName>(
    name: Name,
    request: QueryRequest<Name>,
    onResult: (result: QueryResult<Name> | undefined) => void,
  ): Sent => {
    if (this.#state === 'down') return 'down';
    if (this.#questions.size + this.#early.length >= unsettledMax) return 'full';
    if (this.#state === 'starting') {
      this.#early.push(() => {
        if (this.ask(name, request, onResult) !== 'sent') onResult(undefined);
      });
      return 'sent';
    }
    const correlation = this.#nextCorrelation();
    const sent = this.#links.send(storePeer, 'storeQuery', correlation, [name, packObject(request)]);
    if (sent !== 'taken') return sent === 'down' ? 'down' : 'full';
    this.#questions.set(correlation, onResult as (result: unknown) => void);
    return 'sent';
  };

  /** A store thread is there: the first one, or one after a death. */
  onHello(epoch: string): void {
    this.#epoch = epoch;
    this.#state = 'up';
    for (const [correlation, { body }] of this.#appends) {
      this.#links.send(storePeer, 'storeReappend', correlation, body);
    }
    for (const ask of this.#early.splice(0)) ask();
  }

  onDown(): void {
    this.#state = 'down';
    for (const ask of this.#early.splice(0)) ask();
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const onResult of questions) onResult(undefined);
  }

  onResult(correlation: number, body: RecordBodies['storeResult']): void {
    const onResult = this.#questions.get(correlation);
    this.#questions.delete(correlation);
    onResult?.(body[0] ? unpackObject(body[1]) : undefined);
  }

  onAppended(correlation: number, body: RecordBodies['storeAppended']): void {
    const unsettled = this.#appends.get(correlation);
    this.#appends.delete(correlation);
    unsettled?.onSettled(settledOf(body));
  }

  #nextCorrelation(): number {
    this.#last = this.#last === correlationMax ? 1 : this.#last + 1;
    return this.#last;
  }
}

function bodyOf(request: AppendRequest): StoreEntryBody {
  const { kind, topic, messageId, target, mayAmendAny, from, peer, copy } = request;
  const { key, digest, event, priority, timestampMs, payload } = request;
  return [
    ...([kind, topic, messageId, target ?? null, mayAmendAny, from, peer ?? null] as const),
    copy === undefined ? null : [copy.topic, copy.peer, copy.home, copy.except ?? null],
    ...([key ?? null, digest, event ?? null, priority ?? null, timestampMs, payload] as const),
  ];
}

function settledOf(body: StoreAppendedBody): AppendSettled {
  switch (body[0]) {
    case 'stored':
      return { state: 'stored', offset: body[1], copyOffset: body[2] ?? undefined };
    case 'duplicate':
      return { state: 'duplicate', offset: body[1], copyOffset: body[2] ?? undefined, messageId: body[3] };
    default:
      return { state: body[0] };
  }
}
