/** What devices of a simulation write down about themselves and others. Read by sim-presence-judge.ts. */
export type PresenceStep =
  /** The connection of `life` is there. */
  | { kind: 'here'; shard: number }
  /** It was lost, or ended (`isOver`: for good). */
  | { kind: 'gone'; isOver: boolean }
  /** It goes on where another one ended. */
  | { kind: 'took' }
  | { kind: 'says'; status: string; isAcked: boolean }
  /** Of a topic, from the reply on; `isOver`: until it was ended, and not just lost. */
  | { kind: 'member'; topic: string }
  | { kind: 'left'; topic: string }
  /** Told of another user, as a member of `topic` or at all. */
  | { kind: 'heard'; of: string; topic: string | undefined; isThere: boolean };

export type PresenceEvent = { at: number; life: string; user: string } & PresenceStep;

/** One user as others see it, in one line. */
export type Word = string;

interface ToldDevice {
  id?: string;
  status: string;
}

export interface ToldPresence {
  user: string;
  status: string;
  devices?: ToldDevice[];
  topic?: string;
  event?: string;
  memberCount?: number;
}

export function wordOf(status: string, devices: readonly ToldDevice[]): Word {
  if (status === 'offline') return 'offline';
  const here = devices.filter((device) => device.status !== 'offline');
  const names = here.map((device) => `${device.id ?? '-'}:${device.status}`).sort();
  return `${status} ${names.join(' ')}`;
}

/** What a client believes of others, by what it was told, in the order of telling. */
export class PresenceView {
  readonly users = new Map<string, Word>();
  readonly topics = new Map<string, Map<string, Word>>();

  constructor(before?: PresenceView) {
    for (const [user, word] of before?.users ?? []) this.users.set(user, word);
  }

  /** A reply's list of users. */
  list(users: readonly ToldPresence[]): void {
    for (const { user, status, devices = [] } of users) this.users.set(user, wordOf(status, devices));
  }

  /** A reply's list of members. */
  members(topic: string, users: readonly ToldPresence[]): void {
    this.topics.set(
      topic,
      new Map(users.map(({ user, status, devices = [] }) => [user, wordOf(status, devices)])),
    );
  }

  onTold({ user, status, devices = [], topic, event }: ToldPresence): void {
    const word = wordOf(status, devices);
    if (topic === undefined) this.users.set(user, word);
    else if (event === 'leave') this.topics.get(topic)?.delete(user);
    else this.topics.get(topic)?.set(user, word);
  }
}
