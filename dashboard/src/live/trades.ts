/** One's own trades, bounded, whatever way they came: history and live events may overlap. */
import type { Trade } from '#gateway/schema/mod';
import { LiveMap } from './live_map.ts';

export const tradesMax = 200;

/** An order may say the same state again with more delivered, so both name the step. */
const keyOf = (trade: Trade) => `${trade.order} ${trade.state} ${trade.deliveredWh} ${trade.at}`;

export class Trades {
  readonly #steps = new LiveMap<string, Trade>();
  #sorted: Trade[] = [];
  #dirty = false;

  /** Newest first. */
  get list(): readonly Trade[] {
    const { values } = this.#steps;
    if (this.#dirty) {
      this.#dirty = false;
      this.#sorted = sort(values.values());
    }
    return this.#sorted;
  }

  /** Returns those that were not known. */
  add(trades: Iterable<Trade>): Trade[] {
    const fresh = [...trades].filter((trade) => !this.#steps.values.has(keyOf(trade)));
    if (fresh.length === 0) return fresh;
    for (const trade of fresh) this.#steps.set(keyOf(trade), trade);
    this.#dirty = true;
    const { values } = this.#steps;
    if (values.size > tradesMax)
      for (const trade of sort(values.values()).slice(tradesMax)) this.#steps.delete(keyOf(trade));
    return fresh;
  }
}

/** Steps of one moment stay in the order in which they came, the later one first. */
const sort = (trades: Iterable<Trade>): Trade[] => [...trades].reverse().sort((a, b) => b.at - a.at);
