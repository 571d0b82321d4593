/**
 * The circuit breaker between the store's thread and its database.
 * Thread: store. Called by store-control.ts for every write. Open, it answers at once that the store cannot be used, so that
 * nothing piles up behind a database that is away; a probe looks every few seconds whether it is back.
 */
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
} from 'cockatiel';
import { StoreUnavailableError } from './history-store.ts';

/** Failures in a row, each of which has waited for its timeout. */
const failuresMax = 3;
/** Between two looks at a database that is away, milliseconds. */
export const probeEveryMs = 2_000;

export interface StoreBreakerEvents {
  /** Writes are refused from now on, or taken again. */
  onChange: (isUp: boolean) => void;
  /** As the metric has it: 0 closed, 1 half open, 2 open. */
  onState: (state: 0 | 1 | 2) => void;
}

const stateNumbers: Record<CircuitState, 0 | 1 | 2> = {
  [CircuitState.Closed]: 0,
  [CircuitState.HalfOpen]: 1,
  [CircuitState.Open]: 2,
  [CircuitState.Isolated]: 2,
};

export class StoreBreaker {
  readonly #policy: CircuitBreakerPolicy;
  readonly #probe: () => Promise<unknown>;
  readonly #events: StoreBreakerEvents;
  #isUp = true;
  #prober: NodeJS.Timeout | undefined;

  /** `probe` is the smallest thing that only works when the database does. */
  constructor(probe: () => Promise<unknown>, events: StoreBreakerEvents) {
    this.#probe = probe;
    this.#events = events;
    this.#policy = circuitBreaker(handleAll, {
      halfOpenAfter: probeEveryMs / 2,
      breaker: new ConsecutiveBreaker(failuresMax),
    });
    this.#policy.onStateChange((state) => this.#onState(state));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Rejects as `call` does, or with StoreUnavailableError without calling it. */
  async run<Result>(call: () => Promise<Result>): Promise<Result> {
    if (!this.#isUp) throw new StoreUnavailableError('the database is away');
    return this.#policy.execute(call);
  }

  close(): void {
    clearInterval(this.#prober);
  }

  #onState(state: CircuitState): void {
    this.#events.onState(stateNumbers[state]);
    const isUp = state === CircuitState.Closed;
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    clearInterval(this.#prober);
    if (!isUp) this.#prober = setInterval(() => this.#look(), probeEveryMs);
    this.#events.onChange(isUp);
  }

  #look(): void {
    this.#policy.execute(this.#probe).catch(() => {}); // still away: the state says so
  }
}
