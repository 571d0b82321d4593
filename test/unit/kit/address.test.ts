/** Addresses and networks: what is one, and what is in one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNetwork, Networks, normalAddress } from '#kit/address.ts';
import { ConfigError, parseConfig } from '../../../src/config/load-config.ts';

const members: [network: string, inside: string[], outside: string[]][] = [
  ['10.0.0.1', ['10.0.0.1'], ['10.0.0.2', '10.0.0.10', '110.0.0.1']],
  ['10.0.0.0/8', ['10.0.0.0', '10.1.2.3', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '127.0.0.1']],
  ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127', '192.0.3.128']],
  ['192.0.2.200/25', ['192.0.2.129'], ['192.0.2.1']],
  ['192.0.2.4/32', ['192.0.2.4'], ['192.0.2.5']],
  ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['2001:db8::1']],
  ['2001:db8::1', ['2001:db8::1', '2001:0db8:0:0:0:0:0:1', '2001:DB8::1'], ['2001:db8::2']],
  ['2001:db8::/32', ['2001:db8::', '2001:db8:ffff::1'], ['2001:db9::1', '10.0.0.1']],
  ['fe80::/10', ['fe80::1', 'fe80::1%eth0', 'febf::1'], ['fec0::1']],
  ['::1/128', ['::1'], ['::2', '127.0.0.1']],
];
for (const [network, inside, outside] of members) {
  test(`${network} holds its addresses, and no other`, () => {
    assert.equal(isNetwork(network), true);
    const networks = new Networks([network]);
    for (const address of inside) assert.equal(networks.has(address), true, address);
    for (const address of outside) assert.equal(networks.has(address), false, address);
  });
}

test('IPv4 addresses inside IPv6 are the IPv4 addresses that they hold', () => {
  assert.equal(normalAddress('::ffff:10.1.2.3'), '10.1.2.3');
  assert.equal(normalAddress('::ffff:1'), '::ffff:1');
  assert.equal(normalAddress('2001:db8::1'), '2001:db8::1');
  const networks = new Networks(['10.0.0.0/8']);
  for (const address of ['::ffff:10.1.2.3', '::ffff:0a01:0203']) {
    assert.equal(networks.has(address), true, address);
    assert.equal(networks.has(normalAddress(address)), true, address);
  }
  assert.equal(networks.has('::ffff:11.1.2.3'), false);
  for (const entry of ['::ffff:10.0.0.1', '::ffff:10.0.0.0/104']) {
    assert.equal(new Networks([entry]).has('10.0.0.1'), true, entry);
    assert.equal(new Networks([entry]).has('11.0.0.1'), false, entry);
  }
});

test('an address that is in one of several networks is in the set; an empty set holds nobody', () => {
  const networks = new Networks(['127.0.0.1', '10.0.0.0/8', '2001:db8::/32']);
  for (const address of ['127.0.0.1', '10.9.9.9', '2001:db8::7'])
    assert.equal(networks.has(address), true, address);
  assert.equal(networks.has('127.0.0.2'), false);
  assert.equal(new Networks([]).has('127.0.0.1'), false);
});

const junk = [
  '',
  ' ',
  'localhost',
  'proxy.example.com',
  '10.0.0',
  '10.0.0.256',
  '10.0.0.1:80',
  '[::1]',
  '::ffff:',
  'unknown',
  '*',
  '10.0.0.0/8',
];
test('what is no address is in no network, and does not throw', () => {
  const networks = new Networks(['0.0.0.0/0', '::/0']);
  for (const address of [...junk, '😀', '1'.repeat(10_000), '\u0000'])
    assert.equal(networks.has(address), false, address);
});

const noNetworks = [
  ...junk.filter((entry) => entry !== '10.0.0.0/8' && entry.trim() !== ''),
  '10.0.0.0/33',
  '2001:db8::/129',
  '10.0.0.0/',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '10.0.0.0/8.5',
  '10.0.0.0/1e1',
  '10.0.0.0/255.0.0.0',
  '10.0.0.0/x',
  '/8',
  '10/8',
];
for (const entry of noNetworks) {
  test(`TRUST_PROXY=${entry} ends the start with the name of the setting and what is allowed`, () => {
    assert.equal(isNetwork(entry), false);
    for (const value of [entry, `127.0.0.1, ${entry}`, `${entry},10.0.0.0/8`]) {
      assert.throws(
        () => parseConfig({ TRUST_PROXY: value }, false),
        (error) =>
          error instanceof ConfigError &&
          /^TRUST_PROXY is ".*"; allowed is .*10\.0\.0\.0\/8/.test(error.message),
        value,
      );
    }
  });
}

test('TRUST_PROXY takes addresses and networks of both kinds, with spaces and without', () => {
  const { trustProxy } = parseConfig({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8,::1 ,2001:db8::/32,' }, false);
  assert.deepEqual(trustProxy, ['127.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32']);
  assert.deepEqual(parseConfig({}, false).trustProxy, []);
});
