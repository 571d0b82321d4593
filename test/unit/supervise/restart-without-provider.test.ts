/** A shard that must be restarted while the identity provider is away: the server waits for it, instead of giving up. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../../kit/eventually.ts';
import { TestClient } from '../../kit/test-client.ts';
import { startTestServer } from '../../kit/test-server.ts';
import { claimsWith, jwt } from '../auth/jwt-by-hand.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const body = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1' }] });

async function openProvider(port = 0): Promise<Server> {
  const provider = createServer((_request, response) => response.end(body));
  await new Promise<void>((resolve) => provider.listen(port, '127.0.0.1', resolve));
  return provider;
}

async function closeProvider(provider: Server): Promise<void> {
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
}

test('[SUP2] a shard is restarted with the keys that are known while their provider is away', async (t) => {
  const provider = await openProvider();
  const { port } = provider.address() as AddressInfo;
  const server = await startTestServer({ JWT_SECRET: '', JWT_JWKS_URL: `http://127.0.0.1:${port}/jwks` });
  t.after(() => server.stop());
  const token = jwt({ alg: 'EdDSA', kid: 'k1' }, claimsWith(), privateKey);
  await (await TestClient.connect({ url: server.url, token })).close();

  await closeProvider(provider);
  server.failpoint(0, 'shard.exit');
  await eventually('the shard is back', () => server.logs.some(({ msg }) => msg === 'the shard is back'));
  const deaths = server.logs.filter(({ msg }) => String(msg).startsWith('a shard died'));
  assert.equal(deaths.length, 1, 'it did not die again for want of keys');
  // Both shards, and the one that was restarted among them.
  for (let count = 0; count < 8; count++) {
    await (await TestClient.connect({ url: server.url, token })).close();
  }
});
