/** What the parent and the load of the store's scenarios say to each other (IPC). Types only. */

/** `publisherCount` clients, each with a topic of its own, who wait for their acks. */
export interface AckOrder {
  do: 'acks';
  port: number;
  tokens: string[];
  publisherCount: number;
  payloadBytes: number;
  seconds: number;
  /** All publishers together, open loop; or so many unacked for each, closed loop. */
  pace: { publishesPerSecond: number } | { unackedPerPublisher: number };
}

export interface AckReport {
  acked: number;
  /** Errors instead of acks: `busy` and the like. */
  refused: number;
  /** From the time a message was due to its ack. */
  p50Ms: number;
  p99Ms: number;
  tookMs: number;
  lateMaxMs: number;
}

/** `publishes` messages into one topic, then `clientCount` clients who come back to it at once, having missed `missed`. */
export interface ComeBackOrder {
  do: 'comeBack';
  port: number;
  tokens: string[];
  clientCount: number;
  missed: number;
  payloadBytes: number;
}

export interface ComeBackReport {
  /** Messages that came, of `clientCount * missed`. */
  recovered: number;
  expected: number;
  /** From the subscriptions to the last message. */
  tookMs: number;
}

export type LogOrder = AckOrder | { do: 'prepare'; order: ComeBackOrder } | ComeBackOrder;
export type LogReply = { acks: AckReport } | { prepared: true } | { cameBack: ComeBackReport };
