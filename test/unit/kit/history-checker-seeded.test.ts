/**
 * The history checker on seeded histories: silent on good ones, and every fault put into them is told by its
 * class.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { checkHistory } from '../../kit/history-checker.ts';
import { formatViolations, violationClasses } from '../../kit/history-events.ts';
import { goodHistory } from '../../kit/history-good.ts';
import { mutations } from '../../kit/history-mutations.ts';

const goodSeeds = 600;
const badSeeds = 150;
const steps = 700;

test(`nothing is found in ${goodSeeds} good histories of all lengths`, () => {
  for (let seed = 1; seed <= goodSeeds; seed++) {
    const history = goodHistory(seededRandom(seed), (seed * 7) % 900);
    const violations = checkHistory(history);
    assert.equal(violations.length, 0, `seed ${seed}: ${formatViolations(violations)}`);
  }
});

test('good histories hold everything that may happen, or their silence would prove little', () => {
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  for (let seed = 1; seed <= 50; seed++) {
    const { events, final } = goodHistory(seededRandom(seed), steps);
    for (const event of events) {
      count(event.kind);
      if (event.kind === 'gap') count(`gap ${event.signal}`);
      if (event.kind === 'reject') count(`reject ${event.code}`);
      if (event.kind === 'ack' && event.duplicate) count('duplicate');
      if (event.kind === 'deliver' && event.isReplay) count('replay');
    }
    const boards = events.filter((event) => event.kind === 'deliver' && event.topic === 'cache:board');
    if (new Set(boards.map((event) => 'epoch' in event && event.epoch)).size > 2) count('new epoch');
    for (const { messages } of final ?? []) if (messages.length > 20) count('long log');
  }
  const wanted = ['connect', 'close', 'invoke', 'ack', 'subscribe', 'resubscribe', 'unsubscribe', 'deliver'];
  wanted.push('gap unrecovered', 'gap ended', 'reject busy', 'reject internal', 'reject key_conflict');
  wanted.push('duplicate', 'replay', 'new epoch', 'long log');
  for (const what of wanted) assert.ok((seen.get(what) ?? 0) >= 20, `${what}: ${seen.get(what)}`);
});

for (const { fault, class: name, apply } of mutations) {
  test(`${name}: ${fault}`, () => {
    let applied = 0;
    for (let seed = 1; seed <= badSeeds; seed++) {
      const random = seededRandom(seed);
      const history = apply(goodHistory(random, steps), random);
      if (history === undefined) continue;
      applied++;
      const violations = checkHistory(history);
      const names = new Set(violations.map((violation) => violation.class));
      assert.deepEqual([...names], [name], `seed ${seed}: ${formatViolations(violations)}`);
    }
    assert.ok(applied >= badSeeds / 5, `only ${applied} of ${badSeeds} histories had a place for it`);
  });
}

test('every class has a mutation', () => {
  const mutated = new Set(mutations.map((mutation) => mutation.class));
  assert.deepEqual([...mutated].sort(), [...violationClasses].sort());
});
