/** Prices of one station by slot, bounded, whatever way they came: history and live events may overlap. */
import type { Price } from '#gateway/schema/mod';
import { LiveMap } from './live_map.ts';

export const slotMs = 12_000;
/** A price lapses 24 s after the start of its slot, and then says nothing about now. */
export const staleAfterMs = 24_000;

/** Four hours of slots. */
export const pricesMax = 1_200;

export class Prices {
  readonly #bySlot = new LiveMap<number, Price>();
  #sorted: Price[] = [];
  #dirty = false;

  /** Oldest first. */
  get list(): readonly Price[] {
    const { values } = this.#bySlot;
    if (this.#dirty) {
      this.#dirty = false;
      this.#sorted = [...values.values()].sort((a, b) => a.slot - b.slot);
    }
    return this.#sorted;
  }

  add(prices: Iterable<Price>): void {
    for (const price of prices) this.#bySlot.set(price.slot, price);
    this.#dirty = true;
    // Here and not where they are read: a hidden page reads nothing for hours.
    const slots = [...this.#bySlot.values.keys()];
    if (slots.length <= pricesMax) return;
    for (const slot of slots.sort((a, b) => a - b).slice(0, slots.length - pricesMax)) this.#bySlot.delete(slot);
  }
}

export type PriceRow =
  | { kind: 'price'; price: Price; /** Against the price before it. */ change: 'up' | 'down' | 'same' }
  /** Slots between two prices that were never produced. */
  | { kind: 'gap'; slots: number; after: number };

/** Newest first, with holes named. `prices` are oldest first. */
export function priceRows(prices: readonly Price[]): PriceRow[] {
  const rows: PriceRow[] = [];
  prices.forEach((price, i) => {
    const before = prices[i - 1];
    const step = before === undefined ? 0 : Math.sign(price.priceE5SekPerKwh - before.priceE5SekPerKwh);
    if (before !== undefined && price.slot - before.slot > 1)
      rows.push({ kind: 'gap', slots: price.slot - before.slot - 1, after: before.slot });
    rows.push({ kind: 'price', price, change: step > 0 ? 'up' : step < 0 ? 'down' : 'same' });
  });
  return rows.reverse();
}
