/**
 * Commands of one session whose answers are on their way, by the number of the request.
 * Thread: shard. Owned by session.ts. Empty it has no map: most connections of a large server are silent.
 */
import type { Correlation } from './ports.ts';
import type { Subscription, WaitingCommand } from './session-state.ts';

/** More are refused as `busy`. */
export const waitingMax = 1024;

export class WaitingCommands {
  #byCorrelation: Map<Correlation, WaitingCommand> | undefined;

  get isFull(): boolean {
    return (this.#byCorrelation?.size ?? 0) >= waitingMax;
  }

  add(correlation: Correlation, command: WaitingCommand): void {
    this.#byCorrelation ??= new Map();
    this.#byCorrelation.set(correlation, command);
  }

  /** Once; undefined for a command that was answered before. */
  take(correlation: Correlation): WaitingCommand | undefined {
    const command = this.#byCorrelation?.get(correlation);
    this.#byCorrelation?.delete(correlation);
    return command;
  }

  /** The request of this subscription's `Subscribe`. */
  find(subscription: Subscription): Correlation | undefined {
    for (const [correlation, command] of this.#byCorrelation ?? []) {
      if (command.subscription === subscription) return correlation;
    }
    return undefined;
  }
}
