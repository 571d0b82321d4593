/** What the tests of people share: names with a home, and what a client has been told of others. */
import { HashRing } from '../../src/routing/hash-ring.ts';
import type { Envelope, TestClient } from '../kit/test-client.ts';

const ring = new HashRing(2);

/** A name of this form, of a user or topic, whose home is `shard` of two. */
export function homedAt(shard: number, form: (index: number) => string): string {
  for (let index = 0; ; index++) {
    if (ring.shardOf(`default|${form(index)}`) === shard) return form(index);
  }
}

/** Both encodings and both homes. */
export const everyWay = [
  { encoding: 'json', home: 0 },
  { encoding: 'msgpack', home: 1 },
  { encoding: 'json', home: 1 },
  { encoding: 'msgpack', home: 0 },
] as const;

/** Changes of a user that were told, oldest first; as a member of `topic`, if one is given. */
export function eventsOf(client: TestClient, user: string, topic?: string): Envelope['data'][] {
  return client
    .ofType('Presence')
    .map(({ data }) => data)
    .filter((data) => data.user === user && data.topic === topic);
}

/** How the user is, by the last that was said of that, as a reply or as a change. */
export function lastHeard(client: TestClient, user: string): string | undefined {
  for (const { type, data } of client.received.toReversed()) {
    if (type === 'Presence' && data.topic === undefined && data.user === user) return data.status;
    if (type !== 'Status' || !/^Presence(Subscribe|Query)$/.test(data.op)) continue;
    const found = data.users.find((presence: Envelope['data']) => presence.user === user);
    if (found !== undefined) return found.status;
  }
  return undefined;
}

/** What a client that follows the protocol believes of the members of a topic. */
export function membersHeard(client: TestClient, topic: string): { users: string[]; count: number } {
  let users = new Set<string>();
  let count = 0;
  for (const { type, data } of client.received) {
    if (data.topic !== topic) continue;
    if (type === 'Status' && data.op === 'Subscribe' && data.members !== undefined) {
      users = new Set(data.members.map(({ user }: Envelope['data']) => user));
      count = data.memberCount;
    }
    if (type !== 'Presence') continue;
    if (data.memberCount !== undefined) count = data.memberCount;
    else if (data.event === 'leave') {
      users.delete(data.user);
      count--;
    } else if (!users.has(data.user)) {
      users.add(data.user);
      count++;
    }
  }
  return { users: [...users].toSorted(), count };
}

/** Subscribed, or this fails. */
export async function succeed(
  client: TestClient,
  type: string,
  data: object = {},
): Promise<Envelope['data']> {
  const reply = await client.request(type, data);
  if (reply.type !== 'Status') throw new Error(`${type} was refused: ${JSON.stringify(reply.data)}`);
  return reply.data;
}
