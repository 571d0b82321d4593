/** What the contexts of topics and users need of the store where nothing is stored: whoever asks finds that it is away. */
import { systemClock } from '#kit/clock.ts';
import type { ShardId } from '#proto/names.ts';
import { HotWindows } from '../../src/log/hot-windows.ts';
import { MarkBuffer } from '../../src/log/mark-buffer.ts';
import type { LogContext, LogStore } from '../../src/log/ports.ts';
import type { BoardContext } from '../../src/presence/ports.ts';
import type { TopicClass } from '../../src/routing/topic-class.ts';
import { KeepBuffer } from '../../src/user/keep-buffer.ts';
import type { UserContext } from '../../src/user/ports.ts';

const store: LogStore = { epoch: undefined, append: () => 'down', ask: () => 'down' };
const timers: LogContext['timers'] = {
  schedule: () => {
    throw new Error('nothing that is not stored waits for anything');
  },
  cancel: () => {
    throw new Error('nothing was scheduled');
  },
};

const presenceGraceMs = 3_000;

export const noStore: Omit<LogContext, 'clock'> &
  Pick<BoardContext, 'timers' | 'presenceGraceMs'> & { classOf: () => TopicClass } = {
  messageIds: { next: () => 'never' },
  acceptance: { accepted: () => {}, duplicate: () => {} },
  windows: new HotWindows(),
  marks: new MarkBuffer({ clock: systemClock, timers, store }),
  classOf: () => 'volatile',
  ...{ store, timers, presenceGraceMs },
};

type AloneContext = Omit<BoardContext, 'clock' | 'timers'> &
  Pick<UserContext, 'self' | 'keeps' | 'counters' | 'sessionTtlMs' | 'isKept'>;

/** What the context of a user needs beside that, where nobody watches, and of whom nothing is kept. */
export const alone: AloneContext = {
  ...{ self: 0 as ShardId, presenceGraceMs, sessionTtlMs: 120_000 },
  isKept: () => false,
  keeps: new KeepBuffer({ clock: systemClock, timers, store }),
  flushes: {
    requestFlush: () => {
      throw new Error('nobody watches');
    },
  },
  subscribers: { deliver: () => 'sent', tellLost: () => {} },
  counters: { detached: () => {}, resumed: () => {}, dropped: () => {} },
};
