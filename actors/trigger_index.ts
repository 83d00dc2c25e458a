/**
 * Triggers of a partition by instrument and feed, with the best price of each side, so that a price that fires nothing costs
 * one comparison; and the positions of each customer. Derived, as all of the index.
 */
import type { Stored } from './actor.ts';
import { fires } from './customer_reserves.ts';
import { stationOf } from './instrument.ts';
import type { PositionState, Side, TriggerState } from './schema/trading.ts';

/** A trigger that a price fires. */
export interface DueTrigger {
  side: Side;
  customer: string;
  armedAt: number;
  n: number;
}

/** One side of an instrument: triggers by customer. */
class Book {
  readonly side: Side;
  readonly armed = new Map<string, TriggerState>();
  /** The price that fires first; null: to be found again. */
  #best: number | null = null;

  constructor(side: Side) {
    this.side = side;
  }

  set(customer: string, trigger: TriggerState | null) {
    const before = this.armed.get(customer);
    if (before && before.priceE5Sek === this.#best) this.#best = null;
    if (!trigger) {
      this.armed.delete(customer);
      return;
    }
    const { priceE5Sek } = trigger;
    this.armed.set(customer, trigger);
    if (this.armed.size === 1) this.#best = priceE5Sek;
    else if (this.#best !== null && fires(this.side, priceE5Sek, this.#best)) this.#best = priceE5Sek;
  }

  isDue(priceE5Sek: number): boolean {
    if (this.armed.size === 0) return false;
    this.#best ??= [...this.armed.values()].reduce(
      (best, trigger) => (this.side === 'buy' ? Math.max : Math.min)(best, trigger.priceE5Sek),
      this.side === 'buy' ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER,
    );
    return fires(this.side, this.#best, priceE5Sek);
  }

  *due(priceE5Sek: number): Generator<DueTrigger> {
    if (!this.isDue(priceE5Sek)) return;
    for (const [customer, trigger] of this.armed) {
      if (fires(this.side, trigger.priceE5Sek, priceE5Sek))
        yield { side: this.side, customer, armedAt: trigger.armedAt, n: trigger.n };
    }
  }
}

export const byTurn = (a: Omit<DueTrigger, 'side'>, b: Omit<DueTrigger, 'side'>): number =>
  a.armedAt - b.armedAt || a.n - b.n || (a.customer < b.customer ? -1 : a.customer > b.customer ? 1 : 0);

const keyOf = (feed: string, instrument: string): string => `${feed}\n${instrument}`;

export class Triggers {
  readonly #books = new Map<string, { buy: Book; sell: Book }>();
  /** Stations that any trigger of the usual feed waits for. */
  readonly #stations = new Set<string>();
  readonly #positions = new Map<string, Set<string>>();

  changed(id: string, before: Stored<PositionState> | undefined, after: Stored<PositionState> | undefined) {
    const [b, a] = [before?.context, after?.context];
    const { customer, feed, instrument } = (a ?? b)!;
    if (!b || !a) this.#note(customer, id, a !== undefined);
    // Whose feed fires a position does not change while there is one.
    if (feed === null) return;
    const [hadBuy, hadSell] = [b?.buy?.trigger ?? null, b?.sell?.trigger ?? null];
    const [buy, sell] = [a?.buy?.trigger ?? null, a?.sell?.trigger ?? null];
    if (hadBuy === buy && hadSell === sell) return;
    const key = keyOf(feed, instrument);
    let books = this.#books.get(key);
    if (!books) this.#books.set(key, (books = { buy: new Book('buy'), sell: new Book('sell') }));
    if (hadBuy !== buy) books.buy.set(customer, buy);
    if (hadSell !== sell) books.sell.set(customer, sell);
    const station = feed === '' ? stationOf(instrument) : null;
    if (books.buy.armed.size + books.sell.armed.size > 0) {
      if (station !== null) this.#stations.add(station);
      return;
    }
    this.#books.delete(key);
    if (station !== null) this.#stations.delete(station);
  }

  /** Triggers that the prices fire, oldest first. */
  due(feed: string, instrument: string, buyE5Sek: number, sellE5Sek: number): DueTrigger[] {
    const books = this.#books.get(keyOf(feed, instrument));
    return books ? [...books.buy.due(buyE5Sek), ...books.sell.due(sellE5Sek)].sort(byTurn) : [];
  }
  anyDue(feed: string, instrument: string, buyE5Sek: number, sellE5Sek: number): boolean {
    const books = this.#books.get(keyOf(feed, instrument));
    return books !== undefined && (books.buy.isDue(buyE5Sek) || books.sell.isDue(sellE5Sek));
  }
  get stations(): ReadonlySet<string> {
    return this.#stations;
  }
  /** Ids of a customer's positions, in byte order. */
  positionsOf(customer: string): string[] {
    return [...(this.#positions.get(customer) ?? [])].sort();
  }

  #note(customer: string, id: string, isThere: boolean) {
    const known = this.#positions.get(customer);
    if (isThere) {
      if (known) known.add(id);
      else this.#positions.set(customer, new Set([id]));
    } else if (known?.delete(id) && known.size === 0) this.#positions.delete(customer);
  }
}
