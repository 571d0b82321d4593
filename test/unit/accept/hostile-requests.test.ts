/** Requests that no client in its right mind sends: they may be refused, and they must not end a shard. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { TestClient } from '../../kit/test-client.ts';
import { startTestServer, tokenOf } from '../../kit/test-server.ts';
import { upgrade } from './upgrade-request.ts';

/** Sends a request as these bytes; resolves when the server has answered or closed. */
async function askRaw(url: string, target: string, headers: Record<string, string>): Promise<void> {
  const [host, port] = url.split(':') as [string, string];
  const socket = connect(Number(port), host);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${target} HTTP/1.1\r\n${fields.join('')}\r\n`, 'latin1');
  socket.on('error', () => {}); // a reset is an answer, too
  socket.once('data', () => socket.destroy());
  await once(socket, 'close');
}

const hostileTargets = [
  ...[
    '/ws?%',
    '//',
    '*',
    '/ws?token=%ff',
    'http://[/ws',
    'http://%/ws',
    '/\\[',
    '/\\x:999999/',
    '/ws?token=\u00ff',
  ],
  ...[
    'http://x:99999999/ws',
    '//:@/',
    '/%',
    '/%00',
    '/..',
    '/ws#',
    '/ws?=&=&',
    'http://',
    '/api/v1/topics/%zz',
    '?',
  ],
];
const hostileValues = [
  '',
  ' ',
  ',',
  ',,',
  '[',
  '%',
  '\u0001',
  '\u00ff',
  '__proto__',
  'a'.repeat(8000),
  'http://[',
  '"',
  ';',
];

test('[DEC1] no request, however broken its target or headers, ends a shard', async (t) => {
  const victim = await startTestServer({ SHARDS: '1', TRUST_PROXY: '127.0.0.1' });
  t.after(() => victim.stop());
  const bystander = await TestClient.connect({ url: victim.url, token: tokenOf('ann') });
  const good: Record<string, string> = { host: victim.url, ...upgrade };
  const askBoth = async (target: string, headers: Record<string, string>) => {
    await askRaw(victim.url, target, headers);
    const { upgrade: _, ...plain } = headers;
    await askRaw(victim.url, target, { ...plain, connection: 'close' });
    const fatal = victim.logs.find(({ level }) => level === 'fatal');
    assert.ok(fatal === undefined, `${target} ${JSON.stringify(headers)}: ${JSON.stringify(fatal)}`);
  };
  for (const target of hostileTargets) await askBoth(target, good);
  const fields = [
    'origin',
    'authorization',
    'sec-websocket-protocol',
    'sec-websocket-key',
    'sec-websocket-extensions',
  ];
  for (const name of [...fields, 'host', 'x-forwarded-for', 'sec-websocket-version', '__proto__']) {
    for (const value of hostileValues) await askBoth('/ws', { ...good, [name]: value });
  }
  await bystander.request('Ping');
});
