/**
 * Where log lines end: standard output, asynchronous and capped.
 * Thread: primary. Shards hand their lines over (shard/shard-control.ts).
 * A reader that is too slow costs lines, which are counted, and never a stall: neither of the loop nor of the exit.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { type DestinationStream, destination } from 'pino';
import type { LogSettings } from './logger.ts';
import { prettyLine } from './pretty-line.ts';

/** Bytes of lines that may wait for a slow reader of the log; beyond, lines are dropped. */
const waitingBytesMax = 1024 * 1024;
/** How long the end of the process waits for a reader of the log, milliseconds. */
const lastWordsMs = 500;

export interface LogDestination extends DestinationStream {
  /** The last lines of a process: resolves when they are written, or soon after when nobody reads them. */
  flush(): Promise<void>;
  /** `listener` hears of each line that was dropped. */
  onDrop(listener: () => void): void;
}

/** Takes what waits up to a bound; 'dropped' is final. */
interface Sink {
  write(line: string): 'taken' | 'dropped';
  flush(done: () => void): void;
}

export function openLogDestination({ logFormat }: Pick<LogSettings, 'logFormat'>): LogDestination {
  const listeners: (() => void)[] = [];
  const dropped = () => {
    for (const listener of listeners) listener();
  };
  const output = fstatSync(1);
  const sink = output.isFIFO() || output.isSocket() ? openPipe(dropped) : openFile(dropped);
  const format = logFormat === 'pretty' ? prettyLine : (line: string) => line;
  return {
    onDrop: (listener) => void listeners.push(listener),
    write(line) {
      if (sink.write(format(line)) === 'dropped') dropped();
    },
    flush: () =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, lastWordsMs);
        sink.flush(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

/**
 * A pipe through libuv's non-blocking writes: with a file's writes a thread of the pool would block on a full pipe, and
 * the exit of the process would wait for that thread for ever.
 */
function openPipe(onError: () => void): Sink {
  const pipe = new Socket({ fd: 1, readable: false, writable: true });
  pipe.on('error', onError); // the reader is gone: the service goes on
  pipe.unref();
  return {
    write(line) {
      if (pipe.destroyed || pipe.writableLength > waitingBytesMax) return 'dropped';
      pipe.write(line);
      return 'taken';
    },
    flush(done) {
      if (pipe.destroyed || pipe.writableLength === 0) done();
      else pipe.write('', () => done());
    },
  };
}

/** A file or a terminal. */
function openFile(onDrop: () => void): Sink {
  const file = destination({ dest: 1, sync: false, maxLength: waitingBytesMax });
  file.on('drop', onDrop);
  file.on('error', onDrop); // the disk is full: the service goes on
  return {
    write(line) {
      file.write(line);
      return 'taken';
    },
    flush: (done) => file.flush(() => done()),
  };
}
