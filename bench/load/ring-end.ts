/**
 * One end of the ring bench: a thread that writes records, or reads them and looks at each one's number.
 * By a ring with a doorbell as shards do (src/shard/thread-link.ts), or by one postMessage for each record.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openRing } from '../../src/ring/ring-layout.ts';
import { RingReader } from '../../src/ring/ring-reader.ts';
import { RingWriter } from '../../src/ring/ring-writer.ts';

export interface RingEnd {
  role: 'writer' | 'reader';
  /** Absent: by postMessage. */
  ring?: SharedArrayBuffer;
  port: MessagePort;
  recordCount: number;
  recordBytes: number;
}

/** Written, and read, before the event loop gets its turn. */
const recordsPerTurn = 1024;
const noHead = new Uint8Array(0);
const { role, ring, port, recordCount, recordBytes } = workerData as RingEnd;

if (role === 'reader') read();
else parentPort?.once('message', write);
parentPort?.postMessage('ready');

function read(): void {
  let count = 0;
  const take = (bytes: Uint8Array) => {
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (number !== count || bytes.length !== recordBytes)
      throw new Error(`record ${number} came in place of ${count}`);
    count++;
    if (count === recordCount) finish();
  };
  if (ring === undefined) {
    port.on('message', take);
    return;
  }
  const reader = new RingReader(openRing(ring));
  const turn = () => {
    if (count === recordCount) return;
    if (reader.read(take, recordsPerTurn) > 0 || !reader.tryArm()) setImmediate(turn);
  };
  port.on('message', turn);
}

function finish(): void {
  parentPort?.postMessage('done');
  port.close();
}

function write(): void {
  const record = new Uint8Array(recordBytes);
  const view = new DataView(record.buffer);
  const writer = ring && new RingWriter(openRing(ring));
  let count = 0;
  const turn = () => {
    for (const end = Math.min(count + recordsPerTurn, recordCount); count < end; count++) {
      view.setUint32(0, count);
      if (writer === undefined) port.postMessage(record);
      else if (writer.tryWrite(noHead, record) === 'full') break;
    }
    if (writer?.takeDoorbell()) port.postMessage(0);
    if (count < recordCount) setImmediate(turn);
  };
  turn();
}
