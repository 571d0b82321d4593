/** What the logs of a home need of the world around them. */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';
import type { TimerWheel } from '#kit/timer-wheel.ts';
import type { MessageId, SessionId, ShardId, TopicKey, UserId } from '#proto/names.ts';
import type { AcceptanceCounters } from '../protect/recent-keys.ts';
import type { AppendEntry, StoreQueries, StoreQueryName } from '../store/history-store.ts';
import type { HotWindows } from './hot-windows.ts';
import type { MarkBuffer } from './mark-buffer.ts';

/** One object for all logs of a shard. */
export interface LogContext {
  clock: Clock;
  timers: Pick<TimerWheel, 'schedule' | 'cancel'>;
  store: LogStore;
  windows: HotWindows;
  /** Gives entries their ids, before their place is known. */
  messageIds: MessageIds;
  acceptance: AcceptanceCounters;
  marks: MarkBuffer;
}

/** The way to the store's thread. */
export interface LogStore {
  /** Undefined until the store has said it for the first time. */
  readonly epoch: string | undefined;
  /** `onSettled` is called once, in the order of the calls, unless the answer is not 'sent'. */
  append: (request: AppendRequest, onSettled: (settled: AppendSettled) => void) => Sent;
  /** `onResult` is called once, with undefined when the store could not answer, unless the answer is not 'sent'. */
  ask: <Name extends StoreQueryName>(
    name: Name,
    request: QueryRequest<Name>,
    onResult: (result: QueryResult<Name> | undefined) => void,
  ) => Sent;
}

/** 'full' and 'down': it was not taken, and nothing is stored. */
export type Sent = 'sent' | 'full' | 'down';

export type QueryRequest<Name extends StoreQueryName> = Parameters<StoreQueries[Name]>[0];
export type QueryResult<Name extends StoreQueryName> = Awaited<ReturnType<StoreQueries[Name]>>;

/** An entry on its way to the store, which knows by its rules what a search finds it by. */
export type AppendRequest = Omit<AppendEntry, 'text' | 'isRepeat' | 'copy'> & { copy: InboxCopy | undefined };

/** The other inbox of a direct message: the store tells its home, in the order of that inbox. */
export interface InboxCopy {
  topic: TopicKey;
  peer: UserId;
  home: ShardId;
  /** The sending session, which gets a reply instead. */
  except: SessionId | undefined;
}

export type AppendSettled =
  | { state: 'stored'; offset: number; copyOffset: number | undefined }
  | { state: 'duplicate'; messageId: MessageId; offset: number; copyOffset: number | undefined }
  /** Nothing is stored: see AppendResult; or no room, or a store that failed. */
  | { state: 'conflict' | 'missing' | 'forbidden' | 'full' | 'unavailable' };
