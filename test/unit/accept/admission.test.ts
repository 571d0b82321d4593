/** Who gets in: caps for the process and an address, a rate for an address, and counts that return. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Networks } from '#kit/address.ts';
import type { ShardId } from '#proto/names.ts';
import { Admission, type AdmissionLimits, spareConnections } from '../../../src/accept/admission.ts';

const shards = [0, 1, 2].map((shard) => shard as ShardId);
const [zero, one] = shards as [ShardId, ShardId];

function open(limits: Partial<AdmissionLimits> = {}): Admission {
  return new Admission({
    connectionsMax: 10,
    connectionsPerAddressMax: 1000,
    handshakeRate: { permits: 1000, intervalMs: 1000, burst: 0 },
    trustedProxies: new Networks([]),
    ...limits,
  });
}

function fill(admission: Admission, count: number, address = '10.0.0.1', shard = zero): void {
  for (let index = 0; index < count; index++) admission.onHandedOver(shard, address);
}

test('[ACC2] up to MAX_CONNECTIONS sockets are admitted, then they are answered that it is full', () => {
  const admission = open();
  fill(admission, 9);
  assert.equal(admission.judge('10.0.0.2', 0), 'admitted');
  fill(admission, 1);
  assert.equal(admission.judge('10.0.0.2', 0), 'full');
});

test('[ACC2] beyond the spare connections not even an answer is given', () => {
  const admission = open();
  fill(admission, 10 + spareConnections - 1);
  assert.equal(admission.judge('10.0.0.2', 0), 'full');
  fill(admission, 1);
  assert.equal(admission.judge('10.0.0.2', 0), 'destroy');
});

test('[ACC2] one address has its own cap, and the others do not feel it', () => {
  const admission = open({ connectionsPerAddressMax: 2 });
  fill(admission, 1, 'a', zero);
  fill(admission, 1, 'a', one);
  assert.equal(admission.judge('a', 0), 'too_many_from_address');
  assert.equal(admission.judge('b', 0), 'admitted');
});

test('[ACC2] one address has its own rate, which time gives back', () => {
  const admission = open({ handshakeRate: { permits: 2, intervalMs: 1000, burst: 0 } });
  const verdicts = [0, 0, 0, 499].map((nowMs) => admission.judge('a', nowMs));
  assert.deepEqual(verdicts, ['admitted', 'admitted', 'too_fast', 'too_fast']);
  assert.equal(admission.judge('b', 499), 'admitted');
  assert.equal(admission.judge('a', 500), 'admitted');
});

test('sockets refused for the caps cost no permit of the rate', () => {
  const admission = open({
    connectionsPerAddressMax: 1,
    handshakeRate: { permits: 1, intervalMs: 1000, burst: 0 },
  });
  fill(admission, 1, 'a');
  assert.equal(admission.judge('a', 0), 'too_many_from_address');
  admission.onClosed(zero, ['a']);
  assert.equal(admission.judge('a', 0), 'admitted');
});

test('a trusted proxy has no cap and no rate of its own, but the process stays bounded', () => {
  const admission = open({
    trustedProxies: new Networks(['10.0.0.1']),
    connectionsPerAddressMax: 1,
    handshakeRate: { permits: 1, intervalMs: 1000, burst: 0 },
  });
  for (let index = 0; index < 10; index++) {
    assert.equal(admission.judge('10.0.0.1', 0), 'admitted');
    fill(admission, 1, '10.0.0.1');
  }
  assert.equal(admission.judge('10.0.0.1', 0), 'full');
});

test('a socket that closed makes room for another', () => {
  const admission = open({ connectionsMax: 2, connectionsPerAddressMax: 2 });
  fill(admission, 2, 'a');
  assert.equal(admission.judge('a', 0), 'full');
  admission.onClosed(zero, ['a']);
  assert.equal(admission.judge('a', 0), 'admitted');
  assert.deepEqual([admission.total, admission.countOf(zero)], [1, 1]);
});

test('[ACC1] a shard that is gone gives back the sockets that it had, and no others', () => {
  const admission = open({ connectionsPerAddressMax: 3 });
  fill(admission, 2, 'a', zero);
  fill(admission, 1, 'a', one);
  fill(admission, 1, 'b', zero);
  assert.equal(admission.judge('a', 0), 'too_many_from_address');
  admission.onShardGone(zero);
  assert.deepEqual([admission.total, admission.countOf(zero), admission.countOf(one)], [1, 0, 1]);
  assert.equal(admission.judge('a', 0), 'admitted');
});

test('what a dead shard still reports is counted once', () => {
  const admission = open();
  fill(admission, 2, 'a', zero);
  admission.onShardGone(zero);
  admission.onClosed(zero, ['a', 'a']);
  admission.onShardGone(zero);
  fill(admission, 1, 'a', one);
  assert.deepEqual([admission.total, admission.countOf(one)], [1, 1]);
});

test('closed sockets that were never counted change nothing', () => {
  const admission = open();
  admission.onClosed(zero, ['nobody', '__proto__']);
  fill(admission, 1, 'a', zero);
  admission.onClosed(one, ['a']);
  assert.equal(admission.total, 1);
});

const addresses = ['a', 'b', 'c'];
const event = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    shard: fc.constantFrom(...shards),
    address: fc.constantFrom(...addresses),
  }),
  fc.record({
    kind: fc.constant('close' as const),
    shard: fc.constantFrom(...shards),
    address: fc.constantFrom(...addresses),
  }),
  fc.record({
    kind: fc.constant('gone' as const),
    shard: fc.constantFrom(...shards),
    address: fc.constant(''),
  }),
);

test('whatever happens, the counts are those of a plain list of sockets', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), (events) => {
      const admission = open({ connectionsMax: 1000, connectionsPerAddressMax: 5 });
      let sockets: { shard: ShardId; address: string }[] = [];
      for (const { kind, shard, address } of events) {
        if (kind === 'open') {
          admission.onHandedOver(shard, address);
          sockets.push({ shard, address });
        } else if (kind === 'close') {
          admission.onClosed(shard, [address]);
          const at = sockets.findIndex((socket) => socket.shard === shard && socket.address === address);
          sockets = sockets.filter((_, index) => index !== at);
        } else {
          admission.onShardGone(shard);
          sockets = sockets.filter((socket) => socket.shard !== shard);
        }
      }
      assert.equal(admission.total, sockets.length);
      for (const shard of shards) {
        assert.equal(admission.countOf(shard), sockets.filter((socket) => socket.shard === shard).length);
      }
      for (const address of addresses) {
        const isOver = sockets.filter((socket) => socket.address === address).length >= 5;
        assert.equal(admission.judge(address, 0), isOver ? 'too_many_from_address' : 'admitted');
      }
    }),
  );
});
