/**
 * The PostgreSQL of the tests: it starts beside others, keeps its data over every kind of end, and leaves
 * nothing behind.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../kit/eventually.ts';
import { type Postgres, startPostgres } from '../../kit/postgres.ts';

async function started(t: TestContext): Promise<Postgres> {
  const postgres = await startPostgres();
  t.after(() => postgres.close());
  return postgres;
}

test('two servers start at once and know nothing of each other', async (t) => {
  const [one, other] = await Promise.all([started(t), started(t)]);
  assert.notEqual(one.port, other.port);
  assert.notEqual(one.dataDir, other.dataDir);
  await query(one, "create table bells (name text); insert into bells values ('Gloriosa')");
  assert.deepEqual(await query(one, 'select name from bells'), ['Gloriosa']);
  await assert.rejects(query(other, 'select name from bells'), /"bells" does not exist/);
});

test('it is 14 or newer, keeps its promises to the disk, and listens to this machine only', async (t) => {
  const postgres = await started(t);
  assert.ok(Number(await query(postgres, 'show server_version_num')) >= 140_000);
  for (const name of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    assert.deepEqual(await query(postgres, `show ${name}`), ['on'], name);
  }
  assert.deepEqual(await query(postgres, 'show listen_addresses'), ['127.0.0.1']);
  const stranger = postgres.url.replace(/:[^:@]*@/, ':guessed@');
  await assert.rejects(query({ url: stranger }, 'select 1'), /password authentication failed/);
});

test('what was committed is there after a fast stop, an immediate one and a SIGKILL, under the same address', async (t) => {
  const postgres = await started(t);
  const { url } = postgres;
  await query(postgres, 'create table rows (way text)');
  const ways: [way: string, end: () => Promise<void>][] = [
    ['fast', () => postgres.stop('fast')],
    ['immediate', () => postgres.stop('immediate')],
    ['killed', () => postgres.kill9()],
  ];
  for (const [way, end] of ways) {
    await query(postgres, `insert into rows values ('${way}')`);
    const idle = await Session.open(postgres);
    await end();
    await assert.rejects(idle.query('select 1'), way);
    await assert.rejects(query(postgres, 'select 1'), /ECONNREFUSED/, way);
    await postgres.start();
    assert.equal(postgres.url, url);
  }
  assert.deepEqual(await query(postgres, 'select way from rows'), ['fast', 'immediate', 'killed']);
  assert.equal(
    postgres.log().match(/was not properly shut down|was interrupted/g)?.length,
    4,
    postgres.log(),
  );
});

test('stopping what is stopped and starting what runs does nothing', async (t) => {
  const postgres = await started(t);
  await postgres.start();
  await postgres.stop('immediate');
  await postgres.stop('fast');
  await postgres.kill9();
  await postgres.start();
  assert.deepEqual(await query(postgres, 'select 1'), ['1']);
});

test('a start waits for its port when somebody has it for the moment', async (t) => {
  const postgres = await started(t);
  await postgres.stop('fast');
  const thief = createServer().listen(postgres.port, '127.0.0.1');
  t.after(() => thief.close());
  await once(thief, 'listening');
  const starting = postgres.start();
  await eventually('it is told', () => postgres.log().includes('already in use'));
  thief.close();
  await starting;
  assert.deepEqual(await query(postgres, 'select 1'), ['1']);
});

test('closed, it leaves no process and no folder', async (t) => {
  const postgres = await started(t);
  const pid = serverPid(postgres.dataDir);
  await Promise.all([postgres.close(), postgres.close()]);
  assert.equal(isAlive(pid), false);
  assert.equal(existsSync(dirname(postgres.dataDir)), false);
});

/** A process of its own that starts a server, prints where, and goes on as told. */
async function startedElsewhere(
  t: TestContext,
  then: string,
): Promise<[child: ChildProcess, dataDir: string]> {
  const kit = JSON.stringify(join(import.meta.dirname, '../../kit/postgres.ts'));
  const script = `const { startPostgres } = await import(${kit}); console.log((await startPostgres()).dataDir); ${then}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => ended(child));
  const [dataDir] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return [child, dataDir];
}

test('it goes when its test is killed, and its data too', async (t) => {
  const [child, dataDir] = await startedElsewhere(t, 'setInterval(() => {}, 1000)');
  const pid = serverPid(dataDir);
  assert.equal(isAlive(pid), true);
  await ended(child);
  await eventually('the server ends', () => !isAlive(pid));
  await eventually('its folder goes', () => !existsSync(dirname(dataDir)));
});

test('a test that forgets to close it ends all the same, and so does the server', async (t) => {
  const [child, dataDir] = await startedElsewhere(t, '');
  if (child.exitCode === null) await once(child, 'exit');
  assert.equal(child.exitCode, 0);
  await eventually('its folder goes', () => !existsSync(dirname(dataDir)));
});

test('PG_BIN that names no PostgreSQL is told, not passed over', async (t) => {
  const { PG_BIN } = process.env;
  t.after(() => {
    if (PG_BIN === undefined) delete process.env['PG_BIN'];
    else process.env['PG_BIN'] = PG_BIN;
  });
  process.env['PG_BIN'] = '/nowhere';
  await assert.rejects(startPostgres(), /PG_BIN names "\/nowhere"/);
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function serverPid(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'), 10);
}

/** A corpse that nobody buries is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = existsSync('/proc/self/stat') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
    return !stat.includes(') Z ');
  } catch {
    return false;
  }
}

/** First column of every row. */
async function query(server: { url: string }, sql: string): Promise<string[]> {
  const session = await Session.open(server);
  try {
    return await session.query(sql);
  } finally {
    session.socket.destroy();
  }
}

/** As much of the wire protocol as these tests need, since the package `pg` is the store's. */
class Session {
  readonly socket: Socket;
  readonly #messages: AsyncGenerator<[type: string, body: Buffer]>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#messages = messagesOf(socket);
  }

  static async open(server: { url: string }): Promise<Session> {
    const { hostname, port, username, password } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    // What ends a test's server may cut it off.
    socket.on('error', () => undefined);
    const session = new Session(socket);
    const startup = Buffer.from(`\0\u0003\0\0user\0${username}\0database\0postgres\0\0`, 'latin1');
    socket.write(Buffer.concat([lengthOf(startup), startup]));
    await session.#until('R');
    session.#send('p', password);
    await session.#until('Z');
    return session;
  }

  async query(sql: string): Promise<string[]> {
    this.#send('Q', sql);
    const rows = await this.#until('Z');
    return rows.map((body) => body.toString('utf8', 6));
  }

  #send(type: string, text: string): void {
    const body = Buffer.from(`${text}\0`);
    this.socket.write(Buffer.concat([Buffer.from(type), lengthOf(body), body]));
  }

  /** The rows that come before a message of this type. */
  async #until(wanted: string): Promise<Buffer[]> {
    const rows: Buffer[] = [];
    for (;;) {
      const { value, done } = await this.#messages.next();
      if (done) throw new Error('the server closed the connection');
      const [type, body] = value;
      if (type === 'E') throw new Error(body.toString().replaceAll('\0', ' '));
      if (type === 'D') rows.push(body);
      if (type === wanted) return rows;
    }
  }
}

function lengthOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return length;
}

async function* messagesOf(socket: Socket): AsyncGenerator<[string, Buffer]> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    for (; bytes.length >= 5; ) {
      const end = 1 + bytes.readInt32BE(1);
      if (bytes.length < end) break;
      yield [bytes.toString('latin1', 0, 1), bytes.subarray(5, end)];
      bytes = bytes.subarray(end);
    }
  }
}
