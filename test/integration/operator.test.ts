/** The program as an operator meets it: arguments, wrong settings, the banner, signals and exit codes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { settings } from '../../src/config/config-schema.ts';
import { eventually } from '../kit/eventually.ts';
import { TestClient } from '../kit/test-client.ts';

const dir = mkdtempSync(join(tmpdir(), 'carillon-operator-'));
after(() => rmSync(dir, { recursive: true }));
let folders = 0;

interface Program {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  /** Resolves with the exit code once all output is read; null when a signal ended it. */
  exit: Promise<number | null>;
}

/** `npm start -- …args` with nothing of this process's environment but PATH. */
function start(t: TestContext, args: string[], env: Record<string, string> = {}): Program {
  const dataDir = join(dir, `data-${folders++}`);
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', PORT: '0', SHARDS: '2', DATA_DIR: dataDir, ...env },
  });
  t.after(() => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return { child, stdout: () => stdout, stderr: () => stderr, exit };
}

/** Resolves with `host:port` when it listens. */
async function listening(program: Program): Promise<string> {
  await eventually('the banner', () => {
    assert.equal(program.child.exitCode, null, program.stderr());
    return program.stdout().includes('Ctrl-C drains');
  });
  return /wss?:\/\/(\S+)\/ws/.exec(program.stdout())![1]!;
}

function tokenIn(program: Program): string {
  return /Token\s+(\S+)/.exec(program.stdout())![1]!;
}

/** It ended with `code`, said `message` in one sentence on stderr, and nothing on stdout. */
async function refuses(program: Program, code: number, message: RegExp): Promise<void> {
  assert.equal(await program.exit, code, program.stderr());
  assert.match(program.stderr(), /^carillon: .*\n$/);
  assert.match(program.stderr(), message);
  assert.equal(program.stdout(), '');
}

test('--help names every setting, --version says the version, and neither starts anything or shows a secret', async (t) => {
  const env = {
    JWT_SECRET: 'canary-secret-of-more-than-32-bytes',
    API_KEYS: 'canary-key',
    DATA_DIR: join(dir, 'never'),
  };
  const help = start(t, ['--help'], env);
  assert.equal(await help.exit, 0);
  for (const { name } of Object.values(settings)) assert.match(help.stdout(), new RegExp(`^  ${name}$`, 'm'));
  const version = start(t, ['--version'], env);
  assert.equal(await version.exit, 0);
  assert.match(version.stdout(), /^\d+\.\d+\.\d+\S*\n$/);
  const printed = start(t, ['--print-config'], { ...env, SHARDS: '3' });
  assert.equal(await printed.exit, 0);
  assert.match(printed.stdout(), /^SHARDS=3$/m);
  assert.match(printed.stdout(), /^JWT_SECRET=\(hidden\)$/m);
  assert.equal(
    [help, version, printed].some(({ stdout, stderr }) => (stdout() + stderr()).includes('canary')),
    false,
  );
  assert.equal(existsSync(env.DATA_DIR), false);
});

test('an argument that is unknown exits with 2 and names it', async (t) => {
  await refuses(start(t, ['--prot=1']), 2, /--prot/);
  await refuses(start(t, ['serve']), 2, /serve/);
});

test('a setting that is wrong exits with 2 and names it, its value and what is allowed', async (t) => {
  await refuses(
    start(t, [], { PORT: '80000' }),
    2,
    /PORT is "80000"; allowed is a whole number from 0 to 65535/,
  );
  await refuses(
    start(t, ['--print-config'], { LOG_LEVEL: 'loud' }),
    2,
    /LOG_LEVEL is "loud"; allowed is one of fatal, /,
  );
  await refuses(start(t, [], { JWT_SECRET: 'canary' }), 2, /^(?!.*canary).*JWT_SECRET is too short/);
  await refuses(
    start(t, [], { CARILLON_CONFIG: join(dir, 'missing.json') }),
    2,
    /CARILLON_CONFIG is ".*missing\.json"/,
  );
});

test('production without keys exits with 2 and says which setting gives them', async (t) => {
  await refuses(start(t, [], { NODE_ENV: 'production' }), 2, /JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL/);
});

test('a port that is taken exits with 1 and a sentence', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const program = start(t, [], { PORT: String(port) });
  await refuses(program, 1, new RegExp(`PORT is ${port}; another program listens there`));
});

test('a file that cannot be read ends the start with the name of its setting', async (t) => {
  const notAKey = join(dir, 'not-a-key.pem');
  writeFileSync(notAKey, 'hello');
  const wrong: [env: Record<string, string>, name: RegExp][] = [
    [{ TLS_CERT: '/nowhere.pem', TLS_KEY: '/nowhere.pem' }, /TLS_CERT/],
    [{ JWT_PUBLIC_KEY: '/nowhere.pem' }, /JWT_PUBLIC_KEY/],
    [{ JWT_PUBLIC_KEY: notAKey }, /JWT_PUBLIC_KEY/],
  ];
  for (const [env, name] of wrong) {
    const program = start(t, [], env);
    assert.notEqual(await program.exit, 0);
    assert.match(program.stderr(), name);
  }
});

test('the banner shows an address, a token that works, and a demo page that is there', async (t) => {
  const program = start(t, []);
  const url = await listening(program);
  assert.match(program.stdout(), /WebSocket\s+ws:\/\/127\.0\.0\.1:\d+\/ws/);
  const client = await TestClient.connect({ url, token: tokenIn(program) });
  assert.equal(client.received[0]!.data.userId, 'demo');
  const demo = /Demo page\s+(\S+)/.exec(program.stdout())![1]!;
  assert.equal(demo, `http://${url}/`);
  assert.equal((await fetch(demo)).status, 200);
  await client.close();
});

test('in production there is no banner, no demo page and no token of our own', async (t) => {
  const env = {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    JWT_SECRET: 'a secret of more than thirty-two bytes',
  };
  const program = start(t, [], env);
  const line = await eventually('it listens', () => /^.*"msg":"listening".*$/m.exec(program.stdout()));
  const { port } = JSON.parse(line![0]) as { port: number };
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
  assert.equal((await fetch(`http://127.0.0.1:${port}/demo/token`, { method: 'POST' })).status, 404);
  for (const text of program.stdout().trimEnd().split('\n'))
    assert.doesNotThrow(() => JSON.parse(text), text);
});

test('the address in the banner is a URL, for IPv6 too', async (t) => {
  const program = start(t, [], { HOST: '::1' });
  await eventually(
    'it ended or began',
    () => program.child.exitCode !== null || program.stdout().includes('Ctrl-C'),
  );
  if (program.stderr().includes('no such address')) return t.skip('this machine has no IPv6');
  assert.ok(URL.canParse(/ws:\S+/.exec(program.stdout())![0]), program.stdout());
});

test('[DRN1] SIGTERM: every client is told when to come back, closes with 4000, and the process exits with 0', async (t) => {
  const program = start(t, []);
  const url = await listening(program);
  const token = tokenIn(program);
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      TestClient.connect({ url, token, encoding: index % 2 === 0 ? 'json' : 'msgpack' }),
    ),
  );
  assert.equal(new Set(clients.map(({ shard }) => shard)).size, 2, 'on both shards');
  const beforeItsToken = new TestClient({ url });
  await once(beforeItsToken.socket, 'open');
  program.child.kill('SIGTERM');
  for (const client of [...clients, beforeItsToken]) {
    assert.equal(await client.closeCode(), 4000);
    const last = client.received.at(-1)!;
    assert.deepEqual([last.type, last.data.event], ['System', 'draining']);
    assert.ok(Number.isInteger(last.data.reconnectAfterMs) && last.data.reconnectAfterMs >= 0);
  }
  assert.equal(await program.exit, 0, program.stderr());
});

test('SIGINT twice at once, as from the terminal and from npm, counts once: it drains and exits with 0', async (t) => {
  const program = start(t, []);
  await listening(program);
  program.child.kill('SIGINT');
  program.child.kill('SIGINT');
  assert.equal(await program.exit, 0, program.stderr());
});

/** A WebSocket that never answers a close frame; `said` resolves with the first bytes after the handshake. */
async function openDeaf(url: string): Promise<{ socket: Socket; said: Promise<unknown> }> {
  const [host, port] = url.split(':') as [string, string];
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${url}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(socket, 'data');
  const said = once(socket, 'data');
  said.catch(() => {}); // the end may come as a reset
  return { socket, said };
}

/** Answers with what exit code it ended, and how long after the first signal the second one was sent. */
async function signalTwice(t: TestContext): Promise<{ code: number | null; betweenMs: number }> {
  const program = start(t, [], {
    SHARDS: '1',
    HANDSHAKE_RATE_IP: '100000/s',
    MAX_CONNECTIONS_PER_IP: '5000',
  });
  const url = await listening(program);
  // Closed in batches, a second's grace for the last: the drain takes about two seconds.
  const deaf: Awaited<ReturnType<typeof openDeaf>>[] = [];
  for (let count = 0; count < 20; count++) {
    deaf.push(...(await Promise.all(Array.from({ length: 100 }, () => openDeaf(url)))));
  }
  const firstMs = performance.now();
  program.child.kill('SIGTERM');
  await deaf[0]!.said;
  await sleep(600); // beyond what still counts as the same signal
  const betweenMs = performance.now() - firstMs;
  program.child.kill('SIGTERM');
  const code = await program.exit;
  for (const { socket } of deaf) socket.destroy();
  return { code, betweenMs };
}

test('a second signal, later, forces the end with 1 while clients that do not answer hold the drain', async (t) => {
  for (let attempt = 1; ; attempt++) {
    const { code, betweenMs } = await signalTwice(t);
    // Where this process had to wait for its turn the drain was over before: once more.
    const isLate = code === 0 && betweenMs > 1_200;
    if (!isLate || attempt === 5) return assert.equal(code, 1, `${Math.round(betweenMs)} ms between the two`);
  }
});
