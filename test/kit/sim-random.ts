/** Dice of a simulation: one seed, the same throws for ever. */
import { mix32 } from '#kit/hash.ts';
import { type Random, seededRandom } from '#kit/random.ts';

export class Dice implements Random {
  readonly #random: Random;

  /** `stream` tells apart what must not disturb each other: operations that are left out must not change the rest. */
  constructor(seed: number, stream = 0) {
    this.#random = seededRandom(mix32(seed ^ Math.imul(stream + 1, 0x9e3779b9)));
  }

  next(): number {
    return this.#random.next();
  }

  /** From 0 up to, and without, `end`. */
  below(end: number): number {
    return Math.floor(this.#random.next() * end);
  }

  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  pick<Entry>(list: readonly Entry[]): Entry {
    return list[this.below(list.length)] as Entry;
  }

  /** In place. */
  shuffle<Entry>(list: Entry[]): Entry[] {
    for (let end = list.length; end > 1; end--) {
      const at = this.below(end);
      [list[end - 1], list[at]] = [list[at] as Entry, list[end - 1] as Entry];
    }
    return list;
  }

  /** By weight. */
  draw<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return (entries.at(-1) as [Name, number])[0];
  }
}
