/** What the clients of a simulation write down: what they sent, and what they saw. Read by sim-judge.ts. */
export interface SimPosition {
  offset: number;
  epoch: string;
}

export type SimStep =
  | { kind: 'connect' | 'close' }
  | { kind: 'invoke'; topic: string; key: string; body: string; to: string | undefined }
  | { kind: 'ack'; key: string; messageId: string; isDuplicate: boolean; position: SimPosition | undefined }
  | { kind: 'reject'; key: string; code: string }
  | { kind: 'amended'; places: { topic: string; key: string }[]; target: string; position: SimPosition }
  | { kind: 'subscribe'; topic: string; from: SimPosition | undefined; filter: string | undefined }
  | { kind: 'resubscribe'; topic: string; since: SimPosition; filter: string | undefined }
  | { kind: 'unsubscribe'; topic: string }
  | { kind: 'gap'; topic: string; signal: 'unrecovered' | 'ended'; from?: SimPosition; since?: SimPosition }
  | ({ kind: 'deliver'; topic: string } & SeenFrame);

/** `stream`: what a client reads of its inbox from before its connection is a subscription of its own. */
export type SimEvent = { at: number; client: string; stream: 'live' | 'back' } & SimStep;

export interface SeenFrame {
  type: string;
  messageId: string;
  offset: number;
  epoch: string | undefined;
  from: string;
  target: string | undefined;
  payload: { k?: string; v?: string } | null | undefined;
  isReplay: boolean;
}
