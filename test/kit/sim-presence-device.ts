/** A device of a simulation: what is wanted of it, its connection, and those that it had or has beside it. */
import { type Before, type LifeWorld, PresenceLife } from './sim-presence-life.ts';
import { type PlannedDevice, type Return, returnOf } from './sim-presence-plan.ts';
import type { Want } from './sim-presence-wants.ts';
import type { Dice } from './sim-random.ts';
import type { SimWire, WireUser } from './sim-wire.ts';

export interface DeviceWorld extends LifeWorld {
  readonly ttlMs: number;
  tickMs: number;
  connect(who: WireUser, purpose: string): SimWire | undefined;
  count(name: string): void;
}

interface Resumable extends Omit<Before, 'hasPositions'> {
  isTried: boolean;
}

/** A connection beside the one that counts. */
interface OtherLife {
  life: PresenceLife;
  isRead: boolean;
  /** It asks for the same session. */
  isRival: boolean;
}

export class PresenceDevice {
  readonly name: string;
  readonly who: WireUser;
  readonly want: Want;
  isHere: boolean;
  life: PresenceLife | undefined;
  /** Connections that were lost, or that two of ask for the same. */
  #others: OtherLife[] = [];
  readonly #world: DeviceWorld;
  readonly #dice: Dice;
  #return: Return | undefined;
  #comesAtMs = 0;
  /** What could be resumed. */
  #before: Resumable | undefined;
  #lifeCount = 0;
  #keyCount = 0;
  readonly faults: string[] = [];

  constructor(
    name: string,
    { user, encoding, deviceId, isHere }: PlannedDevice,
    world: DeviceWorld,
    dice: Dice,
  ) {
    this.name = name;
    this.who = { tenant: 't1', user, encoding };
    this.want = { status: 'online', deviceId, follows: new Set(), topics: new Set() };
    this.isHere = isHere;
    this.#world = world;
    this.#dice = dice;
  }

  /** What is not as it is wanted. */
  unsettled(): string | undefined {
    if (this.#others.length > 0) return `${this.#others[0]?.life.name} is open still`;
    if (!this.isHere) return this.life === undefined ? undefined : 'is there';
    return this.life === undefined ? 'is not connected' : this.life.unsettled();
  }

  // ---- what the plan asks for

  lose(how: 'cut' | 'silent' | 'open', back: Return | undefined): void {
    const { life } = this;
    if (!this.isHere || life === undefined) return;
    if (back === undefined) this.isHere = false;
    for (const { life: other, isRival, isRead } of this.#others) {
      if (isRival || (isRead && back === undefined)) this.#cut(other);
    }
    const isResumable = life.session !== undefined && life.isReady;
    if (how === 'open' && back?.isResumed === true && isResumable)
      this.#others.push({ life, isRead: true, isRival: false });
    else if (how === 'silent') this.#others.push({ life, isRead: false, isRival: false });
    else this.#cut(life);
    if (how === 'silent') life.end(1006, false);
    this.#goneFrom(life, back ?? fresh);
  }

  goodbye(): void {
    const { life } = this;
    this.isHere = false;
    this.#before = undefined;
    this.life = undefined;
    for (const other of this.#others) this.#cut(other.life);
    this.#others = [];
    life?.sayGoodbye();
  }

  come(): void {
    if (this.isHere) return;
    this.isHere = true;
    this.#return ??= fresh;
    this.#comesAtMs = 0;
  }

  publish(type: 'Broadcast' | 'DirectMessage', place: object): void {
    const key = `${this.name}.${++this.#keyCount}`;
    if (this.life?.isReady) this.life.send(type, { ...place, payload: key, key });
  }

  // ---- its turn

  step(dice: Dice): void {
    for (const other of [...this.#others]) this.#stepOther(other, dice);
    if (this.life === undefined) return this.#connect();
    this.life.read(dice);
    if (this.life.closed !== undefined) return this.#onClosed(this.life);
    if (this.life.resume === 'failed') this.#onResumeFailed(this.life);
    if (this.life?.resume === 'done') this.#onResumed();
    if (this.life?.resume === 'none' && this.life.isReady) this.#cutOthers();
    this.life?.ask();
  }

  /** All that it found. */
  takeFaults(): string[] {
    return [...this.faults.splice(0), ...(this.life?.faults.splice(0) ?? [])];
  }

  #stepOther(other: OtherLife, dice: Dice): void {
    const { life, isRead, isRival } = other;
    if (isRead && life.closed === undefined) {
      life.read(dice);
      if (isRival) life.ask();
    }
    const isGone = isRead ? life.closed !== undefined : life.wire.closeCode !== undefined;
    if (!isGone || (isRival && this.life !== undefined && !this.life.isReady)) return;
    this.faults.push(...life.faults.splice(0));
    this.#others = this.#others.filter((each) => each !== other);
  }

  #connect(): void {
    if (!this.isHere || this.#world.nowMs() < this.#comesAtMs) return;
    const back = this.#return ?? fresh;
    const isResumed = back.isResumed && this.#before !== undefined;
    const life = this.#newLife(isResumed ? back : undefined);
    if (life === undefined) return;
    this.#return = undefined;
    this.life = life;
    if (!isResumed || !back.isTwice) return;
    const rival = this.#newLife({ ...back, isByFormer: false });
    if (rival === undefined) return;
    this.#world.count('two at once');
    life.rival = rival;
    rival.rival = life;
    this.#others.push({ life: rival, isRead: true, isRival: true });
  }

  #newLife(back: Return | undefined): PresenceLife | undefined {
    const name = `${this.name}/${++this.#lifeCount}`;
    const wire = this.#world.connect(this.who, name);
    if (wire === undefined) return undefined;
    const before = back === undefined ? undefined : this.#beforeOf(back);
    return new PresenceLife(name, wire, { want: this.want, world: this.#world, before });
  }

  #beforeOf({ hasPositions, isByFormer }: Return): Before {
    const before = this.#before as Resumable;
    // Who has asked by a name may have got the session by it: none but that is good any more.
    const former = before.life.resume === 'done' && !before.isTried ? before.life.before?.name : undefined;
    before.isTried = true;
    if (isByFormer && former !== undefined) {
      this.#world.count('by the former name');
      before.name = former;
    }
    return { ...before, hasPositions };
  }

  #onClosed(life: PresenceLife): void {
    this.#world.count(`closed ${life.closed}`);
    const rival = this.#others.find((other) => other.isRival && other.life.closed === undefined);
    if (rival !== undefined) return this.#adopt(rival, life);
    this.#goneFrom(life, returnOf(this.#dice));
  }

  /** The other connection has the session, or may have it. */
  #adopt(rival: OtherLife, life: PresenceLife): void {
    this.faults.push(...life.faults.splice(0));
    this.#others = this.#others.filter((other) => other !== rival);
    this.life = rival.life;
  }

  #onResumeFailed(life: PresenceLife): void {
    life.resume = 'none';
    this.#world.count('resume failed');
    const rival = this.#others.find(({ isRival, life: other }) => isRival && other.closed === undefined);
    if (rival !== undefined) {
      this.#cut(life);
      return this.#adopt(rival, life);
    }
    this.#cutOthers();
    const { lostAtMs, life: lost } = life.before as Before;
    const wasKept =
      this.#world.nowMs() - lostAtMs < this.#world.ttlMs &&
      !this.#world.hadTrouble(this.who.user, lostAtMs - 2000);
    // Of two that were lost together either may have had it last.
    const isSure = life.rival === undefined && lost.rival?.mayHaveTaken !== true;
    if (wasKept && isSure)
      this.faults.push(
        `${life.name}: its session was lost ${this.#world.nowMs() - lostAtMs} ms ago, and is not there`,
      );
  }

  /** Of two that were both answered the server closes the one that lost it: cut here, it could be the other. */
  #onResumed(): void {
    for (const { life, isRival } of this.#others) {
      if (isRival && !life.mayHaveTaken && life.closed === undefined) this.#cut(life);
    }
  }

  /** Of a client that does not know any more which one was the good one. */
  #cutOthers(): void {
    for (const { life, isRead } of this.#others) if (isRead) this.#cut(life);
  }

  #goneFrom(life: PresenceLife, back: Return): void {
    this.faults.push(...life.faults.splice(0));
    this.life = undefined;
    this.#return = back;
    this.#comesAtMs = this.#world.nowMs() + back.afterTicks * this.#world.tickMs;
    // One that never came to anything is not what one comes back to.
    if (life.session !== undefined && (life.resume === 'none' || life.resume === 'done'))
      this.#before = { name: life.session, life, lostAtMs: this.#world.nowMs(), isTried: false };
  }

  #cut(life: PresenceLife): void {
    life.wire.giveUp(this.#dice);
    life.end(1006, false);
  }
}

const fresh: Return = {
  ...{ isResumed: false, hasPositions: false, isTwice: false, isByFormer: false, afterTicks: 0 },
};
