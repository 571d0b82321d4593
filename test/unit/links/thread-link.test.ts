/** Two ends of a link over real rings, in one thread: order, bounds, pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '#kit/clock.ts';
import type { ShardId } from '#proto/names.ts';
import type { RecordHeader } from '#proto/record.ts';
import { ThreadLink } from '../../../src/links/thread-link.ts';
import { allocateMetrics, MetricsRow } from '../../../src/observe/metrics-table.ts';
import { allocateRing } from '../../../src/ring/ring-layout.ts';

const ringBytes = 65_536;

function pair() {
  const [there, back] = [allocateRing(ringBytes, 1), allocateRing(ringBytes, 1)];
  const { port1, port2 } = new MessageChannel();
  const metrics = new MetricsRow(allocateMetrics(1), 0);
  const ctx = (self: number) => ({ self: self as ShardId, clock: systemClock, metrics });
  const one = new ThreadLink({ outbound: there, inbound: back, doorbell: port1 }, ctx(0), () => {});
  const other = new ThreadLink({ outbound: back, inbound: there, doorbell: port2 }, ctx(1), () => {});
  const received: { header: RecordHeader; body: Uint8Array }[] = [];
  const read = () => other.read((header, body) => received.push({ header, body }), 10_000);
  return {
    ...{ one, other, received, read, metrics },
    close() {
      one.close();
      other.close();
    },
  };
}

const body = (number: number, bytes = 1000) => Buffer.alloc(bytes, number % 251);

test('records arrive in order with their headers, and the bodies are owned', () => {
  const { one, received, read, close } = pair();
  for (let number = 0; number < 5; number++) one.send('topicPublish', number + 1, body(number));
  read();
  one.send('topicPublish', 9, body(9));
  assert.deepEqual(
    received.map(({ header }) => [header.kind, header.correlation, header.fromShard]),
    [1, 2, 3, 4, 5].map((correlation) => ['topicPublish', correlation, 0]),
  );
  assert.deepEqual(
    received.map((record) => record.body[0]),
    [0, 1, 2, 3, 4],
  );
  close();
});

test('[RNG4] what does not fit into the ring waits in order and goes out when there is room', () => {
  const { one, received, read, metrics, close } = pair();
  for (let number = 0; number < 300; number++)
    assert.equal(one.send('topicDeliver', 0, body(number)), 'taken');
  assert.equal(one.hasBacklog, true);
  assert.ok(metrics.get('ringBacklogBytes') > 0);
  while (one.hasBacklog) {
    read();
    one.flush();
  }
  read();
  assert.deepEqual(
    received.map((record) => record.body[0]),
    Array.from({ length: 300 }, (_, number) => number % 251),
  );
  assert.equal(metrics.get('ringBacklogBytes'), 0);
  close();
});

test('[RNG4] past the bound requests are refused and deliveries dropped, counted; answers and goodbyes still wait', () => {
  const { one, received, read, metrics, close } = pair();
  while (one.send('topicDeliver', 0, body(1, 4000)) === 'taken');
  assert.ok(metrics.get('ringBacklogBytes') < 10 * ringBytes);
  assert.equal(one.send('topicPublish', 5, body(2)), 'refused');
  assert.equal(one.send('topicDeliver', 0, body(2)), 'dropped');
  assert.equal(one.send('answer', 6, body(3)), 'taken');
  assert.equal(one.send('topicUnsubscribe', 0, body(3)), 'taken');
  assert.equal(one.send('topicResubscribe', 0, body(3)), 'taken');
  assert.equal(one.send('userCopy', 0, body(3)), 'dropped');
  assert.deepEqual([metrics.getOf('ringShed', 'refused'), metrics.getOf('ringShed', 'dropped')], [1, 3]);
  while (one.hasBacklog) {
    read();
    one.flush();
  }
  read();
  assert.deepEqual(
    received.slice(-3).map(({ header }) => header.kind),
    ['answer', 'topicUnsubscribe', 'topicResubscribe'],
  );
  close();
});

test('a body larger than a record travels in pieces and arrives whole, between others', () => {
  const { one, received, read, close } = pair();
  const large = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 253));
  one.send('topicPublish', 1, body(1));
  one.send('topicPublish', 2, large);
  one.send('topicPublish', 3, Buffer.alloc(0));
  while (received.length < 3) {
    read();
    one.flush();
  }
  assert.deepEqual(
    received.map(({ header, body: bytes }) => [header.correlation, bytes.length]),
    [
      [1, 1000],
      [2, 200_000],
      [3, 0],
    ],
  );
  assert.ok(large.equals(received[1]!.body));
  close();
});

test('[RNG2] the doorbell rings once for a sleeping reader, and not for one that is awake', () => {
  const { one, other, read, metrics, close } = pair();
  one.send('topicPublish', 1, body(1));
  one.send('topicPublish', 2, body(1));
  one.flush();
  one.send('topicPublish', 3, body(1));
  one.flush();
  assert.equal(metrics.get('ringDoorbells'), 1);
  assert.equal(other.tryArm(), false);
  read();
  assert.equal(other.tryArm(), true);
  one.send('topicPublish', 4, body(1));
  one.flush();
  assert.equal(metrics.get('ringDoorbells'), 2);
  close();
});

test('a link that was closed takes nothing, and leaves nothing in the gauges', () => {
  const { one, other, received, read, metrics } = pair();
  while (metrics.get('ringBacklogBytes') === 0) one.send('storeResult', 1, body(1));
  const arrived = metrics.get('ringRecords');
  one.close();
  assert.equal(metrics.get('ringBacklogBytes'), 0, 'what waited is gone with it');
  const shed = metrics.getOf('ringShed', 'dropped') + metrics.getOf('ringShed', 'refused');
  for (let count = 0; count < 20; count++) {
    assert.equal(one.send('storeResult', 1, body(1, 10_000)), 'dropped');
    assert.equal(one.send('topicDeliver', 1, body(1)), 'dropped');
    assert.equal(one.send('topicPublish', 1, body(1)), 'refused');
  }
  one.flush();
  read();
  assert.ok(received.every(({ header }) => header.kind === 'storeResult'));
  assert.deepEqual([metrics.get('ringBacklogBytes'), metrics.get('ringRecords')], [0, arrived]);
  assert.equal(metrics.getOf('ringShed', 'dropped') + metrics.getOf('ringShed', 'refused'), shed);
  other.close();
});
