/**
 * A Map that mostly has one entry: its table, 270 bytes, is made with the second one.
 * For what there is one of per user or connection. In the order of `set`, like a Map.
 */
export class SmallMap<Key, Value> {
  /** While there is no table. */
  #only: [Key, Value] | undefined;
  #table: Map<Key, Value> | undefined;

  get size(): number {
    return this.#table?.size ?? (this.#only === undefined ? 0 : 1);
  }

  get(key: Key): Value | undefined {
    if (this.#table !== undefined) return this.#table.get(key);
    return this.#only?.[0] === key ? this.#only[1] : undefined;
  }

  has(key: Key): boolean {
    return this.#table?.has(key) ?? (this.#only !== undefined && this.#only[0] === key);
  }

  set(key: Key, value: Value): void {
    if (this.#table !== undefined) this.#table.set(key, value);
    else if (this.#only === undefined || this.#only[0] === key) this.#only = [key, value];
    else {
      this.#table = new Map([this.#only, [key, value]]);
      this.#only = undefined;
    }
  }

  delete(key: Key): void {
    if (this.#table !== undefined) {
      this.#table.delete(key);
      if (this.#table.size === 0) this.#table = undefined;
    } else if (this.#only?.[0] === key) this.#only = undefined;
  }

  /** As of a Map: what is deleted meanwhile may come or not. */
  [Symbol.iterator](): IterableIterator<[Key, Value]> {
    if (this.#table !== undefined) return this.#table.entries();
    return (this.#only === undefined ? [] : [this.#only]).values();
  }
}
