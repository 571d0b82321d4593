/** Both ends of a ring in one thread: what is written is read, and a full ring refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignedRecordBytes, prefixBytes } from '../../../src/ring/record-layout.ts';
import { openRing } from '../../../src/ring/ring-layout.ts';
import { RingWriter } from '../../../src/ring/ring-writer.ts';
import { nothing, openPair, patternBytes, type RingPair, readCopies } from './ring-pair.ts';

/** Writes records of `contentBytes` until the ring refuses; answers how many it took. */
function fill({ writer }: RingPair, contentBytes: number): number {
  for (let count = 0; count <= 4096; count++) {
    if (writer.tryWrite(nothing, patternBytes(contentBytes, count)) === 'full') return count;
  }
  throw new Error('the ring is never full');
}

test('head and body come out as one record, in order of writing', () => {
  const { writer, reader } = openPair();
  assert.equal(writer.tryWrite(Buffer.from('head,'), Buffer.from('body')), 'written');
  assert.equal(writer.tryWrite(nothing, Buffer.from('second')), 'written');
  assert.equal(writer.tryWrite(Buffer.from('third'), nothing), 'written');
  assert.deepEqual(readCopies(reader).map(String), ['head,body', 'second', 'third']);
});

test('an empty record is a record', () => {
  const { writer, reader } = openPair();
  writer.tryWrite(nothing, nothing);
  writer.tryWrite(nothing, Buffer.from('a'));
  assert.deepEqual(readCopies(reader).map(String), ['', 'a']);
});

test('an empty ring hands out nothing', () => {
  const { reader } = openPair();
  assert.equal(reader.isEmpty, true);
  assert.equal(reader.unreadBytes, 0);
  assert.equal(
    reader.read(() => assert.fail('there is no record'), 10),
    0,
  );
});

test('at most as many records as asked for are read, and the rest stays', () => {
  const { writer, reader } = openPair();
  for (let index = 0; index < 5; index++) writer.tryWrite(nothing, patternBytes(10, index));
  assert.equal(readCopies(reader, 0).length, 0);
  assert.equal(readCopies(reader, 2).length, 2);
  assert.deepEqual(readCopies(reader, 2)[0], patternBytes(10, 2));
  assert.equal(readCopies(reader, 2).length, 1);
  assert.equal(reader.isEmpty, true);
});

test('both ends count the same bytes', () => {
  const { writer, reader } = openPair();
  writer.tryWrite(nothing, patternBytes(1, 0));
  writer.tryWrite(nothing, patternBytes(9, 0));
  const used = alignedRecordBytes(1) + alignedRecordBytes(9);
  assert.equal(writer.usedBytes, used);
  assert.equal(reader.unreadBytes, used);
  readCopies(reader, 1);
  assert.equal(writer.usedBytes, alignedRecordBytes(9));
  assert.equal(reader.unreadBytes, alignedRecordBytes(9));
});

test('a full ring refuses and writes nothing', () => {
  for (const contentBytes of [0, 1, 100, 504]) {
    const pair = openPair(4096);
    const count = fill(pair, contentBytes);
    assert.equal(count, Math.floor(4096 / alignedRecordBytes(contentBytes)));
    const before = Buffer.from(new Uint8Array(pair.shared));
    assert.equal(pair.writer.tryWrite(nothing, patternBytes(contentBytes, 99)), 'full');
    assert.ok(Buffer.from(new Uint8Array(pair.shared)).equals(before), 'not a byte of the ring has changed');
    const records = readCopies(pair.reader);
    assert.deepEqual(
      records,
      Array.from({ length: count }, (_, index) => patternBytes(contentBytes, index)),
    );
  }
});

test('a ring filled to the last byte is full, not empty', () => {
  const pair = openPair(4096);
  assert.equal(fill(pair, 504), 8);
  assert.equal(pair.writer.usedBytes, 4096);
  assert.equal(pair.reader.isEmpty, false);
  assert.equal(pair.reader.unreadBytes, 4096);
  assert.equal(readCopies(pair.reader).length, 8);
});

test('one record read makes room for one of its size', () => {
  const pair = openPair(4096);
  fill(pair, 504);
  readCopies(pair.reader, 1);
  assert.equal(pair.writer.tryWrite(nothing, patternBytes(504, 8)), 'written');
  assert.equal(pair.writer.tryWrite(nothing, patternBytes(504, 9)), 'full');
  assert.deepEqual(readCopies(pair.reader).at(-1), patternBytes(504, 8));
});

test('a record never wraps: padding fills the end and is not handed out', () => {
  const { writer, reader } = openPair(4096);
  for (let index = 0; index < 7; index++) writer.tryWrite(nothing, patternBytes(504, index));
  assert.equal(readCopies(reader).length, 7); // 512 bytes are left before the end
  writer.tryWrite(nothing, patternBytes(8, 7)); // 496 are left
  writer.tryWrite(nothing, patternBytes(504, 8)); // needs 512
  assert.equal(writer.usedBytes, 16 + 496 + 512);
  let borrowed: Uint8Array | undefined;
  assert.equal(
    reader.read((content) => {
      borrowed = content;
    }, 2),
    2,
  );
  assert.equal(
    borrowed!.byteOffset - openRing(borrowed!.buffer as SharedArrayBuffer).data.byteOffset,
    prefixBytes,
  );
  assert.deepEqual(Buffer.from(borrowed!), patternBytes(504, 8));
  assert.equal(reader.isEmpty, true);
});

test('the least padding, of eight bytes, is skipped too', () => {
  const { writer, reader } = openPair(4096);
  for (let index = 0; index < 7; index++) writer.tryWrite(nothing, patternBytes(504, index));
  writer.tryWrite(nothing, patternBytes(496, 7)); // 4088 of 4096
  assert.equal(readCopies(reader).length, 8);
  assert.equal(writer.tryWrite(nothing, patternBytes(1, 8)), 'written');
  assert.equal(writer.usedBytes, 8 + 16);
  assert.deepEqual(readCopies(reader), [patternBytes(1, 8)]);
});

test('a record that ends exactly at the end needs no padding', () => {
  const { writer, reader } = openPair(4096);
  for (let index = 0; index < 8; index++) writer.tryWrite(nothing, patternBytes(504, index));
  readCopies(reader);
  writer.tryWrite(nothing, patternBytes(504, 8));
  assert.equal(writer.usedBytes, 512);
});

test('the padding needs room as well: without it the ring is full', () => {
  const { writer, reader } = openPair(4096);
  for (let index = 0; index < 7; index++) writer.tryWrite(nothing, patternBytes(504, index));
  writer.tryWrite(nothing, patternBytes(8, 7));
  readCopies(reader, 1); // 512 free at the front, 496 at the end: 1008, of which only 512 are in one piece
  assert.equal(writer.tryWrite(nothing, patternBytes(504, 8)), 'written');
  assert.equal(writer.tryWrite(nothing, nothing), 'full');
  assert.equal(writer.usedBytes, 4096);
});

test('the largest record always fits an empty ring, wherever its positions are', () => {
  for (let offset = 0; offset < 4096; offset += 8) {
    const { writer, reader } = openPair(4096, offset);
    const content = patternBytes(writer.contentBytesMax, offset);
    assert.equal(writer.tryWrite(nothing, content), 'written', `position ${offset}`);
    assert.deepEqual(readCopies(reader), [content]);
  }
});

test('a record larger than the largest is a bug of the caller', () => {
  const { writer } = openPair(4096);
  assert.equal(writer.contentBytesMax, 504);
  const pieces = [patternBytes(300, 0), patternBytes(205, 0)] as const;
  assert.throws(() => writer.tryWrite(...pieces), { name: 'AssertionError', message: /505 bytes fits 504/ });
  assert.equal(writer.usedBytes, 0);
});

test('the record that made a handler throw is not read again, and those behind it are', () => {
  const { writer, reader } = openPair();
  for (let index = 0; index < 3; index++) writer.tryWrite(nothing, Buffer.from([index]));
  assert.throws(
    () =>
      reader.read((content) => {
        if (content[0] === 1) throw new Error('poison');
      }, 10),
    /poison/,
  );
  assert.deepEqual(readCopies(reader), [Buffer.from([2])]);
  assert.equal(writer.usedBytes, 0);
});

test('room is given back record by record: a handler may write to the ring that it reads', () => {
  const pair = openPair(4096);
  fill(pair, 504);
  let written = 0;
  pair.reader.read(() => {
    if (written < 3 && pair.writer.tryWrite(nothing, patternBytes(504, 100 + written)) === 'written')
      written++;
  }, 8);
  assert.equal(written, 3);
  assert.deepEqual(
    readCopies(pair.reader),
    [100, 101, 102].map((seed) => patternBytes(504, seed)),
  );
});

test('a writer opened on a used ring goes on where the last one stopped', () => {
  const { shared, writer, reader } = openPair();
  writer.tryWrite(nothing, Buffer.from('one'));
  new RingWriter(openRing(shared)).tryWrite(nothing, Buffer.from('two'));
  assert.deepEqual(readCopies(reader).map(String), ['one', 'two']);
});
