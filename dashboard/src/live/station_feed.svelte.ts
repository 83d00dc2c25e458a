/**
 * All that the page of one station shows: history first, then the live topic from the history's cursor, so the seam has
 * neither hole nor double. When the server answers with a snapshot instead, the prices in between are asked for again;
 * they are kept by slot, so what comes twice is one.
 */
import type { Connector, PricesReply, Station, StationReply } from '#gateway/schema/mod';
import { get, pathOf, type Refused } from '../api.ts';
import { live } from './connection.svelte.ts';
import { LiveMap } from './live_map.ts';
import type { LiveClient } from './live.ts';
import { Prices, pricesMax } from './prices.ts';

export type FeedState = { state: 'loading' } | { state: 'ready' } | { state: 'failed'; refused: Refused };

const retryStartingMs = 2_000;
/** Refusals that pass by themselves. */
const passing: readonly string[] = ['starting', 'unreachable', 'overloaded', 'rate_limited'];

export class StationFeed {
  readonly id: string;
  readonly prices = new Prices();
  readonly #values = new LiveMap<string, Station | Connector>();
  readonly #client: LiveClient;
  #state: FeedState = $state.raw({ state: 'loading' });
  /** Why older prices are missing, if they are. */
  #pricesRefused: Refused | null = $state.raw(null);
  #unfollow = () => {};
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(id: string, client: LiveClient = live) {
    this.id = id;
    this.#client = client;
  }

  get state(): FeedState {
    return this.#state;
  }
  get pricesRefused(): Refused | null {
    return this.#pricesRefused;
  }
  get station(): Station | undefined {
    return this.#values.values.get('station') as Station | undefined;
  }
  /** By charger, then connector. */
  get connectors(): Connector[] {
    return [...this.#values.values]
      .flatMap(([key, value]) => (key === 'station' ? [] : [value as Connector]))
      .sort((a, b) => collator.compare(a.charger, b.charger) || a.connector - b.connector);
  }

  async load(): Promise<void> {
    clearTimeout(this.#retry);
    this.#unfollow();
    if (this.#state.state === 'failed') this.#state = { state: 'loading' };
    // The prices first: the topic is joined from their cursor, and the state that is read after it is not older.
    const prices = await get<PricesReply>(pathOf(['stations', this.id, 'prices'], { limit: pricesMax }));
    const station = await get<StationReply>(pathOf(['stations', this.id]));
    if (this.#closed) return;
    if (!station.ok) return this.#failed(station);
    const { value } = station;
    this.#values.replace([
      ['station', value.station],
      ...value.connectors.map((c) => [`${c.charger}/${c.connector}`, c] as const),
    ]);
    if (prices.ok) this.prices.add(prices.value.prices);
    this.#pricesRefused = prices.ok ? null : prices;
    this.#state = { state: 'ready' };
    this.#follow(prices.ok ? prices.value.cursor : value.cursor);
  }

  #follow(cursor: string): void {
    this.#unfollow = this.#client.follow(
      `station:${this.id}`,
      {
        snapshot: (data) => {
          this.#values.replace(Object.entries(data) as [string, Station | Connector][]);
          void this.#fillPrices();
        },
        delta: (set, del) => {
          for (const [key, value] of Object.entries(set)) this.#values.set(key, value as Station | Connector);
          for (const key of del) this.#values.delete(key);
        },
        event: (event) => {
          if (event.kind === 'price') this.prices.add([event.price]);
        },
        refused: (code, detail) => this.#failed({ ok: false, code, ...(detail === undefined ? {} : { detail }) }),
      },
      cursor,
    );
  }

  /** Everything since the newest price held. Called after a snapshot: what comes later comes as events. */
  async #fillPrices(): Promise<void> {
    const from = this.prices.list.at(-1)?.producedAt;
    const answer = await get<PricesReply>(pathOf(['stations', this.id, 'prices'], { from, limit: pricesMax }));
    if (this.#closed) return;
    this.#pricesRefused = answer.ok ? null : answer;
    if (answer.ok) this.prices.add(answer.value.prices);
  }

  /** Asks again for the prices that could not be read. */
  retryPrices(): Promise<void> {
    return this.#fillPrices();
  }

  #failed(refused: Refused): void {
    this.#state = { state: 'failed', refused };
    if (passing.includes(refused.code)) this.#retry = setTimeout(() => void this.load(), retryStartingMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#unfollow();
  }
}

/** CP-2 before CP-10. */
const collator = new Intl.Collator('en', { numeric: true });
