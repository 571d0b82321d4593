/**
 * Structured logs. One destination, in the primary; shards hand it finished lines.
 * User text is always a field, never the message; tokens and payloads are never logged.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

/** The settings of the same names. */
export interface LogSettings {
  logLevel: string;
  logFormat: 'pretty' | 'json';
  nodeId: string;
}

/** Thread: any. In a shard, `lines` posts to the primary. */
export function createLogger(settings: LogSettings, lines: DestinationStream, thread: string): Logger {
  return pino(
    {
      level: settings.logLevel,
      base: { node: settings.nodeId, thread },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['token', '*.token', 'authorization', '*.authorization', 'cookie', '*.cookie'],
        censor: '(hidden)',
      },
    },
    lines,
  );
}
