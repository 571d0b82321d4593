/**
 * The server as one object: everything that starts, in the order in which it starts; drain is the reverse.
 * Thread: primary. Called by main.ts, and by tests that want a real server in their process.
 */
import { readFileSync } from 'node:fs';
import { Networks } from '#kit/address.ts';
import { systemClock } from '#kit/clock.ts';
import type { FailpointName } from '#proto/control.ts';
import { type ShardId, storePeer } from '#proto/names.ts';
import { Admission } from './accept/admission.ts';
import { type Listener, openListener } from './accept/listener.ts';
import { developmentSecret } from './auth/development-secret.ts';
import type { Config } from './config/load-config.ts';
import { allocateHeartbeats } from './observe/heartbeats.ts';
import type { LogDestination } from './observe/log-destination.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import { allocateMetrics, MetricsRow } from './observe/metrics-table.ts';
import { CpuPool } from './supervise/cpu-pool.ts';
import { Supervisor } from './supervise/supervisor.ts';
import { testTransfer } from './supervise/transfer-test.ts';

export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Resolves when connections are accepted. Rejects with a sentence when the server cannot start. */
export async function startServer(config: Config, logs: LogDestination): Promise<RunningServer> {
  const log = createLogger(config, logs, 'primary');
  const secret = tokenSecret(config);
  const admission = new Admission({
    connectionsMax: config.connectionsMax,
    connectionsPerAddressMax: config.connectionsPerAddressMax,
    handshakeRate: { ...config.handshakeRateAddress, burst: 0 },
    trustedProxies: new Networks(config.trustProxy),
  });
  const failure = Promise.withResolvers<string>();
  const cpuPool = new CpuPool();
  const supervisor = createSupervisor(config, {
    ...{ log, logs, secret, admission, cpuPool },
    onExhausted: failure.resolve,
  });
  try {
    await supervisor.start();
    await testTransfer((socket) => supervisor.tryProbe(0 as ShardId, socket));
    const listener = await openListener(config.host, config.port, {
      shards: supervisor,
      admission,
      clock: systemClock,
      onError: (error) => log.error({ err: error }, 'the listener failed'),
    });
    return new RunningServer(config, { log, secret, listener, supervisor, cpuPool, failed: failure.promise });
  } catch (error) {
    await supervisor.stop();
    await cpuPool.stop();
    throw error;
  }
}

interface Parts {
  log: Logger;
  secret: string | undefined;
  listener: Listener;
  supervisor: Supervisor;
  cpuPool: CpuPool;
  failed: Promise<string>;
}

export class RunningServer {
  readonly port: number;
  /** Signs tokens that this server accepts; undefined where the keys are elsewhere. */
  readonly secret: string | undefined;
  /** Settles, with the reason, when the server cannot go on. */
  readonly failed: Promise<string>;
  readonly log: Logger;
  readonly #drainTimeoutMs: number;
  readonly #listener: Listener;
  readonly #supervisor: Supervisor;
  readonly #cpuPool: CpuPool;
  #drained: Promise<void> | undefined;

  constructor(config: Config, { log, secret, listener, supervisor, cpuPool, failed }: Parts) {
    this.port = listener.port;
    this.secret = secret;
    this.failed = failed;
    this.log = log;
    this.#drainTimeoutMs = config.drainTimeoutMs;
    this.#listener = listener;
    this.#supervisor = supervisor;
    this.#cpuPool = cpuPool;
  }

  /**
   * Refuses what is new, says goodbye to what is there, ends the threads. Idempotent. The port stays open until then: a
   * balancer must be able to ask whether this server is ready, and clients to be told 503.
   */
  drain(): Promise<void> {
    this.#drained ??= this.#drainOnce();
    return this.#drained;
  }

  async #drainOnce(): Promise<void> {
    try {
      await this.#supervisor.drain(this.#drainTimeoutMs);
    } finally {
      await this.#listener.stop();
      await this.#cpuPool.stop();
    }
  }

  /** Ends at once. */
  async stop(): Promise<void> {
    void this.#listener.stop();
    await this.#supervisor.stop();
    await this.#cpuPool.stop();
  }

  /** Where FAILPOINTS allows it: breaks one shard. */
  failpoint(shard: number, name: FailpointName): void {
    this.#supervisor.failpoint(shard as ShardId, name);
  }
}

interface SupervisorParts {
  log: Logger;
  logs: LogDestination;
  secret: string | undefined;
  admission: Admission;
  cpuPool: CpuPool;
  onExhausted: (reason: string) => void;
}

function createSupervisor(
  config: Config,
  { log, logs, secret, admission, cpuPool, onExhausted }: SupervisorParts,
): Supervisor {
  const shared = {
    metrics: allocateMetrics(config.shards + 2),
    heartbeats: allocateHeartbeats(config.shards),
  };
  // Rows of the shards come first; then the primary's and the store's.
  const metrics = new MetricsRow(shared.metrics, config.shards);
  logs.onDrop(() => metrics.add('logLinesDropped'));
  // A secret that was given to us signs for others than ourselves: the demo page makes no tokens with it.
  const isSecretForDevelopment = config.jwtSecret === undefined;
  const metricsRowOf = (peer: ShardId) => (peer === storePeer ? config.shards + 1 : peer);
  let knownKeys: string | undefined;
  const birth = {
    config,
    version,
    secret,
    isSecretForDevelopment,
    shared,
    startedAtMs: systemClock.wallMs(),
  };
  return new Supervisor({
    shardCount: config.shards,
    ringBytes: config.ringBytes,
    stallTimeoutMs: config.stallTimeoutMs,
    clock: systemClock,
    log,
    ...shared,
    startOf: (peer, isFirst) =>
      peer === storePeer
        ? { config, shared, metricsRow: metricsRowOf(peer), isFirst }
        : { ...birth, shard: peer, knownKeys },
    metricsRowOf,
    onKeys: (jwks) => {
      knownKeys = jwks;
    },
    onLogLines(lines) {
      for (const line of lines) logs.write(line);
    },
    runJob: (job) => cpuPool.run(job),
    onSocketsClosed: (shard, addresses) => admission.onClosed(shard, addresses),
    onShardGone: (shard) => admission.onShardGone(shard),
    onExhausted,
  });
}

/** The configured secret, or the one of development; none where tokens are verified by public keys. */
function tokenSecret(config: Config): string | undefined {
  if (config.jwtPublicKey !== undefined || config.jwtJwksUrl !== undefined) return undefined;
  return config.jwtSecret ?? developmentSecret(config.dataDir);
}
