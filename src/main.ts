/**
 * The process: arguments → configuration → start → wait for a signal → drain → exit code.
 * Thread: primary. `npm start` runs this file.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '#kit/clock.ts';
import { banner } from './banner.ts';
import { helpText, printedConfig } from './config/describe-config.ts';
import { type Config, ConfigError, loadConfig } from './config/load-config.ts';
import { openLogDestination } from './observe/log-destination.ts';
import { type RunningServer, startServer, version } from './server.ts';

/** Exit codes: 1 forced or failed, 2 wrong arguments or configuration, 70 the shards could not be kept alive. */
const exitFailed = 1;
const exitUsage = 2;
const exitUnrecoverable = 70;
/** Ctrl-C reaches this process from the terminal and from npm: what comes so close together is one signal. Milliseconds. */
const sameSignalMs = 500;

process.exit(await run());

async function run(): Promise<number> {
  let config: Config;
  try {
    const { values: flags } = parseArgs({
      options: {
        help: { type: 'boolean' },
        version: { type: 'boolean' },
        'print-config': { type: 'boolean' },
      },
    });
    if (flags.help) return print(helpText(version));
    if (flags.version) return print(`${version}\n`);
    config = loadConfig();
    if (flags['print-config']) return print(printedConfig(config));
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`carillon: ${error.message}\n`);
    return exitUsage;
  }
  return serve(config);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function serve(config: Config): Promise<number> {
  const logs = openLogDestination(config);
  let server: RunningServer;
  try {
    server = await startServer(config, logs);
  } catch (error) {
    await logs.flush();
    process.stderr.write(`carillon: cannot start: ${explain(error as NodeJS.ErrnoException, config)}\n`);
    return exitFailed;
  }
  const drained = drainOnSignal(server); // before anybody can know that there is something to signal
  server.log.info({ host: config.host, port: server.port, shards: config.shards }, 'listening');
  process.stdout.write(banner(config, server));
  let hasFailed = false;
  const givenUp = server.failed.then(async () => {
    hasFailed = true;
    await server.drain(); // the shards that are left say goodbye to their clients
    return exitUnrecoverable;
  });
  const code = await Promise.race([drained, givenUp]);
  await server.stop();
  await logs.flush();
  return hasFailed ? exitUnrecoverable : code;
}

/** First signal: drain and exit 0. A second one: forced, exit 1. */
function drainOnSignal(server: RunningServer): Promise<number> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: string) => {
      if (firstAtMs !== undefined) {
        if (systemClock.monotonicMs() - firstAtMs > sameSignalMs) resolve(exitFailed);
        return;
      }
      firstAtMs = systemClock.monotonicMs();
      server.log.info({ signal }, 'draining');
      server.drain().then(
        () => {
          server.log.info('drained');
          resolve(0);
        },
        (error: Error) => {
          server.log.error({ err: error }, 'the drain failed');
          resolve(exitFailed);
        },
      );
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function explain(error: NodeJS.ErrnoException, config: Config): string {
  if (error.code === 'EADDRINUSE')
    return `PORT is ${config.port}; another program listens there. Allowed is a free port (0 takes one)`;
  if (error.code === 'EADDRNOTAVAIL') return `HOST is "${config.host}"; this machine has no such address`;
  if (error.code === 'EACCES') return `${error.message}; the user running Carillon may not do that`;
  return error.message;
}
