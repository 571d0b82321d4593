/** A drain that begins while a shard is being restarted: the new one does not serve those whom the others send away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { clientsOnShards } from '../kit/test-client.ts';
import { startTestServer, tokenOf } from '../kit/test-server.ts';

test('[DRN1] a shard that becomes ready during a drain ends instead of serving', async (t) => {
  const server = await startTestServer();
  t.after(() => server.stop());
  const clients = await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 1]);
  const logged = (msg: string) => server.logs.some((line) => line['msg'] === msg);
  server.failpoint(1, 'shard.exit');
  await eventually('the restart is under way', () => logged('a shard died and is restarted'));
  await server.drain();
  assert.equal(logged('the shard is back'), false);
  assert.equal(await clients[0]!.closeCode(), 4000);
});
