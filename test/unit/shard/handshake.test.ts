/** What an upgrade request asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Networks } from '#kit/address.ts';
import { clientAddress } from '../../../src/shard/client-address.ts';
import { type HandshakeRequest, isOriginAllowed, readHandshake } from '../../../src/shard/handshake.ts';

const request = (fields: Partial<HandshakeRequest>): HandshakeRequest => ({
  ...{
    url: '/ws',
    host: 'app.example.com',
    origin: undefined,
    authorization: undefined,
    protocol: undefined,
  },
  ...fields,
});

test('the encoding is the subprotocol, else the query, else JSON', () => {
  const encodingOf = (fields: Partial<HandshakeRequest>) => readHandshake(request(fields), true).encoding;
  assert.equal(encodingOf({}), 'json');
  assert.equal(encodingOf({ url: '/ws?encoding=msgpack' }), 'msgpack');
  assert.equal(encodingOf({ url: '/ws?encoding=xml' }), 'json');
  assert.equal(encodingOf({ url: '/ws?encoding=msgpack', protocol: 'carillon.v1.json' }), 'json');
  assert.equal(encodingOf({ protocol: 'bearer.x, carillon.v1.msgpack' }), 'msgpack');
});

test('the token is looked for in the header, then the subprotocol, then the query where that is allowed', () => {
  const all = {
    authorization: 'Bearer header',
    protocol: 'carillon.v1.json, bearer.entry',
    url: '/ws?token=query',
  };
  assert.equal(readHandshake(request(all), true).token, 'header');
  assert.equal(readHandshake(request({ ...all, authorization: undefined }), true).token, 'entry');
  assert.equal(readHandshake(request({ url: all.url }), true).token, 'query');
  assert.equal(readHandshake(request({ url: all.url }), false).token, undefined);
  assert.equal(readHandshake(request({ authorization: 'Basic eHk=' }), true).token, undefined);
});

test('the path is found in any URL, however odd', () => {
  for (const [url, path] of [
    ['/ws', '/ws'],
    ['/ws?x', '/ws'],
    ['//evil.example/ws', '/evil.example/ws'],
    ['/a/../ws', '/ws'],
    ['', '/'],
    ['/%', '/%'],
  ]) {
    assert.equal(readHandshake(request({ url: url as string }), true).path, path);
  }
});

test('origins match exactly, the own host always, programs without an origin always', () => {
  const isAllowed = (origin: string | undefined, allowed: string[]) =>
    isOriginAllowed(request({ origin }), allowed);
  assert.equal(isAllowed(undefined, []), true);
  assert.equal(isAllowed('https://app.example.com', []), true);
  assert.equal(isAllowed('https://other.example.com', ['https://other.example.com']), true);
  assert.equal(isAllowed('https://any.example.com', ['*']), true);
  for (const origin of [
    'null',
    'https://app.example.com.evil',
    'https://evil-app.example.com',
    'https://app.example.com:444',
    '',
    'file://',
  ]) {
    assert.equal(isAllowed(origin, ['https://other.example.com']), false, origin);
  }
});

test('X-Forwarded-For is believed from trusted proxies only, read from the right', () => {
  const trusted = new Networks(['10.0.0.1', '10.0.0.2']);
  assert.equal(clientAddress('::ffff:9.9.9.9', '1.1.1.1', trusted), '9.9.9.9');
  assert.equal(clientAddress('10.0.0.1', '1.1.1.1', trusted), '1.1.1.1');
  assert.equal(clientAddress('10.0.0.1', '6.6.6.6, 1.1.1.1, 10.0.0.2', trusted), '1.1.1.1');
  assert.equal(clientAddress('10.0.0.1', undefined, trusted), '10.0.0.1');
});
