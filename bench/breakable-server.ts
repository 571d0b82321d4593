/**
 * The server as src/main.ts starts it, with one thing more: SIGUSR2 kills shard 1, as a crash would (FAILPOINTS).
 * Started by servers.ts, ended by SIGKILL.
 */
import { loadConfig } from '../src/config/load-config.ts';
import { openLogDestination } from '../src/observe/log-destination.ts';
import { startServer } from '../src/server.ts';

const config = loadConfig();
const server = await startServer(config, openLogDestination(config));
process.on('SIGUSR2', () => server.failpoint(1, 'shard.exit'));
server.log.info({ host: config.host, port: server.port, shards: config.shards }, 'listening');
