/**
 * Structured logs. One destination, in the primary; shards hand it finished lines.
 * User text is always a field, never the message; tokens and payloads are never logged.
 */
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino';
import { prettyLine } from './pretty-line.ts';

export type Logger = PinoLogger;

/** The settings of the same names. */
export interface LogSettings {
  logLevel: string;
  logFormat: 'pretty' | 'json';
  nodeId: string;
}

/** Bytes of lines that may wait for a slow reader of the log; beyond, lines are dropped and counted, nothing stalls. */
const waitingBytesMax = 1024 * 1024;

/** Where lines end: standard output, asynchronous and capped. */
export interface LogDestination extends DestinationStream {
  /** Everything written so far is handed to the operating system; for the last lines of a process. */
  flushSync(): void;
  /** `listener` hears of each line that was dropped. */
  onDrop(listener: () => void): void;
}

/** Thread: primary. */
export function openLogDestination(settings: Pick<LogSettings, 'logFormat'>): LogDestination {
  const stdout = destination({ dest: 1, sync: false, maxLength: waitingBytesMax });
  stdout.on('error', () => {}); // the disk is full or the reader is gone: the service goes on
  const format = settings.logFormat === 'pretty' ? prettyLine : (line: string) => line;
  return {
    onDrop: (listener) => void stdout.on('drop', listener).on('error', listener),
    write: (line) => void stdout.write(format(line)),
    flushSync: () => {
      try {
        stdout.flushSync();
      } catch {
        // standard output is closed: there is nobody left to tell
      }
    },
  };
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
