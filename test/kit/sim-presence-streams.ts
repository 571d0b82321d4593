/** What a device of a simulation has of a topic or of its inbox: holes, doubles and disorder are faults. */
import type { SimPosition } from './sim-events.ts';

export interface Delivery {
  topic: string;
  offset: number | undefined;
  isReplay: boolean;
}

/** One subscription of one connection. */
export class TopicStream {
  /** Everything up to there; undefined where the topic has no log. */
  have: SimPosition | undefined;
  /** Of the last one that came; undefined: some may come twice. */
  #last: number | undefined;
  #isLive = false;

  /** `isSure`: nothing may come twice. */
  constructor(have: SimPosition | undefined, isSure: boolean) {
    this.have = have && { ...have };
    this.#last = isSure ? have?.offset : undefined;
  }

  /** What is wrong with it. */
  onDelivery({ topic, offset, isReplay }: Delivery): string | undefined {
    if (offset === undefined || this.have === undefined) return undefined;
    const [last, have] = [this.#last, this.have.offset];
    this.#last = offset;
    this.have.offset = Math.max(have, offset);
    if (isReplay && this.#isLive) return `${topic} ${offset} is replayed behind what is live`;
    if (!isReplay) this.#isLive = true;
    if (last === undefined ? offset > have + 1 : offset !== last + 1)
      return `${topic} ${offset} came behind ${last ?? `at most ${have}`}`;
    return undefined;
  }
}

/** The inbox of one connection: live from its start on; what was before is replayed on request. */
export class InboxStream {
  readonly #got = new Set<number>();
  #base: SimPosition | undefined;
  #isDoubleFine = true;
  /** Some of it is lost, and the client was told. */
  isBlind = false;

  get have(): SimPosition | undefined {
    if (this.#base === undefined || this.isBlind) return undefined;
    let { offset } = this.#base;
    while (this.#got.has(offset + 1)) offset++;
    return { offset, epoch: this.#base.epoch };
  }

  /** Where the connection began, or (`isSure`: by the client's own word) where it goes on. */
  begin(base: SimPosition | undefined, isSure: boolean): void {
    this.#base = base && { ...base };
    this.#isDoubleFine = !isSure;
    if (base === undefined) this.isBlind = true;
  }

  onDelivery({ topic, offset }: Delivery): string | undefined {
    if (offset === undefined || this.isBlind) return undefined;
    const isDouble = this.#got.has(offset) || offset <= (this.#base?.offset ?? 0);
    this.#got.add(offset);
    return isDouble && !this.#isDoubleFine ? `${topic} ${offset} came twice` : undefined;
  }
}
