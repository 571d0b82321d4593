/** What the contexts of topics and users need of the store where nothing is stored: whoever asks finds that it is away. */
import { systemClock } from '#kit/clock.ts';
import { HotWindows } from '../../src/log/hot-windows.ts';
import { MarkBuffer } from '../../src/log/mark-buffer.ts';
import type { LogContext, LogStore } from '../../src/log/ports.ts';
import type { TopicClass } from '../../src/routing/topic-class.ts';

const store: LogStore = { epoch: undefined, append: () => 'down', ask: () => 'down' };
const timers: LogContext['timers'] = {
  schedule: () => {
    throw new Error('nothing that is not stored waits for anything');
  },
};

export const noStore: Omit<LogContext, 'clock'> & { classOf: () => TopicClass } = {
  messageIds: { next: () => 'never' },
  acceptance: { accepted: () => {}, duplicate: () => {} },
  windows: new HotWindows(),
  marks: new MarkBuffer({ clock: systemClock, timers, store }),
  classOf: () => 'volatile',
  ...{ store, timers },
};
