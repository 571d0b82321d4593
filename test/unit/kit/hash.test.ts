/** Hashes: stable for ever, spread evenly, telling bodies apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestBytes, hashString, mix32 } from '#kit/hash.ts';
import { seededRandom } from '#kit/random.ts';

test('hashes are the same in every release: the placement of topics depends on it', () => {
  assert.deepEqual(
    ['', 'a', 'chat:lobby', 'default|inbox:ann', 'ü€😀'].map((text) => hashString(text)),
    [2_872_998_923, 444_641_715, 461_673_888, 51_445_082, 1_992_963_933],
  );
  assert.equal(hashString('chat:lobby', 7), 1_217_173_401);
  assert.equal(digestBytes(Buffer.from('chat:lobby')), 7_556_056_445_319_454);
});

test('a hash is an unsigned 32-bit integer, a digest an integer below 2^53', () => {
  const random = seededRandom(1);
  for (let round = 0; round < 2000; round++) {
    const text = String.fromCharCode(...Array.from({ length: round % 50 }, () => random.next() * 65_536));
    const hash = hashString(text);
    const digest = digestBytes(Buffer.from(text));
    assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32, `${JSON.stringify(text)}: ${hash}`);
    assert.ok(Number.isSafeInteger(digest) && digest >= 0, `${JSON.stringify(text)}: ${digest}`);
  }
});

test('another seed is another hash', () => {
  const seeds = Array.from({ length: 1000 }, (_, seed) => hashString('chat:lobby', seed));
  assert.equal(new Set(seeds).size, seeds.length);
});

test('near keys land far apart: numbered names fill all buckets evenly', () => {
  for (const buckets of [2, 3, 8, 64]) {
    const counts = Array.from({ length: buckets }, () => 0);
    const keyCount = 20_000;
    for (let index = 0; index < keyCount; index++)
      counts[hashString(`default|room:${index}`) % buckets]! += 1;
    const mean = keyCount / buckets;
    // Five standard deviations of a fair draw.
    const tolerance = 5 * Math.sqrt(mean * (1 - 1 / buckets));
    for (const count of counts)
      assert.ok(Math.abs(count - mean) < tolerance, `${buckets} buckets: ${counts.join()}`);
  }
});

test('every flipped bit changes about half of the bits of mix32', () => {
  const random = seededRandom(2);
  for (let bit = 0; bit < 32; bit++) {
    let changed = 0;
    const samples = 500;
    for (let index = 0; index < samples; index++) {
      const input = (random.next() * 2 ** 32) | 0;
      changed += bitCount(mix32(input) ^ mix32(input ^ (1 << bit)));
    }
    const mean = changed / samples;
    assert.ok(mean > 14 && mean < 18, `bit ${bit} changes ${mean} bits on average`);
  }
});

test('one flipped bit, one byte more or two bytes exchanged are another digest', () => {
  const body = Buffer.from('{"text":"the quick brown fox","n":[1,2,3]}');
  const digests = new Set([digestBytes(body)]);
  for (let bit = 0; bit < body.length * 8; bit++) {
    const changed = Buffer.from(body);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    digests.add(digestBytes(changed));
  }
  for (let length = 0; length < body.length; length++) digests.add(digestBytes(body.subarray(0, length)));
  digests.add(digestBytes(Buffer.concat([body, Buffer.from([0])])));
  digests.add(digestBytes(Buffer.from(body).reverse()));
  assert.equal(digests.size, 1 + body.length * 8 + body.length + 2);
});

test('two hundred thousand different bodies have different digests', () => {
  const digests = new Set<number>();
  const bytes = Buffer.alloc(8);
  for (let index = 0; index < 200_000; index++) {
    bytes.writeUInt32BE(index, 2);
    digests.add(digestBytes(bytes));
  }
  assert.equal(digests.size, 200_000);
});

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}
