/** The newest prices of each station as the journal gave them: what the history store may not have yet. */
import type { Price } from '#actors/schema/events';

/** One hour of slots. */
export const priceTailMax = 300;

export interface TailPrice {
  price: Price;
  sequence: number;
}

export class PriceTail {
  readonly #tails = new Map<string, TailPrice[]>();
  /** By station: events up to this sequence have fallen off. */
  readonly #lost = new Map<string, number>();

  push(price: Price, sequence: number): void {
    let tail = this.#tails.get(price.station);
    if (tail === undefined) this.#tails.set(price.station, (tail = []));
    tail.push({ price, sequence });
    if (tail.length > priceTailMax) this.#lost.set(price.station, (tail.shift() as TailPrice).sequence);
  }

  /** All after `sequence`, oldest first; undefined when some of them have fallen off. */
  since(station: string, sequence: number): TailPrice[] | undefined {
    if (sequence < (this.#lost.get(station) ?? 0)) return undefined;
    return (this.#tails.get(station) ?? []).filter((entry) => entry.sequence > sequence);
  }

  /** Produced in [from, to), oldest first. */
  between(station: string, from: number, to: number): Price[] {
    return (this.#tails.get(station) ?? [])
      .map(({ price }) => price)
      .filter(({ producedAt }) => producedAt >= from && producedAt < to);
  }
}
