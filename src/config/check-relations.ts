/** What must hold between settings; each alone may be right and the start still wrong. */
import { retentionMinMs } from './config-schema.ts';
import type { Config } from './load-config.ts';

/** A flush is delivered in pieces of up to so many bytes (fanout/flush-batch.ts). */
const deliveryBytesMin = 128 * 1024;

/** The first complaint, as a sentence that names the settings; undefined when all is well. */
export function checkRelations(config: Config): string | undefined {
  if (!Number.isInteger(Math.log2(config.ringBytes))) {
    return `RING_BYTES is ${config.ringBytes}; allowed is a power of two like 1mb`;
  }
  if (config.clientTimeoutMs <= config.heartbeatIntervalMs) {
    return `CLIENT_TIMEOUT is ${config.clientTimeoutMs}ms; allowed is more than HEARTBEAT_INTERVAL (${config.heartbeatIntervalMs}ms)`;
  }
  if (config.outboxBytesMax < 2 * config.messageBytesMax) {
    return `OUTBOX_BYTES is ${config.outboxBytesMax}; allowed is at least twice MAX_MESSAGE_BYTES (${config.messageBytesMax})`;
  }
  if (config.outboxBytesMax < deliveryBytesMin) {
    return `OUTBOX_BYTES is ${config.outboxBytesMax}; allowed is at least ${deliveryBytesMin}, which one flush may bring`;
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    return 'TLS_CERT and TLS_KEY: one of them is missing; allowed is both or none';
  }
  if (config.failpoints && config.isProduction) {
    return 'FAILPOINTS is true; allowed in production is false';
  }
  const shortLived = config.topics.find(({ retentionMs = retentionMinMs }) => retentionMs < retentionMinMs);
  if (shortLived !== undefined) {
    return `CARILLON_CONFIG: retention of ${JSON.stringify(shortLived.match)} is ${shortLived.retentionMs}ms; allowed is at least 1d`;
  }
  return checkArchive(config) ?? checkKeys(config);
}

/** What is taken away before it is old enough to be archived never is. */
function checkArchive({ archiveAfterMs, retentionMs, topics }: Config): string | undefined {
  if (archiveAfterMs === undefined) return undefined;
  const than = `more than ARCHIVE_AFTER (${archiveAfterMs}ms), or no ARCHIVE_AFTER`;
  if (retentionMs !== undefined && retentionMs <= archiveAfterMs)
    return `RETENTION is ${retentionMs}ms; allowed is ${than}`;
  const shorter = topics.find((rule) => rule.retentionMs !== undefined && rule.retentionMs <= archiveAfterMs);
  if (shorter === undefined) return undefined;
  return `CARILLON_CONFIG: retention of ${JSON.stringify(shorter.match)} is ${shorter.retentionMs}ms; allowed is ${than}`;
}

function checkKeys(config: Config): string | undefined {
  const { jwtSecret, jwtPublicKey, jwtJwksUrl, jwtAlgorithms } = config;
  if (
    config.isProduction &&
    jwtSecret === undefined &&
    jwtPublicKey === undefined &&
    jwtJwksUrl === undefined
  ) {
    return 'JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL are all missing; with NODE_ENV=production one is required';
  }
  if (jwtSecret !== undefined && Buffer.byteLength(jwtSecret) < 32) {
    return 'JWT_SECRET is too short; allowed is at least 32 bytes';
  }
  if ([jwtSecret, jwtPublicKey, jwtJwksUrl].filter((key) => key !== undefined).length > 1) {
    return 'JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL: more than one is set; allowed is one';
  }
  if (jwtPublicKey?.includes('PRIVATE KEY')) {
    return 'JWT_PUBLIC_KEY is a private key; allowed is the public one';
  }
  const isSymmetric = jwtPublicKey === undefined && jwtJwksUrl === undefined;
  const misfit = jwtAlgorithms?.find((algorithm) => algorithm.startsWith('HS') !== isSymmetric);
  if (misfit !== undefined) {
    return `JWT_ALGORITHMS contains ${misfit}; allowed with ${isSymmetric ? 'a secret is HS256, HS384, HS512' : 'public keys is RS, ES and EdDSA'}`;
  }
  return checkUrl(jwtJwksUrl);
}

function checkUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return undefined;
  return `JWT_JWKS_URL is ${JSON.stringify(url)}; allowed is an http or https URL`;
}
