/**
 * Who is there, for those who watch: the members of one topic, or one user over all devices.
 * Thread: the home shard of the topic or user. Owned by topic/topic.ts and user/user.ts, made with the first watcher or
 * member. Synchronous, no I/O.
 * Changes of a window are told together, as what they come to: one who went and came back is not told of. Of more members
 * than a list holds only the number is told, once a second. What dies with a thread is told by its absence: a session
 * counts while the thread of its connection lives. [PRS1]
 */
import type { TimerEntry, TimerToken } from '#kit/timer-wheel.ts';
import { presenceMembersMax } from '#proto/limits.ts';
import type { SessionId, ShardId, TopicKey, TopicName, UserId } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import { FlushBatch, type Notice } from '../fanout/flush-batch.ts';
import { type Lane, Lanes } from '../fanout/lanes.ts';
import { Attendance } from './attendance.ts';
import { type DevicePresence, statusOf, type UserPresence } from './device-presence.ts';
import type { BoardContext } from './ports.ts';

/** How often the number of members of a large topic is told, milliseconds. */
const countEveryMs = 1_000;

interface Member {
  attendance: Attendance;
  /** What was told of it last, without what changes by itself; undefined: that it is not there, or nothing. */
  told: string | undefined;
  /** Somebody was shown it as it is, before the others are told: what it comes to is told in any case. */
  isShown: boolean;
  isVisible: boolean;
}

interface Loss {
  user: UserId;
  leavesAtMs: number;
}

export interface MembersPage {
  users: UserPresence[];
  memberCount: number;
  hasMore: boolean;
}

/** What a board is about: the members of a topic, or one user. */
export interface BoardSubject {
  /** What its watchers subscribe. */
  key: TopicKey;
  about: { topic: TopicName } | { user: UserId };
  /** How a user is whose sessions are these. */
  describe: (user: UserId, here: readonly DevicePresence[]) => UserPresence;
}

export class PresenceBoard implements TimerEntry {
  readonly #subject: BoardSubject;
  readonly #ctx: BoardContext;
  readonly #watchers = new Lanes();
  readonly #members = new Map<UserId, Member>();
  /** Whoever may be in another way than was told. */
  #changed = new Set<UserId>();
  /** By name. */
  readonly #visible: UserId[] = [];
  #toldCount = 0;
  /** It has become large or small: the number must be told once more. */
  #owesCount = false;
  /** Only the number is told. */
  #isLarge = false;
  /** Told whether it changed or not: watchers may have missed something. Monotonic, milliseconds. */
  #truthAtMs = Number.POSITIVE_INFINITY;
  #timer: TimerToken | undefined;
  #countDueMs = 0;
  /** Whoever was lost, the oldest first: all have the same grace. */
  #losses: Loss[] = [];
  readonly #onIdle: () => void;

  /** `onIdle` is called when time made it so; after a command its caller looks by itself. */
  constructor(subject: BoardSubject, ctx: BoardContext, onIdle: () => void) {
    this.#subject = subject;
    this.#ctx = ctx;
    this.#onIdle = onIdle;
  }

  get isIdle(): boolean {
    return this.#watchers.size === 0 && this.#members.size === 0;
  }

  /** Somebody wants to know. */
  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /** `isAgain`: the board that they watched died with its thread; what changed meanwhile they have not heard. */
  watch(shard: ShardId, spec: LaneSpec, isAgain: boolean): void {
    const lane = this.#watchers.open(spec);
    if ('code' in lane) return; // of filters only, and boards have none
    this.#watchers.join(lane, shard);
    if (isAgain) this.#oweTruth(this.#ctx.presenceGraceMs);
  }

  /** Who is there now was there before anybody watched: it is no news. */
  settle(): void {
    for (const user of this.#changed) {
      const member = this.#members.get(user);
      if (member?.isVisible) member.told = this.#signature(user);
    }
    this.#changed.clear();
  }

  unwatch(shard: ShardId, spec: LaneSpec): void {
    this.#watchers.leave(spec, shard);
  }

  /** A session comes, or is there in another way. */
  enter(user: UserId, session: SessionId, shard: ShardId, presence: DevicePresence): void {
    this.#memberOf(user).attendance.enter(session, shard, presence);
    this.#onChange(user);
  }

  has(user: UserId, session: SessionId): boolean {
    return this.#members.get(user)?.attendance.has(session) ?? false;
  }

  /** It said goodbye. */
  leave(user: UserId, session: SessionId): void {
    this.#members.get(user)?.attendance.leave(session);
    this.#onChange(user);
  }

  /** Its connection was lost: it counts for the grace. */
  lose(user: UserId, session: SessionId, graceEndMs = this.#graceEndMs): void {
    const member = this.#members.get(user);
    if (member === undefined) return;
    member.attendance.lose(session, graceEndMs);
    this.#losses.push({ user, leavesAtMs: graceEndMs });
    this.#schedule();
  }

  /** The thread of `shard` died: its sessions have the grace to come back, its watchers are gone. */
  dropShard(shard: ShardId): void {
    const leavesAtMs = this.#graceEndMs;
    for (const [user, { attendance }] of this.#members) {
      if (attendance.loseShard(shard, leavesAtMs)) this.#losses.push({ user, leavesAtMs });
    }
    for (const spec of this.#watchers.specs()) this.#watchers.leave(spec, shard);
    this.#schedule();
  }

  /** By name, behind `after`. */
  page(after: UserId | undefined, limit: number): MembersPage {
    // Also who is not on it, and was told to be there.
    for (const user of this.#changed) this.#onShown(user);
    const start = after === undefined ? 0 : placeBehind(this.#visible, after);
    const page = this.#visible.slice(start, start + limit);
    return {
      users: page.map((user) => this.#describe(user)),
      memberCount: this.#visible.length,
      hasMore: start + page.length < this.#visible.length,
    };
  }

  /** How a user is now, for somebody who asks. */
  show(user: UserId): UserPresence {
    if (this.#changed.has(user)) this.#onShown(user);
    return this.#describe(user);
  }

  /** For one who comes: all who are there, or of too many only how many. */
  overview(): MembersPage {
    return this.page(undefined, this.#isLarge ? 0 : presenceMembersMax);
  }

  /** Called by the timer wheel: a grace is over, or something must be told. */
  onDeadline(): void {
    this.#timer = undefined;
    const nowMs = this.#ctx.clock.monotonicMs();
    const dueCount = this.#losses.findIndex(({ leavesAtMs }) => leavesAtMs > nowMs);
    for (const { user } of this.#losses.splice(0, dueCount < 0 ? this.#losses.length : dueCount)) {
      this.#members.get(user)?.attendance.expire(nowMs);
      this.#onChange(user);
    }
    if (this.#truthAtMs <= nowMs) this.#tellTruth();
    if (this.#isLarge && this.#toldCount !== this.#visibleCount) this.flush();
    this.#schedule();
    if (this.isIdle) this.#onIdle();
  }

  /** Tells what changed. Called by the flush schedule. */
  flush(): void {
    const notices = this.#isLarge ? this.#countNotice() : this.#changeNotices();
    if (notices.length > 0) this.#send(notices);
    if (this.isIdle) this.#onIdle();
  }

  #tellTruth(): void {
    this.#truthAtMs = Number.POSITIVE_INFINITY;
    const { about } = this.#subject;
    if ('topic' in about) return; // its subscriptions end with its home, and say so
    this.#memberOf(about.user).told = 'unknown';
    this.#onChange(about.user);
  }

  #oweTruth(waitMs: number): void {
    this.#truthAtMs = this.#ctx.clock.monotonicMs() + waitMs;
    this.#schedule();
  }

  #onShown(user: UserId): void {
    const member = this.#members.get(user);
    // Who is not seen, and was not told to be there, is nobody's news.
    if (member?.isVisible || member?.told !== undefined) member.isShown = true;
  }

  #onChange(user: UserId): void {
    const member = this.#members.get(user);
    if (member === undefined) return;
    const isVisible = statusOf(member.attendance.presences()) !== 'offline';
    if (isVisible !== member.isVisible) {
      member.isVisible = isVisible;
      const place = placeBehind(this.#visible, user);
      if (isVisible) this.#visible.splice(place, 0, user);
      else this.#visible.splice(place - 1, 1);
    }
    this.#judgeSize();
    if (this.#isLarge) {
      if (member.attendance.isEmpty) this.#members.delete(user);
      return this.#scheduleCount();
    }
    this.#changed.add(user);
    this.#ctx.flushes.requestFlush(this, 'lazy');
    this.#schedule();
  }

  /** Large from the first one too many on, until half of them are left. */
  #judgeSize(): void {
    if (
      this.#isLarge ? this.#visibleCount > presenceMembersMax / 2 : this.#visibleCount <= presenceMembersMax
    )
      return;
    this.#isLarge = !this.#isLarge;
    this.#owesCount = true;
    for (const [user, member] of this.#members) {
      member.told = this.#isLarge || !member.isVisible ? undefined : this.#signature(user);
      if (member.attendance.isEmpty) this.#members.delete(user);
    }
    this.#changed.clear();
  }

  #changeNotices(): Notice[] {
    const changed = this.#changed;
    this.#changed = new Set();
    const notices: Notice[] = [];
    for (const user of changed) {
      const member = this.#members.get(user);
      if (member === undefined) continue;
      const before = member.told;
      member.told = member.isVisible ? this.#signature(user) : undefined;
      const isTold = before === member.told && !member.isShown;
      member.isShown = false;
      if (member.attendance.isEmpty) this.#members.delete(user);
      if (isTold) continue;
      const event = !member.isVisible ? 'leave' : before === undefined ? 'join' : 'change';
      notices.push(this.#noticeOf({ ...this.#describe(user, member), event }));
    }
    if (this.#owesCount) notices.push(...this.#countNotice());
    this.#toldCount = this.#visibleCount;
    return notices;
  }

  #countNotice(): Notice[] {
    if (this.#toldCount === this.#visibleCount && !this.#owesCount) return [];
    this.#owesCount = false;
    this.#toldCount = this.#visibleCount;
    this.#countDueMs = this.#ctx.clock.monotonicMs() + countEveryMs;
    return [this.#noticeOf({ memberCount: this.#visibleCount, event: 'change' })];
  }

  #noticeOf(fields: object): Notice {
    const { about } = this.#subject;
    const data = 'topic' in about ? { topic: about.topic, ...fields } : fields;
    const envelope = { type: 'Presence' as const, data, timestamp: this.#ctx.clock.wallMs() };
    return { envelope, delivery: 'normal' };
  }

  #send(notices: Notice[]): void {
    const batch = new FlushBatch([], notices);
    const { key } = this.#subject;
    for (const lane of [...this.#watchers]) {
      for (const part of batch.forLane(lane)) {
        for (const shard of [...lane.shards]) {
          if (this.#ctx.subscribers.deliver(shard, key, lane.spec, part) === 'lost')
            this.#onLost(shard, lane);
        }
      }
    }
  }

  /** A user is told of again. Who watches a topic is told, subscribes again, and gets the list. */
  #onLost(shard: ShardId, { spec }: Lane): void {
    if ('user' in this.#subject.about) return this.#oweTruth(countEveryMs);
    this.#watchers.leave(spec, shard);
    this.#ctx.subscribers.tellLost(shard, this.#subject.key, spec);
  }

  #describe(user: UserId, member = this.#members.get(user)): UserPresence {
    return this.#subject.describe(user, member?.attendance.presences() ?? []);
  }

  #signature(user: UserId): string {
    const { status, devices, meta } = this.#describe(user);
    return JSON.stringify([status, devices.filter((device) => device.status !== 'offline'), meta]);
  }

  #memberOf(user: UserId): Member {
    let member = this.#members.get(user);
    if (member === undefined) {
      member = { attendance: new Attendance(), told: undefined, isShown: false, isVisible: false };
      this.#members.set(user, member);
    }
    return member;
  }

  get #visibleCount(): number {
    return this.#visible.length;
  }

  get #graceEndMs(): number {
    return this.#ctx.clock.monotonicMs() + this.#ctx.presenceGraceMs;
  }

  #scheduleCount(): void {
    if (this.#toldCount !== this.#visibleCount) this.#schedule();
  }

  /** One timer, for whatever comes first. */
  #schedule(): void {
    let nextMs = this.#truthAtMs;
    if (this.#isLarge && this.#toldCount !== this.#visibleCount) nextMs = Math.min(nextMs, this.#countDueMs);
    nextMs = Math.min(nextMs, this.#losses[0]?.leavesAtMs ?? nextMs);
    if (
      nextMs === Number.POSITIVE_INFINITY ||
      (this.#timer?.deadlineMs ?? Number.POSITIVE_INFINITY) <= nextMs
    )
      return;
    if (this.#timer !== undefined) this.#ctx.timers.cancel(this.#timer);
    this.#timer = this.#ctx.timers.schedule(nextMs, this);
  }
}

/** Of the first name behind `user`, by binary search. */
function placeBehind(users: readonly UserId[], user: UserId): number {
  let low = 0;
  let high = users.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((users[middle] as UserId) <= user) low = middle + 1;
    else high = middle;
  }
  return low;
}
