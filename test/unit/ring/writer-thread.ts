/** The writing thread of ring-threads.test.ts: records as fast as it can, or one at a time, until `count` or for ever. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { seededRandom } from '#kit/random.ts';
import { openRing } from '../../../src/ring/ring-layout.ts';
import { RingWriter } from '../../../src/ring/ring-writer.ts';
import { RecordPool } from './checked-records.ts';

export interface WriterOrder {
  shared: SharedArrayBuffer;
  /** Rung as the real link rings it: on each sleep of the reader, once. */
  doorbell: MessagePort;
  seed: number;
  firstSequence: number;
  /** Infinity: until terminated. */
  count: number;
  /** Writes only into an empty ring, just when the reader goes to sleep: then no later doorbell hides a lost one. */
  isLockstep: boolean;
  contentBytesMax: number;
}

const order = workerData as WriterOrder;
const writer = new RingWriter(openRing(order.shared));
const random = seededRandom(order.seed);
const pool = new RecordPool(order.contentBytesMax, random);
/** Only to sleep on. */
const bed = new Int32Array(new SharedArrayBuffer(4));

for (let sent = 0; sent < order.count; sent++) {
  const [head, body] = pool.record(order.firstSequence + sent);
  while (writer.tryWrite(head, body) === 'full') Atomics.wait(bed, 0, 0, 0.05);
  if (writer.takeDoorbell()) order.doorbell.postMessage(null);
  if (order.isLockstep) waitForReader();
}
order.doorbell.close();

/** Awake, so as not to miss the moment; the reader is about to look, to arm and to sleep. */
function waitForReader(): void {
  for (let spins = 1; writer.usedBytes > 0; spins++) if (spins % 10_000 === 0) Atomics.wait(bed, 0, 0, 0.05);
  for (let spins = random.next() * 200; spins > 0; spins--) Atomics.load(bed, 0);
}
