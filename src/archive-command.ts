/**
 * `npm run archive`: what is archived, and the ways back: list, restore, export.
 * A process of its own. Reads the same settings as the server. What reads may run beside it; what writes may, too, where the
 * store is PostgreSQL, and says so where it is the embedded one.
 */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '#kit/clock.ts';
import { parseDuration } from '#kit/duration.ts';
import {
  defaultTenant,
  type Tenant,
  type TopicKey,
  type TopicName,
  tenantPattern,
  topicKey,
  topicPattern,
} from '#proto/names.ts';
import { archiveLines, archiveTable, Progress, shownTopic } from './archive-output.ts';
import { type Config, ConfigError, loadConfig } from './config/load-config.ts';
import { exportTopic } from './store/archive-export.ts';
import type { ArchiveLead } from './store/archive-index.ts';
import { archivesOf } from './store/archive-list.ts';
import { planRestore, type RestoreContext, restoreOne } from './store/archive-restore.ts';
import { type HistoryStore, StoreUnavailableError } from './store/history-store.ts';
import { PostgresHistoryStore } from './store/postgres/postgres-history-store.ts';
import { searchText } from './store/search-text.ts';
import { SqliteHistoryStore } from './store/sqlite/sqlite-history-store.ts';

const exitFailed = 1;
const exitUsage = 2;
/** A running server has the lead for moments only, milliseconds. */
const leadWaitMs = 60_000;
const dayMs = 86_400_000;

const usage = `Usage: npm run archive -- <command> [options]

  list                              what is in archives, of all tenants
      --topic TOPIC                 only of this topic
      --json                        a line of JSON for each
  restore --topic TOPIC             puts archived messages back, at their offsets
      --from DAY --to DAY           only archives with messages of these days (2026-01-31, UTC)
      --keep DURATION               how long they stay before they are archived again (30d)
  export --topic TOPIC              the whole topic as lines of JSON, oldest first
      --out FILE                    instead of standard output

  --tenant TENANT                   of the topic (default)

Settings are those of the server: DATA_DIR, DATABASE_URL, ARCHIVE_DIR.
`;

/** What was asked is not understood; the message is a sentence. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

const textFlag = { type: 'string' } as const;
const yesFlag = { type: 'boolean' } as const;
const options = {
  ...{ topic: textFlag, tenant: textFlag, json: yesFlag },
  ...{ from: textFlag, to: textFlag, keep: textFlag, out: textFlag, help: yesFlag },
};

type Flags = ReturnType<typeof parsed>['values'];

interface Command {
  flags: readonly (keyof Flags)[];
  run(config: Config, flags: Flags): Promise<void>;
}

const commands: Record<string, Command> = {
  list: { flags: ['topic', 'tenant', 'json'], run: list },
  restore: { flags: ['topic', 'tenant', 'from', 'to', 'keep'], run: restore },
  export: { flags: ['topic', 'tenant', 'out'], run: exportAll },
};

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const { values: flags, positionals } = parsed();
    if (flags.help === true) {
      process.stdout.write(usage);
      return 0;
    }
    const command = commandOf(positionals, flags);
    await command.run(loadConfig(), flags);
    return 0;
  } catch (error) {
    const { message, code, cause } = error as NodeJS.ErrnoException;
    if (code === 'EPIPE') return 0; // whoever read has enough
    const isParsing = code?.startsWith('ERR_PARSE_ARGS') === true;
    const why = error instanceof StoreUnavailableError ? `: ${(cause as Error).message}` : '';
    process.stderr.write(`carillon archive: ${isParsing ? firstSentence(message) : message}${why}\n`);
    return isParsing || error instanceof UsageError || error instanceof ConfigError ? exitUsage : exitFailed;
  }
}

/** Node's has advice behind it. */
function firstSentence(message: string): string {
  return message.split('. ')[0] as string;
}

function parsed() {
  return parseArgs({ options, allowPositionals: true });
}

function commandOf([name = '', ...rest]: string[], flags: Flags): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined || rest.length > 0) {
    const given = [name, ...rest].join(' ');
    throw new UsageError(
      `the command is ${JSON.stringify(given)}; allowed is ${Object.keys(commands).join(', ')} (--help says more)`,
    );
  }
  const foreign = (Object.keys(flags) as (keyof Flags)[]).find((flag) => !command.flags.includes(flag));
  if (foreign !== undefined) throw new UsageError(`${name} does not take --${foreign}`);
  return command;
}

async function list(config: Config, flags: Flags): Promise<void> {
  const tenant = flags.tenant === undefined ? undefined : tenantOf(flags);
  const which = flags.topic === undefined ? { tenant } : { topic: topicOf(flags) };
  await withStore(config, 'readOnly', async (store) => {
    const archives = await archivesOf(store, which);
    process.stdout.write(flags.json === true ? archiveLines(archives) : archiveTable(archives));
  });
}

async function restore(config: Config, flags: Flags): Promise<void> {
  const topic = topicOf(flags);
  const range = {
    fromMs: flags.from === undefined ? Number.NEGATIVE_INFINITY : dayOf('from', flags.from),
    toMs: flags.to === undefined ? Number.POSITIVE_INFINITY : dayOf('to', flags.to) + dayMs - 1,
  };
  const keepMs = parseDuration(flags.keep ?? '30d');
  if (keepMs === undefined)
    throw new UsageError(`--keep is ${JSON.stringify(flags.keep)}; allowed is a duration like 30d`);
  const ctx: RestoreContext = {
    archiveDir: config.archiveDir,
    heldUntilMs: systemClock.wallMs() + keepMs,
    textOf: (entry) => searchText(config.topics, entry),
  };
  await withStore(config, undefined, async (store) => {
    const lead = await store.leadArchives({ waitMs: leadWaitMs });
    if (lead === undefined) throw new Error('another process is busy with archives; try again later');
    try {
      await restoreAll(store, lead, { topic, range, ctx });
    } finally {
      await lead.release();
    }
  });
}

interface RestoreRequest {
  topic: TopicKey;
  range: { fromMs: number; toMs: number };
  ctx: RestoreContext;
}

async function restoreAll(
  store: HistoryStore,
  lead: ArchiveLead,
  { topic, range, ctx }: RestoreRequest,
): Promise<void> {
  const plan = await planRestore(store, topic, range);
  if (plan.length === 0)
    return void process.stdout.write(`Nothing of ${shownTopic(topic)} is archived there.\n`);
  const entriesOf = ({ firstOffset, lastOffset }: (typeof plan)[number]) => lastOffset - firstOffset + 1;
  const total = plan.reduce((sum, archive) => sum + entriesOf(archive), 0);
  const progress = progressOf(`restoring ${shownTopic(topic)}`, total);
  let done = 0;
  progress.show(done);
  for (const archive of plan) {
    await restoreOne(lead, archive, ctx);
    done += entriesOf(archive);
    progress.show(done);
  }
  progress.end(done);
  const [first, last] = [plan.at(-1)?.firstOffset, plan[0]?.lastOffset];
  process.stdout.write(
    `Restored offsets ${first} to ${last} of ${shownTopic(topic)}; they stay until ${new Date(ctx.heldUntilMs).toISOString().slice(0, 10)}.\n`,
  );
}

async function exportAll(config: Config, flags: Flags): Promise<void> {
  const topic = topicOf(flags);
  await withStore(config, 'readOnly', async (store) => {
    const { lastOffset } = await store.page({ topic, view: 'log', limit: 0 });
    const progress = progressOf(`exporting ${shownTopic(topic)}`, lastOffset);
    let [done, entryCount] = [0, 0];
    async function* lines() {
      for await (const stretch of exportTopic(store, topic, config.archiveDir)) {
        yield stretch.text;
        entryCount += stretch.entryCount;
        done = stretch.lastOffset;
        progress.show(done);
      }
    }
    const out = flags.out === undefined ? process.stdout : createWriteStream(flags.out);
    await pipeline(lines(), out, { end: flags.out !== undefined });
    progress.end(done);
    process.stderr.write(`Exported ${entryCount} entries to ${flags.out ?? 'standard output'}.\n`);
  });
}

/** On standard error: what is exported may go to standard output. */
function progressOf(what: string, total: number): Progress {
  return new Progress(what, total, process.stderr, () => systemClock.monotonicMs());
}

/** Rejects with a sentence that names the setting. */
async function withStore(
  { databaseUrl, dataDir, searchLanguage }: Config,
  access: 'readOnly' | undefined,
  use: (store: HistoryStore) => Promise<void>,
): Promise<void> {
  const store =
    databaseUrl === undefined
      ? new SqliteHistoryStore(dataDir, { readOnly: access === 'readOnly' })
      : await PostgresHistoryStore.open(databaseUrl, { searchLanguage });
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

function tenantOf({ tenant = defaultTenant }: Flags): Tenant {
  if (!new RegExp(tenantPattern).test(tenant))
    throw new UsageError(
      `--tenant is ${JSON.stringify(tenant)}; allowed are letters, digits, "_", "." and "-"`,
    );
  return tenant as Tenant;
}

function topicOf(flags: Flags): TopicKey {
  const { topic } = flags;
  if (topic === undefined) throw new UsageError('--topic is missing; allowed is the name of a topic');
  if (!new RegExp(topicPattern).test(topic))
    throw new UsageError(`--topic is ${JSON.stringify(topic)}; allowed is the name of a topic`);
  return topicKey(tenantOf(flags), topic as TopicName);
}

function dayOf(flag: 'from' | 'to', text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms))
    throw new UsageError(`--${flag} is ${JSON.stringify(text)}; allowed is a day like 2026-01-31`);
  return ms;
}
