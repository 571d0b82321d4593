/** From the environment to the configuration: defaults, and refusals that name the variable, its value and what is allowed. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { type Setting, settings } from '../../../src/config/config-schema.ts';
import { ConfigError, parseConfig } from '../../../src/config/load-config.ts';

const rows = Object.entries(settings) as [keyof typeof settings, Setting<unknown>][];
const longSecret = 'a production secret of more than 32 bytes';

/** One value that is refused for every setting that can be wrong. */
const wrongValues: Record<string, string> = {
  PORT: 'eighty',
  SHARDS: '0',
  AUTH_QUERY_TOKEN: 'maybe',
  DATABASE_URL: 'mysql://localhost/carillon',
  SEARCH_LANGUAGE: 'english; DROP TABLE message',
  RETENTION: '1h',
  ARCHIVE_AFTER: '23h',
  JWT_ALGORITHMS: 'none',
  TRUST_PROXY: '10.0.0.0/33',
  MAX_CONNECTIONS: '-5',
  MAX_CONNECTIONS_PER_IP: '0',
  MAX_CONNECTIONS_PER_USER: '1.5',
  MAX_MESSAGE_BYTES: '1kib',
  MAX_SUBSCRIPTIONS: '1e3',
  HEARTBEAT_INTERVAL: '30',
  CLIENT_TIMEOUT: 'forever',
  AWAY_AFTER: '10ms',
  DEFLATE: 'perhaps',
  MAX_WATCHED_USERS: '-1',
  PRESENCE_GRACE: '2m',
  SESSION_TTL: '999ms',
  RATE_LIMIT_ENABLED: 'yes',
  RATE_LIMIT_CONNECTION: '100',
  RATE_LIMIT_BURST: 'some',
  HANDSHAKE_RATE_IP: '0/s',
  OUTBOX_BYTES: '1kb',
  FLUSH_INTERVAL: '2s',
  RING_BYTES: '1',
  DRAIN_TIMEOUT: '5',
  STALL_TIMEOUT: '1ms',
  DEMO_PAGE: 'sometimes',
  FAILPOINTS: '2',
  LOG_LEVEL: 'verbose',
  LOG_FORMAT: 'xml',
};

/** The message of the refusal; fails when there is none. */
function refusalOf(env: Record<string, string>): string {
  try {
    parseConfig(env, false);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `a ConfigError and not ${String(error)}`);
    return error.message;
  }
  return assert.fail(`${JSON.stringify(env)} was taken`);
}

test('nothing needs to be set to start', () => {
  const config = parseConfig({}, true);
  assert.deepEqual(
    { host: config.host, port: config.port, shards: config.shards, dataDir: config.dataDir },
    { host: '127.0.0.1', port: 8081, shards: availableParallelism(), dataDir: './data' },
  );
  assert.deepEqual(config.allowedOrigins, ['*']);
  assert.deepEqual([config.demoPage, config.failpoints, config.isProduction], [true, false, false]);
  assert.deepEqual(
    [config.messageBytesMax, config.subscriptionsMax, config.connectionsMax],
    [65_536, 128, 10_000],
  );
  assert.deepEqual(
    [config.heartbeatIntervalMs, config.clientTimeoutMs, config.drainTimeoutMs],
    [30_000, 60_000, 25_000],
  );
  assert.deepEqual(config.rateLimitConnection, { permits: 100, intervalMs: 10_000 });
  assert.deepEqual(config.roles, {});
  assert.match(config.nodeId, /./);
});

test('every default passes the check of its own kind, in production and outside', () => {
  for (const isProduction of [false, true]) {
    for (const [, { name, kind, fallback }] of rows) {
      const text =
        typeof fallback === 'function'
          ? fallback({ isProduction, isTerminal: false, dataDir: './data' })
          : fallback;
      if (text !== undefined) assert.notEqual(kind.parse(text), undefined, `${name} defaults to "${text}"`);
    }
  }
});

test('production listens everywhere, allows no foreign origin and serves no demo page', () => {
  const config = parseConfig({ NODE_ENV: 'production', JWT_SECRET: longSecret }, true);
  assert.equal(config.isProduction, true);
  assert.deepEqual([config.host, config.allowedOrigins, config.demoPage], ['0.0.0.0', [], false]);
});

test('only NODE_ENV=production is production', () => {
  for (const name of ['Production', 'prod', 'development', '', 'test']) {
    assert.equal(parseConfig({ NODE_ENV: name }, false).isProduction, false, name);
  }
});

test('logs are pretty on a terminal and JSON elsewhere, unless one is asked for', () => {
  assert.equal(parseConfig({}, true).logFormat, 'pretty');
  assert.equal(parseConfig({}, false).logFormat, 'json');
  assert.equal(parseConfig({ LOG_FORMAT: 'json' }, true).logFormat, 'json');
});

test('an empty or blank variable counts as absent, and blanks around a value are dropped', () => {
  const config = parseConfig({ PORT: '', SHARDS: '  ', HOST: ' ::1 ', JWT_SECRET: '' }, false);
  assert.deepEqual([config.port, config.host, config.jwtSecret], [8081, '::1', undefined]);
});

test('the environment is read by the names of the settings only', () => {
  const config = parseConfig({ port: '1', Port: '2', UNRELATED: 'x' }, false);
  assert.equal(config.port, 8081);
  assert.equal(Object.keys(config).includes('UNRELATED'), false);
});

test('the configuration cannot be changed after it was read', () => {
  const config = parseConfig({}, false) as { port: number };
  assert.throws(() => {
    config.port = 1;
  }, TypeError);
});

test('a wrong value is refused with the variable, the value unless it is secret, and what is allowed', () => {
  for (const [name, value] of Object.entries(wrongValues)) {
    const setting = rows.map(([, row]) => row).find((row) => row.name === name) as Setting<unknown>;
    const message = refusalOf({ [name]: value });
    const told = setting.isSecret ? 'not valid' : JSON.stringify(value);
    assert.equal(message, `${name} is ${told}; allowed is ${setting.kind.allowed}`);
  }
});

test('every setting that can be wrong is in the test above', () => {
  const canBeWrong = rows.filter(([, { kind }]) => kind.parse('no such value!') === undefined);
  assert.deepEqual(Object.keys(wrongValues).sort(), canBeWrong.map(([, { name }]) => name).sort());
});

test('a value with line breaks is quoted in the message, so that it cannot forge a second one', () => {
  const message = refusalOf({ PORT: '1\ncarillon: all is well' });
  assert.equal(message.includes('\n'), false);
});

test('no secret appears in any refusal', () => {
  const canary = 'canary';
  const secrets = Object.fromEntries(
    rows.filter(([, row]) => row.isSecret).map(([, row]) => [row.name, canary]),
  );
  assert.deepEqual(Object.keys(secrets).sort(), ['API_KEYS', 'DATABASE_URL', 'JWT_SECRET']);
  // Where not every text is allowed: one that is, so that the mistakes below are what is refused.
  secrets['DATABASE_URL'] = `postgres://user:${canary}@host/database`;
  const mistakes: Record<string, string>[] = [
    {},
    { DATABASE_URL: canary },
    { PORT: 'x' },
    { NODE_ENV: 'production' },
    { JWT_PUBLIC_KEY: 'x' },
    { JWT_ALGORITHMS: 'RS256' },
    { CARILLON_CONFIG: '/nowhere/at/all' },
  ];
  for (const mistake of mistakes) assert.equal(refusalOf({ ...secrets, ...mistake }).includes(canary), false);
});
