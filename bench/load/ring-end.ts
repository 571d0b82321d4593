/**
 * One end of the ring bench: a thread that writes records, or reads them and looks at each one's number.
 * By a ring with a doorbell, copied out as shards do (src/links/thread-link.ts, without its header), or by one postMessage for
 * each record, at most so many of them on their way.
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
/** postMessage has no bound of its own: the queue of a slow reader would grow for ever. */
const onTheirWayMax = 16 * recordsPerTurn;
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
    port.on('message', (bytes: Uint8Array) => {
      take(bytes);
      if (count % recordsPerTurn === 0) port.postMessage(count);
    });
    return;
  }
  const reader = new RingReader(openRing(ring));
  const turn = () => {
    if (count === recordCount) return;
    if (reader.read((borrowed) => take(Buffer.from(borrowed)), recordsPerTurn) > 0 || !reader.tryArm())
      setImmediate(turn);
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
  let readCount = 0;
  if (writer === undefined) port.on('message', (soFar: number) => (readCount = soFar));
  const turn = () => {
    const room = writer === undefined ? readCount + onTheirWayMax : recordCount;
    for (const end = Math.min(count + recordsPerTurn, recordCount, room); count < end; count++) {
      view.setUint32(0, count);
      if (writer === undefined) port.postMessage(record);
      else if (writer.tryWrite(noHead, record) === 'full') break;
    }
    if (writer?.takeDoorbell()) port.postMessage(0);
    if (count < recordCount) setImmediate(turn);
    else if (writer === undefined) port.unref();
  };
  turn();
}
