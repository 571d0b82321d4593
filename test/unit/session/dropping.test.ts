/** A client that does not keep up: what may be dropped is dropped first, what may not is kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryClass } from '#proto/record.ts';
import { SessionWorld } from '../../kit/session-world.ts';

const bytesMax = 10_000;

/** A session with so much on its way already; what it took of each class, one byte at a time. */
function takenBehind(stuckBytes: number) {
  const world = new SessionWorld({ outboxBytesMax: bytesMax });
  const { session, transport } = world.open();
  transport.stuckBytes = stuckBytes;
  const classes: DeliveryClass[] = ['typing', 'low', 'normal', 'urgent'];
  const before = transport.written.length;
  for (const [index, delivery] of classes.entries()) session.deliver(Uint8Array.of(index), 1, delivery);
  world.turn();
  const taken = transport.written.slice(before).flat();
  return {
    taken: taken.flatMap((frames) => [...frames]).map((index) => classes[index]),
    dropped: [world.count('dropped typing'), world.count('dropped low')],
    closed: transport.closed?.code,
  };
}

test('[SES6] a client that keeps up gets everything, in order', () => {
  assert.deepEqual(takenBehind(bytesMax / 4 - 4), {
    taken: ['typing', 'low', 'normal', 'urgent'],
    dropped: [0, 0],
    closed: undefined,
  });
});

test('[SES6] with a quarter of its outbox on the way typing and what is low are dropped and counted, the rest is not', () => {
  assert.deepEqual(takenBehind(bytesMax / 4), {
    taken: ['normal', 'urgent'],
    dropped: [1, 1],
    closed: undefined,
  });
});

test('[SES6] what may be dropped never closes a connection, however full it is', () => {
  const world = new SessionWorld({ outboxBytesMax: bytesMax });
  const { session, transport } = world.open();
  transport.stuckBytes = bytesMax;
  session.deliver(new Uint8Array(bytesMax), 3, 'low');
  session.deliver(new Uint8Array(1), 1, 'typing');
  assert.deepEqual(
    [transport.closed, world.count('dropped low'), world.count('dropped typing')],
    [undefined, 3, 1],
  );
  session.deliver(new Uint8Array(1), 1, 'normal');
  assert.equal(transport.closed?.code, 4002);
});
