/** The doorbell of a ring: rung once per sleep, never lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nothing, openPair, readCopies } from './ring-pair.ts';

test('a fresh ring is armed: the first record rings, the next ones do not', () => {
  const { writer } = openPair();
  writer.tryWrite(nothing, nothing);
  assert.equal(writer.takeDoorbell(), true);
  assert.equal(writer.takeDoorbell(), false);
  writer.tryWrite(nothing, nothing);
  assert.equal(writer.takeDoorbell(), false);
});

test('[RNG2] a reader that arms an empty ring gets exactly one doorbell', () => {
  const { writer, reader } = openPair();
  writer.takeDoorbell();
  assert.equal(reader.tryArm(), true);
  assert.equal(reader.tryArm(), true);
  writer.tryWrite(nothing, nothing);
  assert.equal(writer.takeDoorbell(), true);
  assert.equal(writer.takeDoorbell(), false);
});

test('[RNG2] a reader cannot fall asleep over a record, and is not rung for it either', () => {
  const { writer, reader } = openPair();
  writer.takeDoorbell();
  writer.tryWrite(nothing, nothing);
  assert.equal(reader.tryArm(), false);
  assert.equal(writer.takeDoorbell(), false);
  assert.equal(readCopies(reader).length, 1);
  assert.equal(reader.tryArm(), true);
});

test('[RNG2] whenever the reader arms around one write, it is awake or rung', () => {
  // Write, take the doorbell, arm: in every order that keeps the writer's own. ring-threads.test.ts does the rest.
  for (const order of ['write ring arm', 'write arm ring', 'arm write ring']) {
    const { writer, reader } = openPair();
    writer.takeDoorbell();
    let isRung = false;
    let isAsleep = false;
    for (const step of order.split(' ')) {
      if (step === 'write') writer.tryWrite(nothing, nothing);
      if (step === 'ring') isRung = writer.takeDoorbell();
      if (step === 'arm') isAsleep = reader.tryArm();
    }
    assert.ok(!isAsleep || isRung, `${order}: asleep without a doorbell`);
  }
});
