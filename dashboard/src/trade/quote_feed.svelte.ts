/** The price a ticket reserves at, asked for at every new slot: with all that is added to the price of the station. */
import type { QuoteReply } from '#actors/schema/customer_commands';
import { get, pathOf, type Refused } from '../api.ts';

export type QuoteState =
  { state: 'loading' } | { state: 'known'; quote: QuoteReply } | { state: 'refused'; refused: Refused };

/** A slot is known to the partition of the station first, to the others a moment later. */
const behind = { everyMs: 250, most: 8 };
const refusedEveryMs = 2_000;

export class QuoteFeed {
  readonly station: string;
  #state: QuoteState = $state.raw({ state: 'loading' });
  #wanted = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;
  #closed = false;

  constructor(station: string) {
    this.station = station;
  }

  get current(): QuoteState {
    return this.#state;
  }

  /** Asks until the quote is of that slot. */
  want(slot: number): void {
    if (slot <= this.#wanted) return;
    this.#wanted = slot;
    void this.refresh();
  }

  async refresh(tries = 0): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#asking || this.#closed) return;
    this.#asking = true;
    const answer = await get<QuoteReply>(pathOf(['stations', this.station, 'quote']));
    this.#asking = false;
    if (this.#closed) return;
    if (!answer.ok) {
      this.#state = { state: 'refused', refused: answer };
      if (answer.code !== 'role_missing') this.#timer = setTimeout(() => void this.refresh(), refusedEveryMs);
      return;
    }
    const quote = answer.value;
    const held = this.#state.state === 'known' ? this.#state.quote.slot : -1;
    // Answers may overtake each other; a price never goes back to an older one.
    if (quote.slot >= held) this.#state = { state: 'known', quote };
    if (quote.slot < this.#wanted && tries < behind.most)
      this.#timer = setTimeout(() => void this.refresh(tries + 1), behind.everyMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
