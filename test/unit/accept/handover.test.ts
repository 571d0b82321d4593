/** Sockets on their way to shards that may be dead: real sockets, real threads. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Networks } from '#kit/address.ts';
import type { ShardId } from '#proto/names.ts';
import { Admission } from '../../../src/accept/admission.ts';
import { handOver } from '../../../src/accept/handover.ts';
import { Placement } from '../../../src/accept/placement.ts';
import { EchoShards } from './echo-shards.ts';

const shardCount = 3;
let server: Server;
let shards: EchoShards;
let admission: Admission;
const placement = new Placement(shardCount);

before(async () => {
  server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => void server.close());

beforeEach(() => {
  shards = new EchoShards(shardCount);
  admission = new Admission({
    connectionsMax: 100,
    connectionsPerAddressMax: 100,
    handshakeRate: { permits: 1, intervalMs: 1, burst: 0 },
    trustedProxies: new Networks([]),
  });
});
afterEach(() => shards.close());

/** A client and the other end of its connection, paused and unread. */
async function connection(): Promise<{ client: Socket; accepted: Socket }> {
  const arrived = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await arrived) as [Socket];
  return { client, accepted };
}

const peer = { address: '127.0.0.1', port: 40_000 };
const preferred = placement.candidates(`${peer.address}|${peer.port}`, () => 0);

async function answerTo(client: Socket): Promise<string> {
  client.write('hello');
  const [bytes] = (await once(client, 'data')) as [Buffer];
  client.destroy();
  return bytes.toString();
}

test('a socket goes to the first choice, with its address and verdict, and is counted there', async () => {
  const { client, accepted } = await connection();
  assert.equal(handOver(accepted, peer, 'too_fast', { shards, placement, admission }), 'handed over');
  assert.equal(await answerTo(client), `${preferred[0]} 127.0.0.1 too_fast hello`);
  assert.deepEqual([admission.total, admission.countOf(preferred[0] as ShardId)], [1, 1]);
});

test('[ACC1] a thread that has ended is noticed, and the next shard takes the socket', async () => {
  await shards.kill(preferred[0] as ShardId);
  const { client, accepted } = await connection();
  assert.equal(handOver(accepted, peer, 'admitted', { shards, placement, admission }), 'handed over');
  assert.equal(await answerTo(client), `${preferred[1]} 127.0.0.1 admitted hello`);
  assert.deepEqual(shards.asked, preferred.slice(0, 2));
  assert.deepEqual([admission.total, admission.countOf(preferred[0] as ShardId)], [1, 0]);
});

test('[ACC1] a shard that is known to be down is not asked', async () => {
  shards.down.add(preferred[0] as ShardId);
  const { client, accepted } = await connection();
  handOver(accepted, peer, 'admitted', { shards, placement, admission });
  assert.equal(await answerTo(client), `${preferred[1]} 127.0.0.1 admitted hello`);
  assert.deepEqual(shards.asked, [preferred[1]]);
});

test('[ACC1] when no shard can take it the socket is closed, not kept, and not counted', async () => {
  await Promise.all(preferred.map((shard) => shards.kill(shard)));
  const { client, accepted } = await connection();
  const closed = once(client, 'close');
  client.resume();
  assert.equal(handOver(accepted, peer, 'admitted', { shards, placement, admission }), 'nowhere');
  await closed;
  assert.equal(accepted.destroyed, true);
  assert.deepEqual(shards.asked, preferred);
  assert.equal(admission.total, 0);
});

test('a shard that has more than its share is passed over', async () => {
  for (let count = 0; count < 10; count++) admission.onHandedOver(preferred[0] as ShardId, '10.0.0.1');
  const { client, accepted } = await connection();
  handOver(accepted, peer, 'admitted', { shards, placement, admission });
  assert.match(await answerTo(client), new RegExp(`^${preferred[1]} `));
});
