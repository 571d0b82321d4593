/** Archives of a real server: old messages move to files, nothing is lost by any death, and the command brings them back. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportTopic } from '../../src/store/archive-export.ts';
import type { HistoryStore } from '../../src/store/history-store.ts';
import { PostgresHistoryStore } from '../../src/store/postgres/postgres-history-store.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { packMsgpack } from '../../src/wire/codec.ts';
import { ann, ben, boundsOf, entry, tenant, topic } from '../contract/entries.ts';
import { newDatabase } from '../contract/postgres-databases.ts';
import { type ChildServer, startChildServer } from '../kit/child-server.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { type Postgres, startPostgres } from '../kit/postgres.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, testSecret, tokenOf } from '../kit/test-server.ts';

const dayMs = 86_400_000;
const [chat, log] = [topic('chat:a'), topic('log:b')];
const base = mkdtempSync(join(tmpdir(), 'carillon-archives-'));
let postgres: Postgres;
before(async () => {
  postgres = await startPostgres();
});
after(async () => {
  await postgres.close();
  rmSync(base, { recursive: true, force: true });
});

type Settings = Record<string, string>;

interface Backend {
  name: string;
  settings(): Promise<Settings>;
  open(settings: Settings, access?: 'readOnly'): Promise<HistoryStore>;
}

let folders = 0;
const newDataDir = () => join(base, String(++folders));
const backends: Backend[] = [
  {
    name: 'SQLite',
    settings: async () => ({ DATA_DIR: newDataDir() }),
    open: async (settings, access) =>
      new SqliteHistoryStore(settings['DATA_DIR']!, { readOnly: access === 'readOnly' }),
  },
  {
    name: 'PostgreSQL',
    settings: async () => ({ DATA_DIR: newDataDir(), DATABASE_URL: await newDatabase(postgres) }),
    open: (settings) => PostgresHistoryStore.open(settings['DATABASE_URL']!),
  },
];

const archiveDirOf = (settings: Settings) => join(settings['DATA_DIR']!, 'archive');
const filesOf = (settings: Settings) => globSync('**/*.*', { cwd: archiveDirOf(settings) }).sort();

/** `count` messages of each topic, sixty days old, and two of today. */
async function fill(backend: Backend, settings: Settings, count: number): Promise<void> {
  const store = await backend.open(settings);
  const oldMs = Date.now() - 60 * dayMs;
  for (let first = 0; first < count; first += 500) {
    const numbers = Array.from({ length: Math.min(500, count - first) }, (_, index) => first + index + 1);
    for (const place of [chat, log]) {
      await store.append(numbers.map((number) => messageOf(number, place, oldMs + number)));
    }
  }
  await store.append([1, 2].map((number) => messageOf(count + number, chat, Date.now())));
  await store.close();
}

function messageOf(number: number, place: typeof chat, timestampMs: number) {
  const text = `message number${number}`;
  return entry({
    ...{ topic: place, timestampMs, from: number % 2 === 0 ? ann : ben, text },
    payload: packMsgpack({ text, number, bytes: Uint8Array.of(number % 256) }),
  });
}

/** `npm run archive -- …args`, as a script that is no terminal. */
async function archive(args: string[], settings: Settings) {
  const child = spawn(process.execPath, ['src/archive-command.ts', ...args], {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env['PATH'] ?? '', ...settings },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

/** Numbers of everything, in files and in the log, in its order. */
async function numbersOf(backend: Backend, settings: Settings, place: typeof chat): Promise<number[]> {
  const store = await backend.open(settings, 'readOnly');
  const numbers: number[] = [];
  for await (const { text } of exportTopic(store, place, archiveDirOf(settings))) {
    for (const line of text.trim().split('\n'))
      numbers.push((JSON.parse(line) as { payload: { number: number } }).payload.number);
  }
  await store.close();
  return numbers;
}

async function kill9({ process: child }: ChildServer): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function historyOf(url: string) {
  const client = await TestClient.connect({ url, token: tokenOf('ann') });
  const { data } = await client.request('History', { topic: 'chat:a', after: 0, limit: 2 });
  const { data: search } = await client.request('Search', { query: 'number7', topics: ['chat:a'] });
  await client.close();
  return { ...data, found: (search.messages as unknown[]).length };
}

for (const backend of backends) {
  const { name } = backend;

  test(`${name}: old messages move to files while the server serves, and the command brings them back`, async () => {
    const settings = await backend.settings();
    await fill(backend, settings, 1_500);
    const started = { ...settings, JWT_SECRET: testSecret, ARCHIVE_AFTER: '30d' };
    const server = await startTestServer(started);
    await eventually('all old messages are moved', async () => {
      return (await metricOf(server.url, 'store_archived_total')) === 3_000;
    });
    assert.equal(filesOf(settings).length, 4);
    const { firstOffset, lastOffset, messages, found } = await historyOf(server.url);
    assert.deepEqual([firstOffset, lastOffset, messages.length, found], [1_501, 1_502, 2, 0]);
    await eventually('it is logged', () =>
      server.logs.some(({ msg }) => msg === 'messages were moved to an archive'),
    );

    const listed = await archive(['list'], settings);
    assert.equal(listed.code, 0, listed.stderr);
    const lines = listed.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    assert.deepEqual(
      lines.map(([of, first, last]) => [of, first, last]),
      [
        ['TOPIC', 'FIRST', 'LAST'],
        ...[
          ['chat:a', '1', '1000'],
          ['chat:a', '1001', '1500'],
          ['log:b', '1', '1000'],
          ['log:b', '1001', '1500'],
        ],
        ['TOTAL', '3000', lines.at(-1)![2]!],
      ],
    );
    const json = await archive(['list', '--json', '--topic', 'log:b'], settings);
    const described = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string });
    assert.deepEqual(
      described.map(({ file }) => existsSync(join(archiveDirOf(settings), file))),
      [true, true],
    );

    const restoring = ['restore', '--topic', 'chat:a'];
    if (name === 'SQLite') {
      const refused = await archive(restoring, settings);
      assert.deepEqual([refused.code, refused.stdout], [1, '']);
      assert.match(refused.stderr, /^carillon archive: DATA_DIR is ".*"; another server is using it\. .*\n$/);
      await server.drain();
    }
    const restored = await archive(restoring, settings);
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(
      restored.stdout,
      /^Restored offsets 1 to 1500 of chat:a; they stay until \d{4}-\d{2}-\d{2}\.\n$/,
    );
    assert.match(restored.stderr, /restoring chat:a: 1,500 of 1,500 entries, done\n$/);
    const again = await archive(restoring, settings);
    assert.deepEqual([again.code, again.stdout], [0, 'Nothing of chat:a is archived there.\n']);
    if (name === 'PostgreSQL') await server.drain();

    const next = await startTestServer(started);
    const back = await historyOf(next.url);
    assert.deepEqual([back.firstOffset, back.lastOffset, back.found], [1, 1_502, 1]);
    assert.equal(back.messages[0].payload.text, 'message number1');
    await sleep(300);
    assert.equal(await metricOf(next.url, 'store_archived_total'), 0, 'it is held');
    await next.drain();
    assert.equal(filesOf(settings).length, 2);
  });

  test(`${name}: ended wherever it is, the server loses no message and leaves no file behind`, async () => {
    const settings = await backend.settings();
    const count = 4_000;
    await fill(backend, settings, count);
    const isDone = async () => {
      const store = await backend.open(settings);
      const [[first], [other]] = [await boundsOf(store, chat), await boundsOf(store, log)];
      await store.close();
      return first === count + 1 && other === count + 1;
    };
    let kills = 0;
    for (let delayMs = 20; !(await isDone()); delayMs += 45) {
      assert.ok(kills++ < 60, 'it makes no progress');
      const child = await startChildServer({ ...settings, ARCHIVE_AFTER: '30d', SHARDS: '1' });
      await sleep(delayMs);
      if (kills % 3 === 0) assert.equal(await child.terminate(), 0, 'a drain does not wait for archives');
      else await kill9(child);
      assert.deepEqual(await numbersOf(backend, settings, chat), upTo(count + 2));
      assert.deepEqual(await numbersOf(backend, settings, log), upTo(count));
    }
    const last = await startChildServer({ ...settings, ARCHIVE_AFTER: '30d', SHARDS: '1' });
    const store = await backend.open(settings, 'readOnly');
    const known = (await store.archives({ limit: 99 })).map(({ file }) => file).sort();
    await store.close();
    await eventually('what nobody knows is swept', () => {
      const files = filesOf(settings);
      return files.length === known.length && files.every((file, index) => file === known[index]);
    });
    assert.equal(await last.terminate(), 0);
  });

  test(`${name}: an erased user is erased from files, and does not come back with them`, async () => {
    const settings = await backend.settings();
    await fill(backend, settings, 100);
    const started = { ...settings, JWT_SECRET: testSecret, ARCHIVE_AFTER: '30d', API_KEYS: 'key' };
    const server = await startTestServer(started);
    await eventually('moved', async () => (await metricOf(server.url, 'store_archived_total')) === 200);
    await server.drain();
    const store = await backend.open(settings);
    await store.erase({ tenant, user: ann, atMs: Date.now() });
    await store.close();
    const exported = await archive(['export', '--topic', 'log:b'], settings);
    assert.equal(exported.stdout.split('\n').filter((line) => line.includes('"payload":null')).length, 50);
    const [first, second] = filesOf(settings);
    const next = await startTestServer(started);
    await eventually('both files are others', () => {
      const now = filesOf(settings);
      return now.length === 2 && !now.includes(first!) && !now.includes(second!);
    });
    await eventually('it is settled', async () => {
      const looking = await backend.open(settings, 'readOnly');
      const pending = await looking.erasures();
      await looking.close();
      return pending.length === 0;
    });
    await next.drain();
    assert.equal((await archive(['restore', '--topic', 'log:b'], settings)).code, 0);
    const last = await backend.open(settings);
    const { messages } = await last.page({ topic: log, view: 'log', limit: 1_000 });
    assert.deepEqual(
      messages.map(({ from, payload }) => [from, payload.length > 1]),
      upTo(100).map((number) => (number % 2 === 0 ? [ann, false] : [ben, true])),
    );
    await last.close();
  });
}

test('a topic is exported as a whole, to a file or to whoever listens', async () => {
  const backend = backends[0]!;
  const settings = await backend.settings();
  await fill(backend, settings, 300);
  const server = await startTestServer({ ...settings, JWT_SECRET: testSecret, ARCHIVE_AFTER: '30d' });
  await eventually('moved', async () => (await metricOf(server.url, 'store_archived_total')) === 600);
  const out = join(base, 'out.ndjson');
  const toFile = await archive(['export', '--topic', 'chat:a', '--out', out], settings);
  assert.deepEqual([toFile.code, toFile.stdout], [0, '']);
  assert.match(toFile.stderr, /Exported 302 entries to .*out\.ndjson\.\n$/);
  const toPipe = await archive(['export', '--topic', 'chat:a'], settings);
  assert.equal(toPipe.stdout, readFileSync(out, 'utf8'));
  const lines = toPipe.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { offset: number; payload: object });
  assert.deepEqual(
    lines.map(({ offset }) => offset),
    upTo(302),
  );
  assert.deepEqual(lines[4]!.payload, { text: 'message number5', number: 5, bytes: { $bin: 'BQ==' } });
  await server.drain();
});

test('a restore that would leave a hole, or meets a damaged file, is refused with a sentence', async () => {
  const backend = backends[0]!;
  const settings = await backend.settings();
  const store = await backend.open(settings);
  const todayMs = Date.now();
  const days = [200, 190, 100, 90, 60, 50].map((days) => todayMs - days * dayMs);
  await store.append(days.map((timestampMs, index) => messageOf(index + 1, chat, timestampMs)));
  await store.close();
  const started = { ...settings, JWT_SECRET: testSecret, ARCHIVE_AFTER: '30d', RETENTION: '300d' };
  const server = await startTestServer(started);
  await eventually('moved', async () => (await metricOf(server.url, 'store_archived_total')) === 6);
  await server.drain();
  assert.equal(filesOf(settings).length, 3, 'files span a twentieth of the retention');
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const restoring = (...args: string[]) => archive(['restore', '--topic', 'chat:a', ...args], settings);
  const hole = await restoring('--to', dayOf(days[3]!));
  assert.equal(hole.code, 1);
  assert.equal(
    hole.stderr,
    'carillon archive: offsets 5 to 6 would be missing: they are in younger archives, which must come back first; ask without --to\n',
  );
  const part = await restoring('--from', dayOf(days[3]!));
  assert.match(part.stdout, /^Restored offsets 3 to 6 /);
  const [file] = filesOf(settings);
  const path = join(archiveDirOf(settings), file!);
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(1));
  const damaged = await restoring();
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /carillon archive: the archive file \S+ is damaged: its SHA-256 .*\n$/);
  writeFileSync(path, whole);
  assert.match((await restoring()).stdout, /^Restored offsets 1 to 2 /);
  assert.deepEqual(await numbersOf(backend, settings, chat), upTo(6));
});

test('wrong usage is one sentence and exit code 2', async () => {
  const settings = { DATA_DIR: newDataDir() };
  const cases: [args: string[], says: RegExp][] = [
    [[], /the command is ""; allowed is list, restore, export/],
    [['lst'], /the command is "lst"/],
    [['list', 'more'], /the command is "list more"/],
    [['list', '--nothing'], /Unknown option '--nothing'/],
    [['list', '--out', 'x'], /list does not take --out/],
    [['restore'], /--topic is missing/],
    [['restore', '--topic', 'a b'], /--topic is "a b"/],
    [['restore', '--topic', 'a', '--from', 'May'], /--from is "May"; allowed is a day like 2026-01-31/],
    [['restore', '--topic', 'a', '--to', '2026-13-01'], /--to is "2026-13-01"/],
    [['restore', '--topic', 'a', '--keep', 'long'], /--keep is "long"; allowed is a duration like 30d/],
    [['list', '--tenant', 'a|b'], /--tenant is "a\|b"/],
  ];
  const answers = await Promise.all(cases.map(([args]) => archive(args, settings)));
  for (const [index, { code, stdout, stderr }] of answers.entries()) {
    const [args, says] = cases[index]!;
    assert.deepEqual([code, stdout], [2, ''], `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /^carillon archive: [^\n]+\n$/);
    assert.match(stderr, says);
  }
  const wrong = await archive(['list'], { ...settings, ARCHIVE_AFTER: '1h' });
  assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /ARCHIVE_AFTER is "1h"/);
  const nothing = await archive(['list'], settings);
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /^carillon archive: DATA_DIR is ".*"; there is no carillon\.db in it\n$/);
  const help = await archive(['--help'], settings);
  assert.deepEqual([help.code, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: npm run archive -- <command>/);
});
