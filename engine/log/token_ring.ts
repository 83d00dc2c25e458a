/**
 * Items by a number that each gets when it comes: numbers are never given twice, and what leaves makes room. A Map that is
 * filled and emptied all the time leaves its outgrown tables behind in the old generation, and what they name is copied by
 * collection after collection: that was a third of a door's CPU time.
 */
export class TokenRing<Item extends { token: number }> {
  /** An item stands at its token modulo the length, a power of two of which at most half is taken. */
  #slots: (Item | undefined)[] = new Array<Item | undefined>(64).fill(undefined);
  #last = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives it its token. */
  add(item: Item): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    do this.#last += 1;
    while (this.#slots[this.#last & mask] !== undefined);
    item.token = this.#last;
    this.#slots[this.#last & mask] = item;
    this.#size += 1;
  }

  /** The item, which has left then; undefined when it had left before, or never came. */
  take(token: number): Item | undefined {
    const slot = token & (this.#slots.length - 1);
    const item = this.#slots[slot];
    if (item?.token !== token) return undefined;
    this.#slots[slot] = undefined;
    this.#size -= 1;
    return item;
  }

  /** In no order. Items may leave meanwhile. */
  *[Symbol.iterator](): Generator<Item> {
    for (const item of this.#slots) if (item !== undefined) yield item;
  }

  #grow(): void {
    const slots = new Array<Item | undefined>(this.#slots.length * 2).fill(undefined);
    for (const item of this) slots[item.token & (slots.length - 1)] = item;
    this.#slots = slots;
  }
}
