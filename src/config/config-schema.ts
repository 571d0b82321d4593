/**
 * Every setting: its name, kind, default and meaning. The one source of validation, `--help`, `--print-config`
 * and docs/CONFIGURATION.md.
 */
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { jwtAlgorithms } from '#proto/token.ts';
import {
  autoOr,
  byteSize,
  duration,
  flag,
  integer,
  list,
  listOf,
  networks,
  oneOf,
  postgresUrl,
  rate,
  type SettingKind,
  searchLanguage,
  text,
} from './setting-kinds.ts';

/** What defaults may depend on. */
export interface Surroundings {
  isProduction: boolean;
  isTerminal: boolean;
  /** DATA_DIR, which comes before whatever lies in it. */
  dataDir: string;
}

export interface Setting<Value> {
  name: string;
  kind: SettingKind<Value>;
  /** Default as a user would write it; undefined: there is none and the field is undefined. */
  fallback?: string | ((surroundings: Surroundings) => string | undefined);
  /** How the reference describes a default that depends on something. */
  fallbackText?: string;
  description: string;
  /** Never printed. */
  isSecret?: true;
}

/** A setting that always has a value. */
function setting<Value>(
  name: string,
  kind: SettingKind<Value>,
  fallback: string | ((surroundings: Surroundings) => string),
  description: string,
  fallbackText?: string,
): Setting<Value> {
  return { name, kind, fallback, description, ...(fallbackText === undefined ? {} : { fallbackText }) };
}

/** A setting that may be absent. */
function optional<Value>(
  name: string,
  kind: SettingKind<Value>,
  description: string,
): Setting<Value | undefined> {
  return { name, kind, description };
}

function secret<Value>(plain: Setting<Value>): Setting<Value> {
  return { ...plain, isSecret: true };
}

/** A key answers with its first result for so long (protocol section 3), so its message is kept for so long. */
export const retentionMinMs = 86_400_000;

const inProduction = (there: string, elsewhere: string) => (s: Surroundings) =>
  s.isProduction ? there : elsewhere;

export const settings = {
  host: setting(
    'HOST',
    text,
    inProduction('0.0.0.0', '127.0.0.1'),
    'Address to listen on.',
    '127.0.0.1, in production 0.0.0.0',
  ),
  port: setting('PORT', integer(0, 65_535), '8081', 'Port to listen on; 0 takes a free one.'),
  shards: setting(
    'SHARDS',
    autoOr(integer(1, 256), availableParallelism),
    'auto',
    'Shard threads; auto is one per core.',
  ),
  dataDir: setting(
    'DATA_DIR',
    text,
    './data',
    'Folder of what the server keeps (the store, the development secret); made when missing, and of one server only.',
  ),
  databaseUrl: secret(
    optional(
      'DATABASE_URL',
      postgresUrl,
      'PostgreSQL 14 or newer instead of the embedded store: postgres://user:password@host/database.',
    ),
  ),
  searchLanguage: setting(
    'SEARCH_LANGUAGE',
    searchLanguage,
    'simple',
    'How PostgreSQL takes words apart for a search: simple, or a language like english. The embedded store knows only simple.',
  ),
  retentionMs: optional(
    'RETENTION',
    duration(retentionMinMs, 100 * 365 * 86_400_000),
    'How long messages are kept, at least 1d; `retention` of a topic rule goes before it. Default: for ever.',
  ),
  archiveAfterMs: optional(
    'ARCHIVE_AFTER',
    duration(retentionMinMs, 100 * 365 * 86_400_000),
    'Messages older than so long, at least 1d, move from the store to files in ARCHIVE_DIR. Default: none does.',
  ),
  archiveDir: setting(
    'ARCHIVE_DIR',
    text,
    ({ dataDir }) => join(dataDir, 'archive'),
    'Folder of archived messages, made when missing; of several servers on one database, the same for all.',
    '`archive` in DATA_DIR',
  ),
  nodeId: setting(
    'NODE_ID',
    text,
    () => `${hostname()}-${Math.floor(performance.timeOrigin).toString(36).slice(-5)}`,
    'Name of this process in logs and replies.',
    'host name and a tail',
  ),
  configFile: optional('CARILLON_CONFIG', text, 'JSON file with what is a list: `roles`, `topics`.'),
  jwtSecret: secret(
    optional(
      'JWT_SECRET',
      text,
      'Secret of HS256/384/512 tokens, at least 32 bytes. Outside production one is made in DATA_DIR.',
    ),
  ),
  jwtPublicKey: optional(
    'JWT_PUBLIC_KEY',
    text,
    'PEM public key of RS, ES or EdDSA tokens, or a path to it.',
  ),
  jwtJwksUrl: optional(
    'JWT_JWKS_URL',
    text,
    "URL of a JSON Web Key Set; the key is chosen by the token's `kid`, and a token without one is refused.",
  ),
  jwtAlgorithms: optional(
    'JWT_ALGORITHMS',
    listOf(...jwtAlgorithms),
    'Algorithms accepted; must fit the keys. Default: HS256 with a secret; what the keys are made for otherwise.',
  ),
  jwtIssuer: optional('JWT_ISSUER', text, 'Required `iss` claim.'),
  jwtAudience: optional('JWT_AUDIENCE', text, 'Required `aud` claim.'),
  authQueryToken: setting('AUTH_QUERY_TOKEN', flag, 'true', 'Accept `?token=` on the WebSocket URL.'),
  apiKeys: secret(optional('API_KEYS', list, 'Keys of server-to-server HTTP calls; each may do everything.')),
  allowedOrigins: setting(
    'ALLOWED_ORIGINS',
    list,
    inProduction('', '*'),
    'Origins that browsers may connect from, exactly as they send them; `*` allows all. The own origin is always allowed.',
    '*, in production none',
  ),
  tlsCert: optional('TLS_CERT', text, 'PEM certificate file; with TLS_KEY the port speaks TLS.'),
  tlsKey: optional('TLS_KEY', text, 'PEM key file.'),
  trustProxy: setting(
    'TRUST_PROXY',
    networks,
    '',
    'Addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed.',
    'none',
  ),
  connectionsMax: setting(
    'MAX_CONNECTIONS',
    integer(1, 10_000_000),
    '10000',
    'Connections of this process; beyond: HTTP 503.',
  ),
  connectionsPerAddressMax: setting(
    'MAX_CONNECTIONS_PER_IP',
    integer(1, 10_000_000),
    '1000',
    'Connections from one address; beyond: HTTP 429.',
  ),
  connectionsPerUserMax: setting(
    'MAX_CONNECTIONS_PER_USER',
    integer(1, 1_000_000),
    '50',
    'Connections of one user; beyond: close 4501.',
  ),
  messageBytesMax: setting(
    'MAX_MESSAGE_BYTES',
    byteSize(256, 16 * 1024 ** 2),
    '64kb',
    'Largest client frame; larger closes with 1009.',
  ),
  subscriptionsMax: setting(
    'MAX_SUBSCRIPTIONS',
    integer(1, 100_000),
    '128',
    'Subscriptions of one connection.',
  ),
  heartbeatIntervalMs: setting(
    'HEARTBEAT_INTERVAL',
    duration(100, 3_600_000),
    '30s',
    'The server pings this often.',
  ),
  clientTimeoutMs: setting(
    'CLIENT_TIMEOUT',
    duration(200, 7_200_000),
    '60s',
    'A connection silent for so long closes with 4003; more than HEARTBEAT_INTERVAL.',
  ),
  sessionTtlMs: setting(
    'SESSION_TTL',
    duration(1_000, 86_400_000),
    '2m',
    'How long a session whose connection was lost may be resumed.',
  ),
  awayAfterMs: setting(
    'AWAY_AFTER',
    duration(1_000, 86_400_000),
    '5m',
    'A user whose clients say nothing for so long is away.',
  ),
  presenceGraceMs: setting(
    'PRESENCE_GRACE',
    duration(0, 60_000),
    '3s',
    'A user whose connection was lost is seen by others for so long: a reconnect does not flicker.',
  ),
  watchedUsersMax: setting(
    'MAX_WATCHED_USERS',
    integer(0, 100_000),
    '1000',
    'Users whose presence one connection follows.',
  ),
  rateLimitEnabled: setting('RATE_LIMIT_ENABLED', flag, 'true', 'Limit what clients send.'),
  rateLimitConnection: setting(
    'RATE_LIMIT_CONNECTION',
    rate,
    '100/10s',
    "Envelopes from one connection; also calls of the HTTP API with one user's token, on each shard.",
  ),
  rateLimitBurst: setting(
    'RATE_LIMIT_BURST',
    integer(0, 1_000_000),
    '50',
    'Envelopes on top of the rate, at once.',
  ),
  handshakeRateAddress: setting(
    'HANDSHAKE_RATE_IP',
    rate,
    '50/s',
    'New connections from one address; beyond: HTTP 429.',
  ),
  outboxBytesMax: setting(
    'OUTBOX_BYTES',
    byteSize(4096, 1024 ** 3),
    '1mb',
    'Waiting bytes of one connection; beyond: close 4002.',
  ),
  flushIntervalMs: setting(
    'FLUSH_INTERVAL',
    duration(0, 1000),
    '5ms',
    'Longest wait of a normal message when the shard is busy; an idle shard waits for the end of the loop turn only.',
  ),
  deflate: setting(
    'DEFLATE',
    flag,
    'false',
    'Compress frames (permessage-deflate) for clients that offer it: less traffic for more CPU.',
  ),
  ringBytes: setting(
    'RING_BYTES',
    byteSize(65_536, 256 * 1024 ** 2),
    '1mb',
    'Memory of one ring, a power of two; there is one for every ordered pair of shards.',
  ),
  drainTimeoutMs: setting(
    'DRAIN_TIMEOUT',
    duration(100, 3_600_000),
    '25s',
    'Longest goodbye after the first signal.',
  ),
  stallTimeoutMs: setting(
    'STALL_TIMEOUT',
    duration(500, 600_000),
    '5s',
    'A shard whose loop stands still for so long is restarted.',
  ),
  demoPage: setting(
    'DEMO_PAGE',
    flag,
    inProduction('false', 'true'),
    'Serve the demo page at /; it makes its own tokens only where none of the JWT keys is set.',
    'true, in production false',
  ),
  failpoints: setting(
    'FAILPOINTS',
    flag,
    'false',
    'Let tests break the server on purpose; refused in production.',
  ),
  logLevel: setting(
    'LOG_LEVEL',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace'),
    'info',
    'Least important level to log.',
  ),
  logFormat: setting(
    'LOG_FORMAT',
    oneOf('pretty', 'json'),
    (s) => (s.isTerminal ? 'pretty' : 'json'),
    'How log lines look.',
    'pretty on a terminal, else json',
  ),
} as const;

export type Settings = {
  -readonly [Field in keyof typeof settings]: (typeof settings)[Field] extends Setting<infer Value>
    ? Value
    : never;
};
