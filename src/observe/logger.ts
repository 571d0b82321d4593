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

/** How long the end of the process waits for a reader of the log, milliseconds. */
const lastWordsMs = 500;

/** Where lines end: standard output, asynchronous and capped. */
export interface LogDestination extends DestinationStream {
  /** The last lines of a process: resolves when they are written, or soon after when nobody reads them. */
  flush(): Promise<void>;
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
    flush: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          // What waits is given up: at the exit, pino would write it synchronously, and wait for a reader for ever.
          stdout.destroy();
          resolve();
        }, lastWordsMs);
        stdout.flush(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
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
