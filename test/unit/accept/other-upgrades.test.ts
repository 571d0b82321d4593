/** Upgrades to something that is no WebSocket: ignored, as RFC 9110 (7.8) allows, and the request is answered as usual. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { startTestServer, type TestServer } from '../../kit/test-server.ts';
import { ask, upgrade } from './upgrade-request.ts';

const apiKey = 'an-api-key-of-the-tests';
let server: TestServer;
before(async () => {
  server = await startTestServer({ API_KEYS: apiKey });
});
after(() => server.stop());

const h2c = {
  connection: 'Upgrade, HTTP2-Settings',
  upgrade: 'h2c',
  'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA',
};

for (const protocol of ['h2c', 'H2C', 'TLS/1.2', 'h2c, websocket', 'websockets', 'IRC/6.9']) {
  test(`Upgrade: ${protocol} on /health is answered with 200 as usual`, async () => {
    const { status, body, headers } = await ask(server.url, '/health', { ...h2c, upgrade: protocol });
    assert.deepEqual([status, JSON.parse(body)], [200, { status: 'ok' }]);
    assert.ok(headers['x-request-id']);
  });
}

test('Upgrade: h2c on /ws is 426, and on nothing 404 as for any request', async () => {
  const answer = await ask(server.url, '/ws', h2c);
  assert.deepEqual([answer.status, answer.headers['upgrade']], [426, 'websocket']);
  const { status, body } = await ask(server.url, '/nowhere', h2c);
  assert.equal(status, 404);
  assert.equal((JSON.parse(body) as { error: { code: string } }).error.code, 'not_found');
});

test('[ACC4] a WebSocket upgrade of /health is 404', async () => {
  for (const spelling of ['websocket', 'WebSocket', 'WEBSOCKET']) {
    const { status, body } = await ask(server.url, '/health', { ...upgrade, upgrade: spelling });
    assert.equal(status, 404);
    assert.equal((JSON.parse(body) as { error: { code: string } }).error.code, 'path');
  }
});

test('a body is read and the call answered although it asks for an upgrade to h2c', async () => {
  const headers = { ...h2c, 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
  const sent = request(`http://${server.url}/api/v1/publish`, { method: 'POST', headers, agent: false });
  sent.end(JSON.stringify({ topic: 'a', payload: 1 }));
  const [response] = await once(sent, 'response');
  response.resume();
  await once(response, 'end');
  assert.equal(response.statusCode, 200);
});

test('a connection that asked for an upgrade to h2c carries further requests', async () => {
  const [host, port] = server.url.split(':') as [string, string];
  const socket = connect(Number(port), host);
  let heard = '';
  const twice = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(heard)));
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1');
      if (heard.match(/\{"status":"ok"\}/g)?.length === 2) resolve();
    });
  });
  const lines = Object.entries(h2c).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /health HTTP/1.1\r\nhost: x\r\n${lines.join('')}\r\n`);
  await once(socket, 'data');
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
  await twice;
  socket.destroy();
  assert.equal(heard.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
});
