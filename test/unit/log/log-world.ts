/** The logs of a home with everything around them in memory: a clock and a store that move when they are told to. */
import { TimerWheel } from '#kit/timer-wheel.ts';
import type { MessageId, Tenant, TopicKey, TopicName, UserId } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import type { LogPublication } from '../../../src/log/hot-log.ts';
import { HotWindows } from '../../../src/log/hot-windows.ts';
import { MarkBuffer } from '../../../src/log/mark-buffer.ts';
import type { AppendRequest, LogContext } from '../../../src/log/ports.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import type { Replay } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { MemoryLogStore } from '../../kit/memory-log-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';
import { envelopesIn } from '../topic/topic-world.ts';

export const tenant = 'default' as Tenant;
export const topicName = 'chat:a' as TopicName;
export const topic = topicKey(tenant, topicName);
export const ann = 'ann' as UserId;
export const ben = 'ben' as UserId;

export class LogWorld {
  readonly clock = new ManualClock();
  readonly timers = new TimerWheel(this.clock.monotonicMs());
  readonly store = new MemoryLogStore();
  readonly windows: HotWindows;
  readonly marks = new MarkBuffer(this);
  readonly counts = { accepted: 0, duplicate: 0 };
  /** What the owner of a log was given. */
  readonly emitted: LogPublication[] = [];
  coldCount = 0;
  readonly ctx: LogContext;

  constructor(windowBytesMax?: number) {
    this.windows = new HotWindows(windowBytesMax);
    this.ctx = {
      ...{
        clock: this.clock,
        timers: this.timers,
        store: this.store,
        windows: this.windows,
        marks: this.marks,
      },
      messageIds: countingIds(),
      acceptance: {
        accepted: () => void this.counts.accepted++,
        duplicate: () => void this.counts.duplicate++,
      },
    };
  }

  readonly owner = {
    emit: (publication: LogPublication) => void this.emitted.push(publication),
    onCold: () => void this.coldCount++,
  };

  get emittedOffsets(): number[] {
    return this.emitted.map(({ offset }) => offset);
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50);
      this.timers.turn(this.clock.monotonicMs());
    }
  }

  /** Stored by somebody, with no word of it. */
  commit(count: number, fields: Partial<AppendRequest> = {}): void {
    for (let index = 0; index < count; index++) this.store.commit(entry(fields));
  }

  /** The word of a stored entry. */
  publicationAt(offset: number, of: TopicKey = topic): LogPublication {
    const message = this.store.entries(of).find((stored) => stored.offset === offset) as StoredMessage;
    return publication(offset, { id: message.messageId, payload: Payload.ofMsgpack(message.payload) });
  }
}

let entryCount = 0;

export function entry(fields: Partial<AppendRequest> = {}): AppendRequest {
  return {
    ...{ kind: 'message', topic, messageId: `s${++entryCount}` as MessageId, from: ann, peer: undefined },
    ...{
      copy: undefined,
      target: undefined,
      mayAmendAny: false,
      key: undefined,
      digest: 0,
      event: undefined,
    },
    ...{ priority: undefined, payload: Payload.ofValue(entryCount).msgpack, timestampMs: 1_767_225_600_000 },
    ...fields,
  };
}

/** Whose id is `m<offset>` and whose payload is its offset. */
export function publication(offset: number, fields: Partial<LogPublication> = {}): LogPublication {
  return {
    ...{ type: 'Broadcast', id: `m${offset}` as MessageId, topic: topicName, offset, from: ann },
    ...{ to: undefined, target: undefined, event: undefined, priority: undefined },
    ...{ payload: Payload.ofValue(offset), timestamp: 1_767_225_600_000, ...fields },
  };
}

export function edited(offset: number, target: number, payload: unknown): LogPublication {
  return publication(offset, {
    ...{ type: 'Edited', target: `m${target}` as MessageId, payload: Payload.ofValue(payload) },
  });
}

export function deleted(offset: number, target: number): LogPublication {
  return publication(offset, {
    ...{ type: 'Deleted', target: `m${target}` as MessageId, payload: Payload.ofValue(null) },
  });
}

/** Offsets of the envelopes in joined frames. */
export function offsetsIn(frames: Uint8Array): number[] {
  return envelopesIn(frames).map(({ data }) => data['offset'] as number);
}

export function replayedOffsets(replay: Replay | undefined): number[] {
  return replay === undefined ? [] : offsetsIn(replay.frames);
}

/** from..to, both included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
