/** Where a new socket goes: where its peer's hash says, unless that shard has more than its share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ShardId } from '#proto/names.ts';
import { Placement } from '../../../src/accept/placement.ts';

const noLoad = () => 0;

test('every shard is a candidate, once', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.nat(1000), { minLength: 1, maxLength: 16 }), (peer, loads) => {
      const candidates = new Placement(loads.length).candidates(peer, (shard) => loads[shard] as number);
      assert.deepEqual(
        candidates.toSorted((a, b) => a - b),
        loads.map((_, shard) => shard),
      );
    }),
  );
});

test('the same peer goes to the same shard as long as the loads allow it', () => {
  const placement = new Placement(8);
  for (let port = 0; port < 1000; port++) {
    const peer = `10.0.0.1|${port}`;
    assert.deepEqual(new Placement(8).candidates(peer, noLoad), placement.candidates(peer, noLoad));
  }
});

test('a shard above its share is passed over, and stays the last resort', () => {
  const placement = new Placement(2);
  const [first, second] = placement.candidates('peer', noLoad) as [ShardId, ShardId];
  const overloaded = placement.candidates('peer', (shard) => (shard === first ? 100 : 10));
  assert.deepEqual(overloaded, [second, first]);
});

test('the first candidate has less than a quarter more than the mean, whatever the loads', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.nat(1000), { minLength: 1, maxLength: 16 }), (peer, loads) => {
      const [first] = new Placement(loads.length).candidates(peer, (shard) => loads[shard] as number);
      const mean = (loads.reduce((sum, load) => sum + load, 0) + 1) / loads.length;
      assert.ok((loads[first as number] as number) < Math.ceil(mean * 1.25), `${loads.join(' ')} → ${first}`);
    }),
  );
});

test('sockets placed one after the other never load a shard a quarter above the mean', () => {
  for (const shardCount of [2, 3, 8]) {
    const placement = new Placement(shardCount);
    const loads = Array.from({ length: shardCount }, () => 0);
    let atHome = 0;
    for (let port = 0; port < 10_000; port++) {
      const peer = `10.0.0.1|${port}`;
      const [first] = placement.candidates(peer, (shard) => loads[shard] as number) as [ShardId];
      if (first === placement.candidates(peer, noLoad)[0]) atHome++;
      loads[first]!++;
    }
    assert.ok(Math.max(...loads) <= Math.ceil((10_000 / shardCount) * 1.25), loads.join(' '));
    assert.ok(atHome > 9_500, `${atHome} of 10000 went where the hash says`);
  }
});

test('one shard takes everything', () => {
  assert.deepEqual(
    new Placement(1).candidates('peer', () => 1_000_000),
    [0],
  );
});
