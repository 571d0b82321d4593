/** The breaker in front of a database: when it refuses by itself, how it finds out that the database is back. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StoreUnavailableError } from '../../../src/store/history-store.ts';
import { probeEveryMs, StoreBreaker } from '../../../src/store/store-breaker.ts';

const failuresMax = 3;

function open(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
  const database = { isAway: false, probes: 0, writes: 0 };
  const changes: boolean[] = [];
  const states: number[] = [];
  const answer = async (): Promise<string> => {
    if (database.isAway) throw new Error('connection refused');
    return 'done';
  };
  const breaker = new StoreBreaker(
    () => {
      database.probes++;
      return answer();
    },
    { onChange: (isUp) => changes.push(isUp), onState: (state) => states.push(state) },
  );
  t.after(() => breaker.close());
  const write = () =>
    breaker.run(() => {
      database.writes++;
      return answer();
    });
  /** So many writes that fail. */
  const fail = async (count: number) => {
    for (let index = 0; index < count; index++) await assert.rejects(write(), /connection refused/);
  };
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { database, breaker, changes, states, write, fail, pass };
}

test('what works is passed on, and what fails is passed on as it failed', async (t) => {
  const { database, breaker, write, fail } = open(t);
  assert.equal(await write(), 'done');
  database.isAway = true;
  await fail(failuresMax - 1);
  assert.equal(breaker.isUp, true);
});

test('failures in a row open it: nothing is tried any more, and that is told once', async (t) => {
  const { database, breaker, changes, states, write, fail } = open(t);
  database.isAway = true;
  await fail(failuresMax);
  assert.deepEqual([breaker.isUp, changes, states], [false, [false], [2]]);
  for (let count = 0; count < 3; count++) await assert.rejects(write(), StoreUnavailableError);
  assert.deepEqual([database.writes, changes], [failuresMax, [false]]);
});

test('failures with a success between them do not open it', async (t) => {
  const { database, breaker, changes, write, fail } = open(t);
  for (let round = 0; round < 4; round++) {
    database.isAway = true;
    await fail(failuresMax - 1);
    database.isAway = false;
    await write();
  }
  assert.deepEqual([breaker.isUp, changes], [true, []]);
});

test('open, it looks every few seconds whether the database is back, and no write is tried before a look succeeds', async (t) => {
  const { database, breaker, changes, states, write, fail, pass } = open(t);
  database.isAway = true;
  await fail(failuresMax);
  for (let look = 1; look <= 3; look++) {
    await pass(probeEveryMs);
    assert.deepEqual([database.probes, breaker.isUp], [look, false]);
    await assert.rejects(write(), StoreUnavailableError);
  }
  assert.equal(database.writes, failuresMax);
  database.isAway = false;
  await assert.rejects(write(), StoreUnavailableError, 'nobody has looked yet');
  await pass(probeEveryMs);
  assert.deepEqual([breaker.isUp, changes], [true, [false, true]]);
  assert.equal(states.at(-1), 0);
  assert.ok(
    states.every((state, index) => state !== states[index - 1]),
    'each state is told once',
  );
  assert.equal(await write(), 'done');
});

test('closed again, it looks no more, and opens again only after as many failures', async (t) => {
  const { database, breaker, changes, fail, pass } = open(t);
  database.isAway = true;
  await fail(failuresMax);
  database.isAway = false;
  await pass(probeEveryMs);
  const { probes } = database;
  await pass(3 * probeEveryMs);
  assert.equal(database.probes, probes);
  database.isAway = true;
  await fail(failuresMax - 1);
  assert.equal(breaker.isUp, true);
  await fail(1);
  assert.deepEqual([breaker.isUp, changes], [false, [false, true, false]]);
});

test('a write that was on its way when it opened ends as it ends, and closes nothing', async (t) => {
  const { database, breaker, changes, fail } = open(t);
  let finish: (() => void) | undefined;
  const slow = breaker.run(
    () =>
      new Promise<string>((resolve) => {
        finish = () => resolve('late');
      }),
  );
  database.isAway = true;
  await fail(failuresMax);
  finish?.();
  assert.equal(await slow, 'late');
  assert.deepEqual([breaker.isUp, changes], [false, [false]]);
});

test('put away, it looks no more', async (t) => {
  const { database, breaker, fail, pass } = open(t);
  database.isAway = true;
  await fail(failuresMax);
  breaker.close();
  await pass(5 * probeEveryMs);
  assert.equal(database.probes, 0);
});
