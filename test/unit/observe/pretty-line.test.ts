/** Log lines as a person reads them: nothing in them can move the cursor or fake another line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { prettyLine } from '../../../src/observe/pretty-line.ts';

const base = {
  level: 'info',
  time: '2026-01-01T12:34:56.789Z',
  node: 'n1',
  thread: 'shard 0',
  msg: 'listening',
};

test('a line has the time, the level, the thread, the message and the fields', () => {
  const line = prettyLine(`${JSON.stringify({ ...base, port: 8081, host: '::1', list: [1], none: null })}\n`);
  assert.equal(line, '12:34:56.789 INFO  [shard 0] listening port=8081 host=::1 list=[1] none=null\n');
});

test('what is not JSON stays as it is', () => {
  assert.equal(prettyLine('plain words\n'), 'plain words\n');
});

test('control characters in any field are escaped', () => {
  const hostile = 'a\r\n\u001b[2J\u001b]0;title\u0007\u0000\u007f\u009b31mb\tc';
  for (const field of ['msg', 'thread', 'user']) {
    const line = prettyLine(JSON.stringify({ ...base, [field]: hostile }));
    assert.match(line.slice(0, -1), /^\P{Cc}*$/u, field);
    assert.ok(
      line.includes('a\\u000d\\u000a\\u001b[2J\\u001b]0;title\\u0007\\u0000\\u007f\\u009b31mb\\u0009c'),
      field,
    );
  }
});

test('a stack of an error stays on the line', () => {
  const line = prettyLine(JSON.stringify({ ...base, err: { message: 'x', stack: 'Error: x\n    at y' } }));
  assert.equal(line.indexOf('\n'), line.length - 1);
});

test('whatever the fields hold, the result is one line without control characters', () => {
  const fields = fc.dictionary(
    fc.string({ unit: fc.constantFrom('a', 'b', '_') }),
    fc.jsonValue({ stringUnit: 'binary' }),
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fields, (given) => {
      const line = prettyLine(JSON.stringify({ ...base, ...given }));
      assert.match(line, /^\P{Cc}*\n$/u);
    }),
  );
});
