/** PostgreSQL as a store when it fails: nothing that was answered is lost, nothing is stored twice or in secret. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AppendEntry, StoreUnavailableError } from '../../src/store/history-store.ts';
import type { PostgresOptions } from '../../src/store/postgres/connect.ts';
import { isStored } from '../../src/store/postgres/fate.ts';
import { PostgresHistoryStore } from '../../src/store/postgres/postgres-history-store.ts';
import { amend, ann, entry, idOf, offsets, pageOf, tenant, topic } from '../contract/entries.ts';
import { newDatabase, withClient } from '../contract/postgres-databases.ts';
import { eventually } from '../kit/eventually.ts';
import { type Postgres, startPostgres } from '../kit/postgres.ts';

let server: Postgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.close());

const hasted: Partial<PostgresOptions> = {
  statementTimeoutMs: 1_500,
  connectTimeoutMs: 2_000,
  fateTimeoutMs: 5_000,
};

function unavailable(isFateUnknown: boolean) {
  return (error: unknown) => error instanceof StoreUnavailableError && error.isFateUnknown === isFateUnknown;
}

/** Batches one after the other; what was answered, and what was refused as not stored. A doubtful one is given again. */
class Load {
  readonly stored: [given: AppendEntry, offset: number][] = [];
  readonly refused: AppendEntry[] = [];
  doubtful = 0;
  readonly #store: PostgresHistoryStore;
  #isOver = false;

  constructor(store: PostgresHistoryStore) {
    this.#store = store;
  }

  async run(): Promise<void> {
    while (!this.#isOver) await this.#batch(Array.from({ length: 20 }, (_, index) => entryOf(index)));
  }

  end(): void {
    this.#isOver = true;
  }

  /** Each stored message once and at its offset, no refused one, no holes. */
  async check(): Promise<void> {
    const where = new Map<string, number>();
    for (const name of ['a', 'b']) {
      let last = 0;
      for (;;) {
        const page = await this.#store.page({ topic: topic(name), view: 'log', after: last, limit: 1_000 });
        for (const { messageId, offset } of page.messages) {
          assert.equal(offset, ++last, 'no holes');
          assert.ok(!where.has(messageId), 'stored once');
          where.set(messageId, offset);
        }
        if (!page.hasMore) break;
      }
    }
    for (const [{ messageId }, offset] of this.stored)
      assert.equal(where.get(messageId), offset, 'as answered');
    for (const { messageId } of this.refused) assert.ok(!where.has(messageId), 'refused is not stored');
    assert.equal(where.size, this.stored.length, 'nothing in secret');
  }

  async #batch(batch: AppendEntry[]): Promise<void> {
    try {
      const given = offsets(await this.#store.append(batch));
      for (const [index, each] of batch.entries()) this.stored.push([each, given[index] as number]);
    } catch (error) {
      assert.ok(error instanceof StoreUnavailableError, String(error));
      if (error.isFateUnknown) {
        this.doubtful++;
        return this.#batch(batch.map((each) => ({ ...each, isRepeat: true })));
      }
      // A doubtful one that is refused may be stored still: it is asked for until it is answered.
      if (batch[0]!.isRepeat) {
        await sleep(10);
        return this.#batch(batch);
      }
      this.refused.push(...batch);
      await sleep(5);
    }
  }
}

function entryOf(index: number): AppendEntry {
  const fields = index % 3 === 0 ? { key: `key-${performance.now()}-${index}` } : {};
  return entry({ topic: topic(index % 2 === 0 ? 'a' : 'b'), text: 'some words', ...fields });
}

/** A way to the server that can be cut at COMMIT. */
class CuttingProxy {
  /**
   * `cut`: behind COMMIT, which arrives. `swallow`: COMMIT does not arrive, and the server hears of no end.
   * `vanish`: as `cut`, and from then on the server is silent.
   */
  atCommit: 'pass' | 'cut' | 'swallow' | 'vanish' = 'pass';
  /** Nothing goes through, and nothing ends. */
  isSilent = false;
  commits = 0;
  readonly #listener: Server;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.#port = port;
    this.#listener = createServer((client) => this.#join(client));
  }

  async open(): Promise<number> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
    return (this.#listener.address() as AddressInfo).port;
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket): void {
    const upstream = connect(this.#port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    }
    let isSwallowed = false;
    client.on('data', (bytes: Buffer) => {
      const isCommit = bytes.includes('COMMIT\0');
      if (isCommit) this.commits++;
      const action = isCommit ? this.atCommit : 'pass';
      isSwallowed ||= action === 'swallow';
      if (!this.isSilent && !isSwallowed) upstream.write(bytes);
      if (action === 'vanish') this.isSilent = true;
      if (action !== 'pass') client.destroy();
    });
    upstream.on('data', (bytes) => {
      if (!this.isSilent) client.write(bytes);
    });
    client.on('close', () => {
      // What was cut has arrived; a swallowed end leaves the server waiting.
      if (!isSwallowed) setTimeout(() => upstream.destroy(), 20);
    });
    upstream.on('close', () => client.destroy());
  }
}

async function throughProxy(
  run: (store: PostgresHistoryStore, proxy: CuttingProxy, url: string) => Promise<void>,
) {
  const url = await newDatabase(server);
  const proxy = new CuttingProxy(server.port);
  const proxied = new URL(url);
  proxied.port = String(await proxy.open());
  const store = await PostgresHistoryStore.open(proxied.href, hasted);
  try {
    await run(store, proxy, url);
  } finally {
    proxy.close();
    await store.close().catch(() => {});
  }
}

test('connections that are ended under load lose nothing and double nothing', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const load = new Load(store);
  const running = load.run();
  await withClient(server.url, async (client) => {
    // Where so many cuts let too little through, because the machine is busy, some more follow with longer pauses.
    const isVoid = () => load.stored.length <= 200 || load.refused.length === 0;
    for (let cut = 0; cut < 120 || (cut < 400 && isVoid()); cut++) {
      await sleep(5 + ((cut * 7) % 20) + Math.max(0, cut - 120));
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'carillon'`,
      );
    }
  });
  load.end();
  await running;
  await load.check();
  assert.ok(
    load.stored.length > 200 && load.refused.length > 0,
    `${load.stored.length}, ${load.refused.length}`,
  );
  assert.equal(load.doubtful, 0);
  await store.close();
});

test('a server that is stopped at once and started again loses nothing and doubles nothing', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url, hasted);
  const load = new Load(store);
  const running = load.run();
  for (let cycle = 0; cycle < 4; cycle++) {
    await sleep(300);
    const stored = load.stored.length;
    await (cycle % 2 === 0 ? server.stop('immediate') : server.kill9());
    await sleep(200);
    await server.start();
    await eventually('it stores again', () => load.stored.length > stored + 100);
  }
  load.end();
  await running;
  await load.check();
  assert.ok(load.refused.length > 0);
  await store.close();
});

test('a lock that lasts ends a batch in time, with nothing of it stored, and a page too', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url, hasted);
  await store.append([entry()]);
  await withClient(url, async (client) => {
    await client.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
    const startedMs = performance.now();
    await assert.rejects(store.append([entry(), entry()]), unavailable(false));
    await assert.rejects(store.page({ topic: topic('chat:a'), view: 'log', limit: 5 }), unavailable(false));
    assert.ok(performance.now() - startedMs < 20_000);
  });
  assert.deepEqual(offsets(await store.append([entry()])), [2]);
  assert.equal((await pageOf(store, topic('chat:a'))).length, 2);
  await store.close();
});

test('erasing a user while their messages are edited makes neither fail', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const messages = Array.from({ length: 400 }, (_, index) => entry({ topic: topic(`t:${index % 4}`) }));
  await store.append(messages);
  let isErased = false;
  const edits = (async () => {
    while (!isErased) {
      const some = Array.from({ length: 10 }, () => messages[Math.floor(Math.random() * messages.length)]!);
      for (const { state } of await store.append(some.map((message) => amend('edited', message)))) {
        assert.ok(state === 'stored' || state === 'missing', state);
      }
    }
  })();
  await sleep(50);
  assert.deepEqual(await store.erase({ tenant, user: ann, atMs: 5_000 }), { messageCount: 400 });
  isErased = true;
  await edits;
  for (let index = 0; index < 4; index++) {
    const left = await pageOf(store, topic(`t:${index}`), 'messages');
    assert.ok(left.every(({ payload, deletedAtMs }) => payload[0] === 0xc0 && deletedAtMs === 5_000));
  }
  await store.close();
});

test('idle connections may end without a word', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  for (let round = 1; round <= 3; round++) {
    assert.deepEqual(offsets(await store.append([entry()])), [round]);
    await Promise.all(Array.from({ length: 4 }, () => pageOf(store, topic('chat:a'))));
    await withClient(server.url, async (client) => {
      const ours = `FROM pg_stat_activity WHERE application_name = 'carillon'`;
      await client.query(`SELECT pg_terminate_backend(pid) ${ours}`);
      await eventually('they have ended', async () => (await client.query(`SELECT ${ours}`)).rowCount === 0);
    });
    await sleep(500); // for their last words to be read
  }
  assert.equal((await pageOf(store, topic('chat:a'))).length, 3);
  await store.close();
});

test('a commit whose answer is lost is answered as what it was', async () => {
  await throughProxy(async (store, proxy) => {
    await store.append([entry()]);
    for (let round = 1; round <= 5; round++) {
      proxy.atCommit = 'cut';
      const append = store.append([entry(), entry({ key: `k${round}` })]);
      await eventually('COMMIT', () => proxy.commits > 2 * round - 1);
      proxy.atCommit = 'pass';
      assert.deepEqual(offsets(await append), [2 * round, 2 * round + 1]);
      proxy.commits = 2 * round + 1;
    }
    assert.equal((await pageOf(store, topic('chat:a'))).length, 11);
  });
});

test('a commit that never arrived is not stored, and its locks do not last', async () => {
  await throughProxy(async (store, proxy) => {
    await store.append([entry()]);
    proxy.atCommit = 'swallow';
    const commits = proxy.commits;
    const append = store.append([entry(), entry()]);
    const rejected = assert.rejects(append, unavailable(false));
    await eventually('COMMIT', () => proxy.commits > commits);
    proxy.atCommit = 'pass';
    const startedMs = performance.now();
    await rejected;
    assert.ok(performance.now() - startedMs < 20_000);
    assert.deepEqual(offsets(await store.append([entry()])), [2]);
  });
});

test('a commit that nobody can be asked about is doubtful, and its repeat is stored once', async () => {
  await throughProxy(async (store, proxy, url) => {
    await store.append([entry()]);
    const batch = [entry(), entry()];
    proxy.atCommit = 'vanish';
    await assert.rejects(store.append(batch), unavailable(true));
    await withClient(url, async (client) => {
      const { rows } = await client.query('SELECT count(*)::int AS count FROM messages');
      assert.equal(rows[0].count, 3, 'it is stored, though nobody could say so');
    });
    [proxy.isSilent, proxy.atCommit] = [false, 'pass'];
    const again = batch.map((given) => ({ ...given, isRepeat: true }));
    assert.deepEqual(offsets(await store.append([...again, entry()])), [2, 3, 4]);
  });
});

test('a transaction that the database never had is looked for by its messages', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const known = entry();
  await store.append([known]);
  await withClient(url, async (client) => {
    const ask = (messageId: AppendEntry['messageId']) =>
      isStored({ transactionId: '999999999999', topicId: 1, messageId }, 1_000, (run) =>
        run({ all: async (text, values) => (await client.query(text, values)).rows }),
      );
    assert.equal(await ask(known.messageId), true);
    assert.equal(await ask(idOf(999_999)), false);
  });
  await store.close();
});

test('a server that says nothing is not waited for', async () => {
  await throughProxy(async (store, proxy) => {
    await store.append([entry()]);
    proxy.isSilent = true;
    const startedMs = performance.now();
    await assert.rejects(store.append([entry()]), unavailable(false));
    await assert.rejects(store.page({ topic: topic('chat:a'), view: 'log', limit: 5 }), unavailable(false));
    assert.ok(performance.now() - startedMs < 30_000);
    proxy.isSilent = false;
    assert.deepEqual(offsets(await store.append([entry()])), [2]);
    assert.equal((await pageOf(store, topic('chat:a'))).length, 2);
    proxy.isSilent = true;
    const closingMs = performance.now();
    await store.close();
    assert.ok(performance.now() - closingMs < 20_000, 'nor at the end');
  });
});

test('what is wrong with DATABASE_URL is said in a sentence, without the password', async () => {
  const url = await newDatabase(server);
  const { password } = new URL(url);
  const changed = (change: (parts: URL) => void) => {
    const parts = new URL(url);
    change(parts);
    return parts.href;
  };
  const cases: [string, RegExp][] = [
    ['', /^DATABASE_URL is no URL of PostgreSQL/],
    [`mysql://me:${password}@host/db`, /^DATABASE_URL is no URL of PostgreSQL/],
    [`postgres://me:${password}@host:port/db`, /^DATABASE_URL is no URL of PostgreSQL/],
    [changed((parts) => (parts.password = 'wrong')), /password authentication failed for user "postgres"/],
    [changed((parts) => (parts.port = '1')), /cannot be used: connect ECONNREFUSED/],
    [changed((parts) => (parts.pathname = '/nowhere')), /database "nowhere" does not exist/],
    [changed((parts) => (parts.hostname = 'no.such.host.invalid')), /no\.such\.host\.invalid/],
  ];
  for (const [wrong, says] of cases) {
    await assert.rejects(PostgresHistoryStore.open(wrong, hasted), (error: Error) => {
      assert.match(error.message, says);
      assert.match(error.message, /^DATABASE_URL is /);
      assert.ok(!error.message.includes(password) && !error.message.includes('wrong'), error.message);
      return true;
    });
  }
});

test('a database of a newer release and a changed one end the start with a sentence, and stay as they are', async () => {
  const cases: [spoil: string, says: RegExp][] = [
    [
      `INSERT INTO migrations VALUES (999, '999-later.sql', 'x')`,
      /999-later\.sql, which this release does not know/,
    ],
    [`UPDATE migrations SET checksum = 'x'`, /another text of migration 001-history\.sql/],
  ];
  for (const [spoil, says] of cases) {
    const url = await newDatabase(server);
    await (await PostgresHistoryStore.open(url)).close();
    await withClient(url, (client) => client.query(spoil));
    await assert.rejects(PostgresHistoryStore.open(url), says);
    await assert.rejects(
      PostgresHistoryStore.open(url),
      /^Error: DATABASE_URL is "postgres:\/\/postgres@127/,
    );
  }
});
