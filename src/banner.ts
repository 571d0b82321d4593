/** What a person sees after `npm start`: where the server is, a token to try, the demo page. Pure. */
import { signDevelopmentToken } from './auth/sign-token.ts';
import type { Config } from './config/load-config.ts';

const tokenLifetimeMs = 24 * 3_600_000;

/** Empty in production. */
export function banner(
  config: Config,
  { port, secret }: { port: number; secret: string | undefined },
): string {
  if (config.isProduction) return '';
  const isAnywhere = config.host === '0.0.0.0' || config.host === '::';
  const host = isAnywhere ? 'localhost' : config.host.includes(':') ? `[${config.host}]` : config.host;
  const scheme = config.tlsCert === undefined ? '' : 's';
  const rows: [string, string][] = [['WebSocket', `ws${scheme}://${host}:${port}/ws`]];
  if (config.demoPage) rows.unshift(['Demo page', `http${scheme}://${host}:${port}/`]);
  if (secret !== undefined && config.jwtSecret === undefined) {
    rows.push(
      ['Token', signDevelopmentToken(secret, 'demo', tokenLifetimeMs)],
      ['', '(user "demo", for development, valid for a day)'],
    );
  }
  const lines = rows.map(([name, value]) => `  ${name.padEnd(10)} ${value}`);
  return `\n  Carillon rings on ${config.shards} ${config.shards === 1 ? 'shard' : 'shards'}.\n\n${lines.join('\n')}\n\n  Ctrl-C drains and ends it.\n\n`;
}
