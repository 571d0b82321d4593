/** Message ids are UUIDv7: of their form, different, and in the order in which they were made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UUID } from 'uuidv7';
import { systemMessageIds } from '#kit/message-id.ts';

test('ids are version 7 of RFC 9562, of now, and none comes twice', () => {
  const beforeMs = Date.now();
  const ids = Array.from({ length: 5000 }, () => systemMessageIds.next());
  const afterMs = Date.now();
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(UUID.parse(id).toString(), id);
    const madeMs = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    assert.ok(madeMs >= beforeMs && madeMs <= afterMs, id);
  }
});

test('they sort by the time at which they were made', () => {
  const ids = Array.from({ length: 5000 }, () => systemMessageIds.next());
  assert.deepEqual([...ids].sort(), ids);
});
