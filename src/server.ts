/**
 * The server as one object: everything that starts, in the order in which it starts; drain is the reverse.
 * Thread: primary. Called by main.ts, and by tests that want a real server in their process.
 */

import { readFileSync } from 'node:fs';
import { systemClock } from '#kit/clock.ts';
import type { FailpointName } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';
import { Admission } from './accept/admission.ts';
import { openListener } from './accept/listener.ts';
import { developmentSecret } from './auth/development-secret.ts';
import type { Config } from './config/load-config.ts';
import { allocateHeartbeats } from './observe/heartbeats.ts';
import { createLogger, type LogDestination, type Logger } from './observe/logger.ts';
import { allocateMetrics, MetricsRow } from './observe/metrics-table.ts';
import { Supervisor } from './supervise/supervisor.ts';
import { testTransfer } from './supervise/transfer-test.ts';

export interface RunningServer {
  port: number;
  /** Signs tokens that this server accepts; undefined where the keys are elsewhere. */
  secret: string | undefined;
  /** Settles, with the reason, when the server cannot go on. */
  failed: Promise<string>;
  log: Logger;
  /** Refuses what is new, says goodbye to what is there, ends the threads. Idempotent. */
  drain(): Promise<void>;
  /** Ends at once. */
  stop(): Promise<void>;
  /** Test builds only (FAILPOINTS): breaks one shard. */
  failpoint(shard: number, name: FailpointName): void;
}

export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Resolves when connections are accepted. Rejects with a sentence when the server cannot start. */
export async function startServer(config: Config, logs: LogDestination): Promise<RunningServer> {
  const log = createLogger(config, logs, 'primary');
  const startedAtMs = performance.timeOrigin + performance.now();
  const areKeysElsewhere = config.jwtPublicKey !== undefined || config.jwtJwksUrl !== undefined;
  const secret = areKeysElsewhere ? undefined : (config.jwtSecret ?? developmentSecret(config.dataDir));
  const shared = {
    metrics: allocateMetrics(config.shards + 1),
    heartbeats: allocateHeartbeats(config.shards),
  };
  const failure = Promise.withResolvers<string>();
  const admission = new Admission({
    connectionsMax: config.connectionsMax,
    connectionsPerAddressMax: config.connectionsPerAddressMax,
    handshakeRate: { ...config.handshakeRateAddress, burst: 0 },
    trustedProxies: config.trustProxy,
  });
  const supervisor = new Supervisor({
    shardCount: config.shards,
    ringBytes: config.ringBytes,
    stallTimeoutMs: config.stallTimeoutMs,
    clock: systemClock,
    log,
    ...shared,
    startOf: (shard) => ({
      shard,
      config,
      version,
      secret,
      isSecretForDevelopment: !config.isProduction || config.demoPage,
      startedAtMs,
      shared,
    }),
    onLogLines(lines) {
      for (const line of lines) logs.write(line);
    },
    onSocketsClosed: (shard, addresses) => admission.onClosed(shard, addresses),
    onShardGone: (shard) => admission.onShardGone(shard),
    onExhausted: failure.resolve,
  });
  const primaryRow = new MetricsRow(shared.metrics, config.shards);
  logs.onDrop(() => primaryRow.add('logLinesDropped'));

  try {
    await supervisor.start();
    await testTransfer((socket) => supervisor.tryProbe(0 as ShardId, socket));
    const listener = await openListener(config.host, config.port, {
      shards: supervisor,
      admission,
      clock: systemClock,
      onError: (error) => log.error({ err: error }, 'the listener failed'),
    });
    let drained: Promise<void> | undefined;
    return {
      port: listener.port,
      secret,
      failed: failure.promise,
      log,
      drain() {
        drained ??= drainAll(config.drainTimeoutMs, supervisor, listener);
        return drained;
      },
      async stop() {
        void listener.stop();
        await supervisor.stop();
      },
      failpoint: (shard, name) => supervisor.failpoint(shard as ShardId, name),
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

async function drainAll(
  timeoutMs: number,
  supervisor: Supervisor,
  listener: { stop(): Promise<void> },
): Promise<void> {
  void listener.stop();
  await supervisor.drain(timeoutMs);
}
