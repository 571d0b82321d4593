/** What is wanted of a device, and how far a connection is with it. */
import type { ToldPresence } from './sim-presence-events.ts';

/** What the plan wants of a device. */
export interface Want {
  status: string;
  deviceId: string | undefined;
  follows: Set<string>;
  topics: Set<string>;
}

/** What proves that a session is a client's own. */
export interface SessionNameOf {
  sessionId: string;
  resumeToken: string;
}

export type State = 'asked' | 'on' | 'leaving';
export interface Part {
  state: State;
  ackedAtMs: number;
}

/** A topic, as the replies to `Subscribe` and `Resume` tell of it. */
export interface ToldTopic {
  topic: string;
  offset?: number;
  epoch?: string;
  recovered?: boolean;
  members?: ToldPresence[];
}

export function difference(
  wanted: Set<string>,
  parts: Map<string, Part>,
): { missing: string[]; extra: string[] } {
  return {
    missing: [...wanted].filter((name) => !parts.has(name)),
    extra: [...parts]
      .filter(([name, { state }]) => state === 'on' && !wanted.has(name))
      .map(([name]) => name),
  };
}

export function firstWrong(wanted: Set<string>, parts: Map<string, Part>): string | undefined {
  const missing = [...wanted].find((name) => parts.get(name)?.state !== 'on');
  return missing ?? [...parts.keys()].find((name) => !wanted.has(name));
}
