/**
 * Two real threads on one ring: a writer of checked records in a worker, the reader here.
 * The reader sleeps and is woken by doorbells only, as a shard is.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type Random, seededRandom } from '#kit/random.ts';
import { allocateRing, openRing } from '../../../src/ring/ring-layout.ts';
import { RingReader } from '../../../src/ring/ring-reader.ts';
import { sequenceOfChecked } from './checked-records.ts';
import type { WriterOrder } from './writer-thread.ts';

/** The largest that fits the smallest ring. */
const contentBytesMax = 504;
/** Positions wrap past 2^31 while the threads run. */
const startPosition = 2 ** 31 - 65_536;
/** A writer has no reason to be silent for that long: the doorbell is lost. */
const silenceMaxMs = 20_000;
/** So many writers must end while they write, and not while they wait for room. */
const writingKillsMin = 80;

class Hammer {
  readonly #shared: SharedArrayBuffer;
  readonly #reader: RingReader;
  readonly #random: Random;
  /** Doorbells stay open until the end: the last one may still be on its way when its thread is gone. */
  readonly #writers: { worker: Worker; doorbell: MessagePort }[] = [];
  #wake: () => void = () => {};
  /** The number that the next record must have: one less or more is a record lost or read twice. */
  nextSequence = 0;
  sleepCount = 0;

  constructor(ringBytes: number, random: Random) {
    this.#shared = allocateRing(ringBytes, 1, startPosition);
    this.#reader = new RingReader(openRing(this.#shared));
    this.#random = random;
  }

  openWriter(order: Pick<WriterOrder, 'seed' | 'count' | 'isLockstep'>): Worker {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', () => this.#wake());
    const ours = { shared: this.#shared, doorbell: port2, firstSequence: this.nextSequence, contentBytesMax };
    const workerData: WriterOrder = { ...order, ...ours };
    const worker = new Worker(new URL('./writer-thread.ts', import.meta.url), {
      workerData,
      transferList: [port2],
    });
    worker.on('error', (error) => {
      throw error;
    });
    this.#writers.push({ worker, doorbell: port1 });
    return worker;
  }

  get unreadBytes(): number {
    return this.#reader.unreadBytes;
  }

  read(recordsMax: number): number {
    return this.#reader.read((content) => {
      assert.equal(sequenceOfChecked(content), this.nextSequence, 'records come in order, each once');
      this.nextSequence++;
    }, recordsMax);
  }

  /** Reads up to there, sleeping whenever the ring is empty. */
  async readUntil(sequence: number): Promise<void> {
    while (this.nextSequence < sequence) {
      if (this.read(1 + Math.floor(this.#random.next() * 200)) > 0) continue;
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (!this.#reader.tryArm()) continue;
      this.sleepCount++;
      await this.#orLost(rung);
    }
  }

  async close(): Promise<void> {
    for (const { doorbell } of this.#writers) doorbell.close();
    await Promise.all(this.#writers.map(({ worker }) => worker.terminate()));
  }

  async #orLost(rung: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const lost = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`asleep at record ${this.nextSequence}, ${this.unreadBytes} bytes unread`));
      }, silenceMaxMs);
    });
    await Promise.race([rung, lost]).finally(() => clearTimeout(timer));
  }
}

/** Runs `body` with a hammer of its own; its writers never outlive it, also when it fails. */
function hammerTest(
  title: string,
  seed: number,
  ringBytes: number,
  body: (hammer: Hammer, random: Random, t: TestContext) => Promise<void>,
): void {
  test(title, { timeout: 240_000 }, async (t) => {
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const hammer = new Hammer(ringBytes, random);
    try {
      await body(hammer, random, t);
    } finally {
      await hammer.close();
    }
  });
}

hammerTest('[RNG1] 300,000 records cross between two threads whole and in order', 1, 4096, async (hammer) => {
  hammer.openWriter({ seed: 1, count: 300_000, isLockstep: false });
  await hammer.readUntil(300_000);
  assert.equal(hammer.read(1), 0);
});

hammerTest(
  '[RNG2] a reader that sleeps after every record is rung for every record',
  2,
  4096,
  async (hammer, _random, t) => {
    hammer.openWriter({ seed: 2, count: 60_000, isLockstep: true });
    await hammer.readUntil(60_000);
    t.diagnostic(`${hammer.sleepCount} sleeps`);
    assert.ok(hammer.sleepCount > 1000, `only ${hammer.sleepCount} sleeps: the test is void`);
  },
);

hammerTest(
  '[RNG1] a writer terminated at any moment leaves no torn record',
  3,
  65_536,
  async (hammer, random, t) => {
    let writingKills = 0;
    let round = 0;
    // On a busy machine more of them find a full ring, while this thread waits for its turn: then it takes more rounds.
    for (; writingKills < writingKillsMin || round < 100; round++) {
      const worker = hammer.openWriter({ seed: round, count: Number.POSITIVE_INFINITY, isLockstep: false });
      const killAt = hammer.nextSequence + 1 + Math.floor(random.next() * 2000);
      while (hammer.nextSequence < killAt) if (hammer.read(1000) === 0) await setImmediate();
      const state = { isGone: false };
      const terminated = worker.terminate().then(() => {
        state.isGone = true;
      });
      while (!state.isGone) {
        hammer.read(1000);
        await setImmediate();
      }
      await terminated;
      // With that much room left it was not waiting for room when it ended.
      if (hammer.unreadBytes < 65_536 - 2048) writingKills++;
      while (hammer.read(1000) > 0);
    }
    t.diagnostic(`${hammer.nextSequence} records, ${writingKills} of ${round} ended while writing`);
  },
);
