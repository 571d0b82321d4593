/**
 * Mutated frames through the decoder and a real session: nothing that a client sends may throw, pollute or pile up.
 * FUZZ_FRAMES sets how many (default 250,000 over both encodings), FUZZ_SEED which. A failure prints the seed, the number
 * of the frame and its bytes; what a session remembers of the frames before it comes back with the same seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { clientData } from '#proto/data.ts';
import { type Encoding, encodings } from '#proto/envelope.ts';
import { errorCodes } from '#proto/error-codes.ts';
import { envelopesPerFrameMax } from '#proto/limits.ts';
import { compileValidator, type TSchema, type Validator } from '#proto/schema.ts';
import { type ServerType, serverData } from '#proto/server-data.ts';
import { type Decoded, decodeFrame } from '../../src/wire/decode-frame.ts';
import { collectGarbage } from './collect-garbage.ts';
import { fuzzToken } from './corpus.ts';
import { Mutator } from './mutate.ts';
import { type Received, readFrames } from './read-frames.ts';
import { SessionWorld } from './session-world.ts';

const frameCount = Number(process.env['FUZZ_FRAMES'] ?? 250_000);
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_101);
const heapGrowthBytesMax = 50 * 1024 * 1024;
/** Frames of one session before a new one takes over. */
/** Statuses that answer nothing. */
const notices = new Set(['Connect', 'Subscription']);
const framesPerSession = 400;

const validators = Object.fromEntries(
  Object.entries(serverData).map(([type, schema]) => [type, compileValidator(schema as TSchema)]),
) as Record<ServerType, Validator<unknown>>;
const isPublished = new Set(['Broadcast', 'DirectMessage', 'Edited', 'Deleted']);
const validCloses = new Set(['4500 unauthorized', '4502 protocol_error', '4006 token_expired']);
const prototypes = [Object.prototype, Array.prototype, Function.prototype, Uint8Array.prototype];
const keysBefore = prototypes.map((prototype) => Reflect.ownKeys(prototype).length);

class Fuzzer {
  readonly encoding: Encoding;
  readonly counts = { decoded: 0, handled: 0, replies: 0, deliveries: 0, sessions: 0 };
  /** Successful replies by command: a command that is never reached is not tested. */
  readonly done: Record<string, number> = {};
  readonly slowest = { ms: 0, hex: '' };
  readonly #random;
  readonly #mutator: Mutator;
  #world: SessionWorld | undefined;

  constructor(encoding: Encoding) {
    this.encoding = encoding;
    this.#random = seededRandom(seed);
    this.#mutator = new Mutator(encoding, this.#random);
  }

  step(): void {
    const frame = this.#mutator.next();
    try {
      this.#try(frame);
    } catch (error) {
      throw new Error(`seed ${seed}, ${this.encoding}, frame ${frame.toString('hex')}`, { cause: error });
    }
  }

  #try(frame: Buffer): void {
    const startedMs = performance.now();
    const decoded = decodeFrame(frame, this.encoding);
    const ms = performance.now() - startedMs;
    if (ms > this.slowest.ms) Object.assign(this.slowest, { ms, hex: frame.toString('hex').slice(0, 200) });
    assertDecoded(decoded);
    if (decoded.some((entry) => entry.ok)) this.counts.decoded++;
    this.#handle(frame, decoded);
    assertNothingPolluted();
  }

  #handle(frame: Buffer, decoded: Decoded[]): void {
    if (this.#world === undefined || this.counts.handled % framesPerSession === 0) this.#openSession();
    const world = this.#world as SessionWorld;
    this.counts.handled++;
    world.receive(frame);
    if (this.#random.next() < 0.02) world.advance(this.#random.next() * 40_000);
    const received = readFrames(world.takeWritten(), this.encoding);
    this.#assertReplies(decoded, received, world.closed !== undefined);
    assert.deepEqual(world.failures, [], 'no handler throws');
    assert.equal(world.metrics.get('sessionFailures'), 0);
    if (world.closed === undefined) return;
    assert.ok(validCloses.has(`${world.closed.code} ${world.closed.reason}`), JSON.stringify(world.closed));
    this.#world = undefined;
  }

  /** One in four has to send its token first. */
  #openSession(): void {
    this.counts.sessions++;
    const token = this.#random.next() < 0.75 ? fuzzToken : undefined;
    this.#world = new SessionWorld(this.encoding, token, this.counts.sessions);
    for (const topic of token === undefined ? [] : ['chat:lobby', 'news', 'a']) {
      this.#world.receive(this.#mutator.encode({ type: 'Subscribe', data: { topic } }));
    }
    readFrames(this.#world.takeWritten(), this.encoding);
  }

  #assertReplies(decoded: Decoded[], received: Received[], isClosed: boolean): void {
    const ended = received.filter(({ data }) => data['op'] === 'Subscription');
    const mayEnd = decoded.some((entry) => entry.ok && entry.envelope.type === 'Resume');
    assert.ok(ended.length === 0 || mayEnd, 'a subscription ends unasked');
    for (const message of received) assertServerMessage(message);
    const isReply = ({ type, data }: Received) =>
      type === 'Error' || type === 'Pong' || (type === 'Status' && !notices.has(String(data['op'])));
    const replies = received.filter(isReply);
    // What was missed may be asked for again and again.
    const deliveries = received.filter(({ type, data }) => isPublished.has(type) && data['replay'] !== true);
    this.counts.replies += replies.length;
    this.counts.deliveries += deliveries.length;
    for (const { type, data } of replies) {
      const name = type === 'Status' ? String(data['op']) : type;
      this.done[name] = (this.done[name] ?? 0) + 1;
    }
    assert.ok(replies.length <= decoded.length, `${replies.length} replies to ${decoded.length} envelopes`);
    // A message comes back at most once by its topic; direct messages never reach the sending session.
    assert.ok(
      deliveries.length <= decoded.length,
      `${deliveries.length} deliveries of ${decoded.length} envelopes`,
    );
    const unasked = replies.filter(({ type, id }) => type === 'Status' && id === undefined);
    assert.deepEqual(unasked, [], 'success without an id is silent');
    if (isClosed) return;
    const asked = decoded.flatMap((entry) => (entry.ok ? entry.envelope.id : entry.id) ?? []);
    const answered = replies.flatMap(({ id }) => id ?? []);
    assert.deepEqual(answered.sort(), asked.sort(), 'every id is answered exactly once');
  }
}

function assertDecoded(decoded: Decoded[]): void {
  assert.ok(decoded.length >= 1 && decoded.length <= envelopesPerFrameMax);
  for (const entry of decoded) {
    if (entry.ok) continue;
    assert.ok(Object.hasOwn(errorCodes, entry.refusal.code), entry.refusal.code);
    assert.ok(entry.refusal.message.length > 0 && entry.refusal.message.length < 1000, entry.refusal.message);
  }
}

function assertServerMessage(message: Received): void {
  const validator = Object.hasOwn(validators, message.type)
    ? validators[message.type as ServerType]
    : undefined;
  assert.ok(validator !== undefined, `type ${message.type}`);
  assert.equal(typeof message.timestamp, 'number');
  if (validator.check(message.data)) return;
  assert.fail(
    `${message.type}: ${JSON.stringify(validator.firstError(message.data))} ${JSON.stringify(message.data)}`,
  );
}

function assertNothingPolluted(): void {
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  for (const [index, prototype] of prototypes.entries()) {
    assert.equal(Reflect.ownKeys(prototype).length, keysBefore[index]);
  }
}

for (const encoding of encodings) {
  const count = Math.ceil(frameCount / encodings.length);
  test(`${count} mutated frames in ${encoding}: no throw, no pollution, one reply each, no growth`, (t) => {
    t.diagnostic(`seed ${seed}`);
    const fuzzer = new Fuzzer(encoding);
    const warmUp = Math.ceil(count / 5);
    for (let index = 0; index < warmUp; index++) fuzzer.step();
    collectGarbage();
    const heapBefore = process.memoryUsage().heapUsed;
    for (let index = warmUp; index < count; index++) fuzzer.step();
    collectGarbage();
    const growth = process.memoryUsage().heapUsed - heapBefore;
    t.diagnostic(JSON.stringify({ ...fuzzer.counts, ...fuzzer.done, heapGrowthBytes: growth }));
    t.diagnostic(`slowest frame to decode: ${fuzzer.slowest.ms.toFixed(1)} ms, ${fuzzer.slowest.hex}`);
    assert.ok(growth < heapGrowthBytesMax, `the heap grew by ${growth} bytes, seed ${seed}`);
    for (const command of [...Object.keys(clientData).filter((type) => type !== 'Ping'), 'Pong']) {
      assert.ok(fuzzer.done[command]! > count / 1000, `${command} succeeded too rarely: the run is void`);
    }
  });
}
